//! Workers in namespaces of their own, and the processes around them.

use std::{
    collections::BTreeMap,
    error::Error as _,
    fs,
    io::{PipeReader, PipeWriter, Read, Write, pipe},
    os::unix::process::parent_id,
    path::PathBuf,
    process::{self, id},
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::{SigSet, Signal, raise};
use zygote::{Command, Process, Worker, settings::Namespaces};

use crate::util::{
    Census, PATIENCE, alone, children, fds, is_alive, is_root, missing, signal, title, until,
    within,
};

const KINDS: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

#[zygote::entry]
fn links() -> BTreeMap<String, PathBuf> {
    let link = |kind: &&str| {
        Some((
            kind.to_string(),
            fs::read_link(format!("/proc/self/ns/{kind}")).ok()?,
        ))
    };
    KINDS.iter().filter_map(link).collect()
}

#[zygote::entry]
fn nothing() {}

/// A process with these, or why there is none: an unprivileged user needs a user
/// namespace, and may not have one.
pub(super) fn inside(namespaces: Namespaces) -> Option<Process> {
    let namespaces = if is_root() {
        namespaces
    } else {
        namespaces.map_root()
    };
    let process = || Process::new().unwrap().namespaces(namespaces.clone());
    match process().run(nothing::task()) {
        Ok(worker) => worker.join().unwrap(),
        Err(error) => {
            assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
            let source = error.source().unwrap().downcast_ref::<std::io::Error>();
            let errno = source.unwrap().raw_os_error().unwrap();
            assert!(
                [libc::EPERM, libc::EACCES, libc::ENOSPC, libc::ENOSYS].contains(&errno),
                "{error:?}"
            );
            missing(&format!("what was refused: {error}"), false);
            return None;
        }
    }
    Some(process())
}

pub(super) fn in_pid() -> Option<Process> {
    inside(Namespaces::new().mount().pid().proc("/proc"))
}

#[test]
fn each_namespace_is_new_and_the_others_are_not() {
    let new = Namespaces::new;
    let outside = links::spawn().unwrap().join().unwrap();
    let each = [
        ("cgroup", new().cgroup()),
        ("ipc", new().ipc()),
        ("mnt", new().mount()),
        ("net", new().net()),
        ("pid", new().pid()),
        ("time", new().time(0, 0)),
        ("user", new().map_current()),
        ("uts", new().uts()),
    ];
    for (kind, namespaces) in each {
        let Some(process) = inside(namespaces) else {
            continue;
        };
        let inside = process.run(links::task()).unwrap().join().unwrap();
        for other in KINDS {
            let differs = other == kind || (other == "user" && !is_root());
            assert_eq!(inside[other] != outside[other], differs, "{kind}: {other}");
        }
    }
}

#[zygote::entry]
#[allow(unsafe_code, reason = "nix has it behind another feature")]
fn rename_host() -> std::io::Result<String> {
    // SAFETY: the pointer and the length are those of the name.
    let result = unsafe { libc::sethostname(c"inside".as_ptr(), 6) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    fs::read_to_string("/proc/sys/kernel/hostname")
}

#[test]
fn a_host_name_stays_inside() {
    let Some(process) = inside(Namespaces::new().uts()) else {
        return;
    };
    let before = fs::read("/proc/sys/kernel/hostname").unwrap();
    let name = process.run(rename_host::task()).unwrap().join().unwrap();
    assert_eq!(name.unwrap(), "inside\n");
    assert_eq!(fs::read("/proc/sys/kernel/hostname").unwrap(), before);
}

#[zygote::entry]
fn interfaces() -> String {
    let list = fs::read_to_string("/proc/self/net/dev").unwrap();
    list.lines()
        .skip(2)
        .map(|line| line.split(':').next().unwrap().trim())
        .collect()
}

#[test]
fn a_new_network_has_a_loopback_only() {
    let Some(process) = inside(Namespaces::new().net()) else {
        return;
    };
    assert_eq!(
        process.run(interfaces::task()).unwrap().join().unwrap(),
        "lo"
    );
}

#[zygote::entry]
fn ids() -> (u32, u32, Vec<u32>) {
    (id(), parent_id(), crate::util::processes())
}

#[test]
fn a_worker_is_process_2_and_sees_nobody_else() {
    let Some(process) = in_pid() else { return };
    let worker = process.run(ids::task()).unwrap();
    assert_ne!(worker.id(), 2);
    let (own, parent, mut all) = worker.join().unwrap();
    all.sort_unstable();
    assert_eq!((own, parent, all), (2, 1, vec![1, 2]));
}

#[zygote::entry]
fn orphans() -> Vec<u32> {
    for _ in 0..20 {
        let made = process::Command::new("sh")
            .args(["-c", "(true &) ; (sleep 0.01 &)"])
            .status();
        assert!(made.unwrap().success());
    }
    let started = Instant::now();
    loop {
        let all = crate::util::processes();
        if all.len() == 2 || started.elapsed() > PATIENCE {
            return all;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn init_reaps_orphans() {
    let Some(process) = in_pid() else { return };
    let left = process.run(orphans::task()).unwrap().join().unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[zygote::entry]
#[allow(clippy::exit, reason = "this is about exiting")]
fn end_by(how: i32) -> u8 {
    match how {
        0 => {}
        101 => panic!("as it must"),
        code @ 1.. => std::process::exit(code),
        signal => raise(Signal::try_from(-signal).unwrap()).unwrap(),
    }
    7
}

#[test]
fn a_worker_behind_a_keeper_ends_as_any_other() {
    let Some(process) = in_pid() else { return };
    for how in [
        0,
        3,
        101,
        -libc::SIGKILL,
        -libc::SIGSEGV,
        -libc::SIGTERM,
        -libc::SIGABRT,
    ] {
        let worker = process.fork().unwrap().run(end_by::task(how)).unwrap();
        let exit = worker.wait().unwrap();
        let status = exit.status().unwrap();
        use std::os::unix::process::ExitStatusExt;
        let got = (status.code(), status.signal());
        let expected = if how < 0 {
            (None, Some(-how))
        } else {
            (Some(how), None)
        };
        assert_eq!(got, expected);
        // The worker's core is the only one.
        assert!(!status.core_dumped());
        assert!(exit.rusage().is_some());
        match worker.join() {
            Ok(value) => assert_eq!((value, how), (7, 0)),
            Err(error) => assert_eq!((error.is_panic(), error.is_signal()), (how == 101, how < 0)),
        }
    }
}

#[zygote::entry]
fn wait_for_signal(mut ready: PipeWriter) -> i32 {
    let all = SigSet::all();
    all.thread_block().unwrap();
    ready.write_all(b".").unwrap();
    all.wait().unwrap() as i32
}

#[test]
fn signals_reach_a_worker_through_its_keeper() {
    let Some(process) = in_pid() else { return };
    for number in [libc::SIGTERM, libc::SIGUSR1, libc::SIGCHLD, libc::SIGCONT] {
        let (mut ready, write) = pipe().unwrap();
        let worker = process
            .fork()
            .unwrap()
            .run(wait_for_signal::task(write))
            .unwrap();
        ready.read_exact(&mut [0]).unwrap();
        worker.signal(number).unwrap();
        assert_eq!(within(PATIENCE, || worker.join()).unwrap(), number);
    }
    let worker = process.fork().unwrap().run(sleep::task()).unwrap();
    worker.signal(libc::SIGTERM).unwrap();
    assert_eq!(worker.wait().unwrap().to_string(), "was killed by SIGTERM");
}

#[zygote::entry]
fn burn() {
    let script = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done";
    let mut child = process::Command::new("sh")
        .args(["-c", script])
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
    crate::util::burn(Duration::from_millis(20));
}

#[test]
fn the_usage_is_that_of_all_inside() {
    let Some(process) = in_pid() else { return };
    let worker = process.run(burn::task()).unwrap();
    let usage = worker.wait().unwrap().rusage().unwrap();
    // The worker's, its child's, and the keeper's, which is far below.
    assert!(
        usage.user + usage.system > Duration::from_millis(25),
        "{usage:?}"
    );
}

#[zygote::entry]
pub(super) fn sleep() {
    thread::sleep(Duration::from_secs(3600));
}

#[zygote::entry]
#[allow(clippy::zombie_processes, reason = "it is killed")]
fn sleep_in_tree(mut ready: PipeWriter) {
    process::Command::new("sh")
        .args(["-c", "setsid sleep 3600 & sleep 3600 & sleep 3600"])
        .spawn()
        .unwrap();
    ready.write_all(b".").unwrap();
    thread::sleep(Duration::from_secs(3600));
}

/// Keeper, `init`, the worker and what it has started.
fn tree(of: u32) -> Vec<u32> {
    let mut all = vec![of];
    let mut at = 0;
    while at < all.len() {
        all.extend(children(all[at]));
        at += 1;
    }
    all
}

fn sleeping(process: Process) -> (Worker<()>, Vec<u32>) {
    let (mut ready, write) = pipe().unwrap();
    let worker = process.run(sleep_in_tree::task(write)).unwrap();
    ready.read_exact(&mut [0]).unwrap();
    until("the tree stands", || tree(worker.id()).len() >= 6);
    let all = tree(worker.id());
    (worker, all)
}

#[test]
fn killing_any_of_the_three_leaves_nothing() {
    let Some(process) = in_pid() else { return };
    for victim in 0..3 {
        let (worker, all) = sleeping(process.fork().unwrap());
        assert_eq!(title(all[0]), "zygote: keeper");
        assert_eq!(title(all[1]), "zygote: init");
        assert_eq!((fds(all[0]), fds(all[1])), (1, 1));
        match victim {
            0 => worker.kill_tree().unwrap(),
            other => signal(all[other], libc::SIGKILL),
        }
        assert_eq!(worker.wait().unwrap().to_string(), "was killed by SIGKILL");
        until("nothing is left", || !all.iter().any(|pid| is_alive(*pid)));
        worker.kill_tree().unwrap();
    }
}

#[test]
fn what_a_worker_leaves_behind_dies_with_it() {
    let Some(process) = in_pid() else { return };
    let (mut alive, write) = pipe().unwrap();
    let worker = process.run(leave_behind::task(write)).unwrap();
    worker.join().unwrap();
    // It held the other end.
    within(PATIENCE, || alive.read_to_end(&mut Vec::new())).unwrap();
}

#[zygote::entry]
#[allow(clippy::zombie_processes, reason = "it is left behind")]
fn leave_behind(write: PipeWriter) {
    process::Command::new("sleep")
        .arg("3600")
        .stdout(write)
        .spawn()
        .unwrap();
}

/// A program of its own: has a worker inside, says which processes that makes,
/// and stays.
#[zygote::entry]
fn program(mut report: PipeWriter) {
    let process = inside(Namespaces::new().mount().pid().proc("/proc")).unwrap();
    let (_worker, all) = sleeping(process);
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    report.write_all(all.join(" ").as_bytes()).unwrap();
    drop(report);
    thread::sleep(Duration::from_secs(3600));
}

#[test]
fn nothing_is_left_of_a_program_that_is_killed() {
    if in_pid().is_none() {
        return;
    }
    let (mut report, write) = pipe().unwrap();
    let worker = program::spawn(write).unwrap();
    let mut text = String::new();
    report.read_to_string(&mut text).unwrap();
    let all: Vec<u32> = text.split(' ').map(|word| word.parse().unwrap()).collect();
    assert!(all.len() >= 6 && all.iter().all(|pid| is_alive(*pid)));
    worker.kill().unwrap();
    until("nothing is left", || !all.iter().any(|pid| is_alive(*pid)));
}

#[zygote::entry]
fn outlive(mut go: PipeReader, mut done: PipeWriter) {
    go.read_exact(&mut [0]).unwrap();
    done.write_all(b"done").unwrap();
}

/// A program that lets its worker live on.
#[zygote::entry]
fn detaching(by_setting: bool, go: PipeReader, done: PipeWriter) {
    let process = inside(Namespaces::new().mount().pid()).unwrap();
    if by_setting {
        process.detached().run(outlive::task(go, done)).unwrap();
    } else {
        process
            .run(outlive::task(go, done))
            .unwrap()
            .detach()
            .unwrap();
    }
    raise(Signal::SIGKILL).unwrap();
}

#[test]
fn a_detached_worker_outlives_its_program_with_its_namespace() {
    if in_pid().is_none() {
        return;
    }
    for by_setting in [false, true] {
        let (wait, mut go) = pipe().unwrap();
        let (mut done, write) = pipe().unwrap();
        let worker = detaching::spawn(by_setting, wait, write).unwrap();
        assert_eq!(worker.wait().unwrap().to_string(), "was killed by SIGKILL");
        // Its template dies a moment later.
        thread::sleep(Duration::from_millis(100));
        go.write_all(b".").unwrap();
        let mut text = String::new();
        within(PATIENCE, || done.read_to_string(&mut text)).unwrap();
        assert_eq!(text, "done");
    }
}

#[zygote::entry]
fn spawn_inside() -> u32 {
    let (own, parent, _) = ids::spawn().unwrap().join().unwrap();
    assert!(own > 2 && parent > 2, "{own} {parent}");
    own
}

#[test]
fn a_worker_inside_has_workers_of_its_own() {
    let Some(process) = in_pid() else { return };
    assert!(process.run(spawn_inside::task()).unwrap().join().unwrap() > 2);
}

#[test]
fn a_setting_that_fails_inside_leaves_nothing() {
    if in_pid().is_none() {
        return;
    }
    alone(|| {
        let census = Census::take();
        for _ in 0..10 {
            let process = in_pid().unwrap().current_dir("/no/such/place");
            let error = process.run(nothing::task()).unwrap_err();
            assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
            assert!(error.to_string().contains("/no/such/place"), "{error}");
        }
        census.check();
    });
}

#[test]
fn nothing_stays_of_workers_that_were_inside() {
    if in_pid().is_none() {
        return;
    }
    alone(|| {
        let census = Census::take();
        for _ in 0..20 {
            in_pid()
                .unwrap()
                .run(nothing::task())
                .unwrap()
                .join()
                .unwrap();
            in_pid()
                .unwrap()
                .run(sleep::task())
                .unwrap()
                .kill_tree()
                .unwrap();
        }
        census.check();
    });
}

#[test]
fn a_started_program_may_be_inside() {
    if in_pid().is_none() {
        return;
    }
    let new = Namespaces::new().mount().pid().proc("/proc");
    let new = if is_root() { new } else { new.map_root() };
    let mut command = Command::new("sh");
    let output = command
        .args(["-c", "echo $$; exit 3"])
        .namespaces(new)
        .output()
        .unwrap();
    assert_eq!(
        (&*output.stdout, output.status.code()),
        (&b"2\n"[..], Some(3))
    );
    let mut command = Command::new("sh");
    let command = command
        .args(["-c", "kill -TERM $$"])
        .namespaces(Namespaces::new().map_root().pid());
    assert_eq!(
        command.status().unwrap().to_string(),
        "signal: 15 (SIGTERM)"
    );
}

#[test]
fn a_proc_without_its_namespaces_is_an_error() {
    for namespaces in [
        Namespaces::new(),
        Namespaces::new().pid(),
        Namespaces::new().mount(),
    ] {
        let process = Process::new().unwrap().namespaces(namespaces.proc("/proc"));
        let error = process.run(nothing::task()).unwrap_err();
        assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
        assert!(
            error.to_string().contains("`proc` needs `mount` and `pid`"),
            "{error}"
        );
    }
}

#[zygote::entry]
fn uptime() -> u64 {
    monotonic()
}

#[allow(unsafe_code, reason = "nix has it behind another feature")]
fn monotonic() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live value.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.cast_unsigned()
}

#[test]
fn clocks_can_be_ahead() {
    let Some(process) = inside(Namespaces::new().time(100_000, 0)) else {
        return;
    };
    let ahead = process.run(uptime::task()).unwrap().join().unwrap() - monotonic();
    assert!((100_000..100_060).contains(&ahead), "{ahead}");
}
