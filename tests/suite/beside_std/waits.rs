//! Waiting in every way and order, and not at all.

use std::{
    io::{Read, Write},
    thread,
    time::Duration,
};

use super::{Seen, all_of, check_same, how, same};
use crate::util::{PATIENCE, is_alive, until, watchdog};

#[test]
fn a_piped_stdin_that_nobody_took_is_closed_by_every_wait() {
    let _limit = watchdog(60);
    same!("status", {
        Ok(how(Command::new("cat").stdin(Stdio::piped()).status()?))
    });
    same!("wait", {
        Ok(how(Command::new("cat")
            .stdin(Stdio::piped())
            .spawn()?
            .wait()?))
    });
    same!("output", {
        Ok(all_of(&Command::new("cat").stdin(Stdio::piped()).output()?))
    });
    same!("wait_with_output", {
        let mut cat = Command::new("cat");
        let child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        Ok(all_of(&child.wait_with_output()?))
    });
    same!("try_wait, which leaves it open, and wait", {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
        thread::sleep(Duration::from_millis(20));
        let running = child.try_wait()?.is_none() && child.stdin.is_some();
        Ok(format!("{running} {}", how(child.wait()?)))
    });
    same!("stdin partly written and not taken", {
        let mut cat = Command::new("cat");
        let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        child.stdin.as_mut().unwrap().write_all(b"half")?;
        Ok(all_of(&child.wait_with_output()?))
    });
    let cat = || {
        zygote::Command::new("cat")
            .stdin(zygote::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let std = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .status();
    let std: Seen = std.map(how).map_err(Into::into);
    let ended = cat().wait_timeout(PATIENCE).unwrap();
    check_same("wait_timeout", &std, &Ok(how(ended.unwrap())));
    check_same(
        "exit",
        &std,
        &Ok(how(cat().wait_usage().unwrap().status().unwrap())),
    );
}

#[test]
fn waits_in_every_order() {
    let _limit = watchdog(60);
    same!("exit codes and signals", {
        let ends = [
            "exit 0",
            "exit 7",
            "exit 255",
            "kill -TERM $$",
            "kill -KILL $$",
            "kill -SEGV $$",
        ];
        let run = |end| Ok(how(Command::new("sh").args(["-c", end]).status()?));
        let all: Result<Vec<String>, super::Failed> = ends.into_iter().map(run).collect();
        Ok(all?.join(", "))
    });
    same!("wait, wait, try_wait", {
        let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn()?;
        let (one, two) = (child.wait()?, child.wait()?);
        Ok(format!("{one} {two} {:?}", child.try_wait()?))
    });
    same!("try_wait until it has ended, then wait", {
        let mut child = Command::new("sh").args(["-c", "exit 4"]).spawn()?;
        let mut ended = None;
        until("it ended", || {
            ended = child.try_wait().unwrap();
            ended.is_some()
        });
        Ok(format!("{ended:?} {}", child.wait()?))
    });
    same!("kill, wait, kill", {
        let mut child = Command::new("sleep").arg("1000").spawn()?;
        child.kill()?;
        let status = how(child.wait()?);
        child.kill()?;
        Ok(status)
    });
    same!("kill of one that has ended and was not waited for", {
        let mut child = Command::new("true").spawn()?;
        until("it ended", || !is_alive(child.id()));
        child.kill()?;
        Ok(how(child.wait()?))
    });
    same!("the last one first", {
        let start = |n: i32| {
            let script = format!("exit {n}");
            Command::new("sh").args(["-c", &script]).spawn()
        };
        let mut all = [start(1)?, start(2)?, start(3)?];
        let mut text = String::new();
        for child in all.iter_mut().rev() {
            text += &format!("{} ", child.wait()?);
        }
        Ok(text)
    });
    same!("wait_with_output after wait", {
        let mut child = Command::new("echo")
            .arg("x")
            .stdout(Stdio::piped())
            .spawn()?;
        child.wait()?;
        Ok(all_of(&child.wait_with_output()?))
    });
    same!("wait_with_output after stdout was taken", {
        let mut child = Command::new("echo")
            .arg("x")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text)?;
        Ok(text + &all_of(&child.wait_with_output()?))
    });
}

#[test]
fn a_handle_that_is_dropped() {
    let _limit = watchdog(60);
    let dir = tempfile::tempdir().unwrap();
    same!("dropped without a wait, the program goes on", {
        let path = dir.path().join("mark");
        let script = format!("sleep 0.05; echo done > {}", path.display());
        drop(Command::new("sh").args(["-c", &script]).spawn()?);
        until("it is done", || {
            std::fs::read(&path).is_ok_and(|text| text == b"done\n")
        });
        Ok(format!("{:?}", std::fs::remove_file(&path)))
    });
    same!("dropped with a piped stdin, which the program sees end", {
        let child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
        let id = child.id();
        drop(child);
        until("it ended", || !is_alive(id));
        Ok(String::new())
    });
    same!("dropped with a piped stdout, at which the program dies", {
        let child = Command::new("yes").stdout(Stdio::piped()).spawn()?;
        let id = child.id();
        drop(child);
        until("it ended", || !is_alive(id));
        Ok(String::new())
    });
}

#[test]
fn threads_start_programs_at_the_same_time() {
    let _limit = watchdog(60);
    same!("8 threads with 10 programs each", {
        let work = |thread: usize| -> Seen {
            let mut text = String::new();
            for n in 0..10 {
                let word = format!("{thread}.{n}");
                text += &all_of(&Command::new("echo").arg(&word).output()?);
            }
            Ok(text)
        };
        thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|n| scope.spawn(move || work(n))).collect();
            all.into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        })
    });
}
