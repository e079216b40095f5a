//! A worker is killed with all that it has started.

use std::{
    io::{PipeWriter, Read, Write, pipe},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use zygote::{
    Process, Stdio, Worker,
    settings::{Capability, Namespaces},
};

use crate::util::{
    OwnCgroup, PATIENCE, is_alive, may, may_change_user, missing, processes, until, watchdog,
    within,
};

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

/// A shell that leaves its session, and one that waits for it.
const ESCAPES: &str = "setsid sleep 60 & sleep 60";

/// What a worker is in.
#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Held {
    /// Whether its PID namespace is another than that of the caller.
    namespace: bool,
    /// Whether its user namespace is.
    user: bool,
    uid: u32,
}

fn link(name: &str) -> PathBuf {
    std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap()
}

#[zygote::entry]
fn held(pid: PathBuf, user: PathBuf) -> Held {
    Held {
        namespace: link("pid") != pid,
        user: link("user") != user,
        uid: nix::unistd::getuid().as_raw(),
    }
}

/// Tells what holds a tree of this process's workers, and whether a kill ends everything
/// that has `script`'s stdout.
#[zygote::entry]
fn tries_a_tree(script: String) -> (Held, bool) {
    let held = process()
        .tree()
        .run(held::task(link("pid"), link("user")))
        .and_then(Worker::join)
        .unwrap();
    (held, is_killed_whole(&script))
}

fn is_killed_whole(script: &str) -> bool {
    let process = process().tree().stdout(Stdio::piped());
    let mut worker = process.run(shell::task(format!("echo; {script}"))).unwrap();
    let mut out = worker.take_stdout().unwrap();
    out.read_exact(&mut [0]).unwrap();
    // The shell has begun, and starts them within a moment.
    thread::sleep(Duration::from_millis(100));
    worker.kill().unwrap();
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(out.read_to_end(&mut Vec::new())));
    let is_closed = end.recv_timeout(Duration::from_secs(3)).is_ok();
    assert_eq!(worker.wait().unwrap().to_string(), "was killed by SIGKILL");
    is_closed
}

#[test]
fn a_tree_is_held_by_a_pid_namespace_if_that_is_allowed() {
    let _watchdog = watchdog(30);
    if missing("the right to make namespaces", may(Capability::SysAdmin)) {
        return;
    }
    let (held, is_whole) = tries_a_tree::spawn(ESCAPES.into()).unwrap().join().unwrap();
    let expected = Held {
        namespace: true,
        user: false,
        uid: nix::unistd::getuid().as_raw(),
    };
    assert_eq!((held, is_whole), (expected, true));
}

#[test]
fn a_tree_without_rights_is_held_inside_a_user_namespace() {
    let _watchdog = watchdog(30);
    if missing("the right to change the user", may_change_user()) {
        return;
    }
    let process = process().uid(65534).gid(65534).groups([]);
    let (held, is_whole) = process
        .run(tries_a_tree::task(ESCAPES.into()))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(held.uid, 65534);
    // Some machines give a user namespace no rights.
    assert_eq!(held.namespace, held.user);
    assert_eq!(is_whole, held.namespace);
}

/// Tries a tree where no namespace can be made.
#[zygote::entry]
fn tries_without_namespaces(script: String) -> (Held, bool) {
    for kind in ["user", "pid"] {
        std::fs::write(format!("/proc/sys/user/max_{kind}_namespaces"), "0").unwrap();
    }
    tries_a_tree::spawn(script).unwrap().join().unwrap()
}

#[test]
fn a_tree_without_namespaces_is_held_by_a_session() {
    let _watchdog = watchdog(30);
    if missing("the right to make namespaces", may(Capability::SysAdmin)) {
        return;
    }
    for (script, expected) in [("sleep 60 & sleep 60", true), (ESCAPES, false)] {
        let process = process().namespaces(Namespaces::new().map_root().pid());
        let worker = process.run(tries_without_namespaces::task(script.into()));
        let (held, is_whole) = worker.unwrap().join().unwrap();
        assert!(!held.namespace && !held.user, "{held:?}");
        assert_eq!(is_whole, expected, "{script}");
    }
}

#[test]
fn other_settings_hold_beside_a_tree() {
    let _watchdog = watchdog(30);
    for process in [
        process().tree().session(),
        process().tree().process_group(0),
        process().process_group(0).tree(),
        process().tree().tree(),
    ] {
        let worker = process.spawn(shell::task("exit 0".into())).unwrap();
        assert!(worker.join().unwrap());
    }
}

#[test]
fn what_a_worker_leaves_behind_ends_with_it() {
    let _watchdog = watchdog(30);
    if missing("the right to make namespaces", may(Capability::SysAdmin)) {
        return;
    }
    let process = process().tree().stdout(Stdio::piped());
    let mut worker = process.run(leave::task(ESCAPES.into())).unwrap();
    let mut out = worker.take_stdout().unwrap();
    worker.join().unwrap();
    within(PATIENCE, || out.read_to_end(&mut Vec::new())).unwrap();
}

#[test]
fn a_program_is_killed_with_what_it_has_started() {
    let _watchdog = watchdog(30);
    let mut command = zygote::Command::new("sh");
    command
        .args(["-c", "echo begun; sleep 60 & sleep 60"])
        .tree();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    assert!(
        child
            .wait_with_output_timeout(Duration::from_millis(200))
            .unwrap()
            .is_none()
    );
    child.kill().unwrap();
    // Both sleeps hold the pipe.
    let output = within(PATIENCE, || child.wait_with_output()).unwrap();
    assert_eq!(output.stdout, b"begun\n");
    assert_eq!(output.status.signal(), Some(9));
    let error = command
        .output_timeout(Duration::from_millis(200))
        .unwrap_err();
    assert!(error.is_timeout());
}

#[test]
fn dropping_a_handle_kills_the_tree_if_it_kills_the_worker() {
    let _watchdog = watchdog(30);
    let process = process().tree().stdout(Stdio::piped());
    let mut worker = process
        .run(shell::task("echo; sleep 60 & sleep 60".into()))
        .unwrap();
    let mut out = worker.take_stdout().unwrap();
    out.read_exact(&mut [0]).unwrap();
    drop(worker.kill_on_drop(true));
    within(PATIENCE, || out.read_to_end(&mut Vec::new())).unwrap();
}
