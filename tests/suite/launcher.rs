//! The process that launches executables: one, replaced when it is dead or does not
//! answer.

use std::{
    fs::{self, File},
    sync::Barrier,
    thread,
    time::Duration,
};

use zygote::{Command, Stdio};

use crate::util::{self, Census, PATIENCE, alone, field, template, title, until};

/// What started this program.
fn starter(command: &mut Command) -> (zygote::Child, u32) {
    let child = command.args(["-c", "read x"]).stdin(Stdio::piped()).spawn();
    let child = child.unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let parent = field(&status, "PPid").parse().unwrap();
    (child, parent)
}

#[test]
fn a_plain_program_comes_from_the_launcher_and_others_from_the_template() {
    alone(|| {
        let census = Census::take();
        let (plain, launcher) = starter(&mut Command::new("sh"));
        assert!(title(launcher).starts_with("zygote: launcher of "));
        assert_ne!(launcher, template());
        let (again, same) = starter(Command::new("sh").env("A", "B").umask(0o77));
        assert_eq!(same, launcher);
        let (other, parent) = starter(Command::new("sh").nice(3));
        assert_eq!(parent, template());
        drop((plain, again, other));
        census.check();
    });
}

#[test]
fn a_launcher_that_died_is_replaced_and_its_programs_die_with_it() {
    alone(|| {
        let (mut child, launcher) = starter(&mut Command::new("sh"));
        util::signal(launcher, libc::SIGKILL);
        until("it is gone", || !util::is_alive(launcher));
        let (next, other) = starter(&mut Command::new("sh"));
        assert_ne!(other, launcher);
        assert!(
            child
                .wait_timeout(PATIENCE)
                .is_err_and(|error| error.is_template_gone())
        );
        until("its program is gone", || !util::is_alive(child.id()));
        drop(next);
    });
}

#[test]
fn a_launcher_that_does_not_answer_is_given_up() {
    alone(|| {
        let census = Census::take();
        let (first, launcher) = starter(&mut Command::new("sh"));
        util::signal(launcher, libc::SIGSTOP);
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let mut touch = Command::new("touch");
        let error = touch
            .arg(&mark)
            .start_timeout(Duration::from_millis(50))
            .spawn();
        let error = error.unwrap_err();
        assert!(error.is_timeout() && error.is_unstarted(), "{error:?}");
        let (second, other) = starter(&mut Command::new("sh"));
        assert_ne!(other, launcher);
        util::signal(launcher, libc::SIGCONT);
        // What was given up does not run; it leaves when its program has ended.
        drop((first, second));
        until("the old one left", || !util::is_alive(launcher));
        assert!(!mark.exists());
        census.check();
    });
}

#[test]
fn renewing_the_template_renews_the_launcher() {
    alone(|| {
        let (child, launcher) = starter(&mut Command::new("sh"));
        let old = template();
        zygote::renew_template();
        let (next, other) = starter(&mut Command::new("sh"));
        assert_ne!(other, launcher);
        // Its program lives on, and it as long.
        assert!(child.try_wait().unwrap().is_none());
        drop(child);
        until("the old ones left", || {
            ![old, launcher].into_iter().any(util::is_alive)
        });
        drop(next);
    });
}

#[test]
fn any_number_of_threads_get_one_launcher() {
    alone(|| {
        let barrier = Barrier::new(8);
        let first = || {
            barrier.wait();
            starter(&mut Command::new("sh"))
        };
        let all: Vec<_> = thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(first)).collect();
            all.into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let launcher = all[0].1;
        assert!(all.iter().all(|(_, parent)| *parent == launcher));
        drop(all);
        let is_launcher = |pid: &u32| title(*pid).starts_with("zygote: launcher");
        until("there is one", || {
            util::children(template())
                .iter()
                .filter(|pid| is_launcher(pid))
                .count()
                == 1
        });
    });
}

/// How much memory of its own a process has, in KiB.
fn private(pid: u32) -> u64 {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let value = field(&smaps, "Private_Dirty");
    value.trim_end_matches(" kB").trim().parse().unwrap()
}

#[test]
fn a_launcher_keeps_nothing_of_what_it_has_started() {
    alone(|| {
        let (child, launcher) = starter(&mut Command::new("sh"));
        drop(child);
        let start = || {
            let status = Command::new("true")
                .env("LONG", "x".repeat(10_000))
                .args((0..100).map(|n| n.to_string()))
                .fd(7, File::open("/dev/null").unwrap())
                .status();
            assert!(status.unwrap().success());
            Command::new("/no/such/program").spawn().unwrap_err();
        };
        (0..50).for_each(|_| start());
        let (before, fds) = (private(launcher), util::fds(launcher));
        (0..500).for_each(|_| start());
        let after = private(launcher);
        // The list of arguments alone would be 400 KiB.
        assert!(after <= before + 64, "{before} KiB, then {after} KiB");
        assert_eq!(util::fds(launcher), fds);
    });
}
