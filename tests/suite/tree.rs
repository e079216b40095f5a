//! A worker is killed with all that it has started.

use std::{
    io::{PipeWriter, Read, Write, pipe},
    process::Command,
    thread,
    time::Duration,
};

use zygote::{Process, Stdio};

use crate::util::{OwnCgroup, PATIENCE, is_alive, processes, until, within};

fn process() -> Process {
    Process::new().unwrap()
}

/// Runs a script to its end.
#[zygote::entry]
fn shell(script: String) -> bool {
    Command::new("sh")
        .args(["-c", &script])
        .status()
        .unwrap()
        .success()
}

/// Starts a script and leaves it behind.
#[zygote::entry]
#[allow(clippy::zombie_processes, reason = "it is left behind")]
fn leave(script: String) {
    Command::new("sh").args(["-c", &script]).spawn().unwrap();
}

/// Those of a process group that live.
fn members(group: u32) -> usize {
    let is_member = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let mut fields = stat[stat.rfind(')').map_or(0, |at| at + 1)..].split_whitespace();
        is_alive(*pid) && fields.nth(2) == Some(&group.to_string())
    };
    processes().iter().filter(|pid| is_member(pid)).count()
}

#[test]
fn a_group_is_killed_with_what_holds_our_pipes() {
    for process in [process().process_group(0), process().session()] {
        let process = process.stdout(Stdio::piped());
        let mut worker = process
            .run(shell::task("sleep 60 & sleep 60".into()))
            .unwrap();
        let mut out = worker.take_stdout().unwrap();
        let group = worker.id();
        until("the tree stands", || members(group) >= 3);
        worker.kill_tree().unwrap();
        // Both held the other end.
        within(PATIENCE, || out.read_to_end(&mut Vec::new())).unwrap();
        until("nothing is left", || members(group) == 0);
        assert_eq!(worker.wait().unwrap().to_string(), "was killed by SIGKILL");
        worker.kill_tree().unwrap();
    }
}

#[test]
fn a_group_is_killed_after_its_worker_has_ended() {
    let worker = process()
        .process_group(0)
        .run(leave::task("sleep 60 & sleep 60".into()))
        .unwrap();
    let group = worker.id();
    assert!(worker.wait().unwrap().success());
    until("it was left behind", || members(group) >= 2);
    match worker.kill_tree() {
        Ok(()) => {
            until("nothing is left", || members(group) == 0);
            worker.kill_tree().unwrap();
        }
        Err(error) => {
            // Before Linux 6.9.
            assert!(format!("{error:?}").contains("6.9"), "{error:?}");
            Command::new("kill")
                .args(["-9", &format!("-{group}")])
                .status()
                .unwrap();
        }
    }
}

/// Forks for ever, each a session of its own.
const BOMB: &str = "while :; do setsid sh -c 'sleep 60 & sleep 60' & sleep 0.01; done";

#[test]
fn a_cgroup_is_killed_whatever_is_forked_meanwhile() {
    let Some(group) = OwnCgroup::make(None, "tree") else {
        return;
    };
    let procs = group.0.join("cgroup.procs");
    let worker = process()
        .cgroup(&group.0)
        .run(shell::task(BOMB.into()))
        .unwrap();
    let count = || std::fs::read_to_string(&procs).unwrap().lines().count();
    until("it has grown", || count() > 20);
    worker.kill_tree().unwrap();
    assert_eq!(worker.wait().unwrap().to_string(), "was killed by SIGKILL");
    until("nothing is left", || count() == 0);
    // And nothing comes.
    thread::sleep(Duration::from_millis(50));
    assert!(group.is_empty());
    worker.kill_tree().unwrap();
    std::fs::remove_dir(&group.0).unwrap();
    worker.kill_tree().unwrap();
}

#[test]
fn without_anything_that_holds_it_together_a_tree_is_not_killed() {
    let (mut ready, write) = pipe().unwrap();
    let worker = process()
        .run(say_and_sleep::task(write))
        .unwrap()
        .kill_on_drop(true);
    ready.read_exact(&mut [0]).unwrap();
    let error = worker.kill_tree().unwrap_err();
    assert!(
        error.is_invalid() && error.to_string().contains("process_group(0)"),
        "{error}"
    );
    assert!(is_alive(worker.id()));
    // Version 1 has no way to kill.
    if let Some(group) = OwnCgroup::make(Some("pids"), "tree") {
        let (mut ready, write) = pipe().unwrap();
        let worker = process()
            .cgroup(&group.0)
            .run(say_and_sleep::task(write))
            .unwrap();
        ready.read_exact(&mut [0]).unwrap();
        assert!(worker.kill_tree().unwrap_err().is_invalid());
        assert!(is_alive(worker.id()));
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
}

#[zygote::entry]
fn say_and_sleep(mut ready: PipeWriter) {
    ready.write_all(b".").unwrap();
    thread::sleep(Duration::from_secs(3600));
}

/// A program that shares a cgroup with its worker.
#[zygote::entry]
fn share(path: std::path::PathBuf) -> String {
    let (mut ready, write) = pipe().unwrap();
    let worker = process()
        .cgroup(path)
        .run(say_and_sleep::task(write))
        .unwrap()
        .kill_on_drop(true);
    ready.read_exact(&mut [0]).unwrap();
    let error = worker.kill_tree().unwrap_err();
    assert!(error.is_invalid() && is_alive(worker.id()));
    error.to_string()
}

#[test]
fn a_program_does_not_kill_itself() {
    let Some(group) = OwnCgroup::make(None, "shared") else {
        return;
    };
    let worker = process()
        .cgroup(&group.0)
        .run(share::task(group.0.clone()))
        .unwrap();
    let text = worker.join().unwrap();
    assert!(text.contains("the program itself"), "{text}");
}

#[test]
fn a_started_program_is_killed_with_its_children() {
    let mut command = zygote::Command::new("sh");
    let command = command.args(["-c", "sleep 60 & sleep 60"]).process_group(0);
    let child = command.spawn().unwrap();
    until("the tree stands", || members(child.id()) >= 3);
    child.kill_tree().unwrap();
    until("nothing is left", || members(child.id()) == 0);
}
