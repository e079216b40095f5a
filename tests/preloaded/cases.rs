//! The cases, for both ways to get a template.

#![allow(
    unsafe_code,
    dead_code,
    clippy::unwrap_used,
    reason = "the test reads numbers of an object in C, and helpers are shared"
)]

use std::{
    ffi::CStr,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, id},
    time::Duration,
};

use nix::fcntl::{Flock, FlockArg};
use zygote::Process;

use self::probe::{Probe, command, play, say, until};

#[path = "../probe/mod.rs"]
mod probe;

#[test]
fn probe_roles() {
    play(|role| match role {
        "works" => works(),
        "threaded" => threaded(),
        _ => panic!("no role {role}"),
    });
}

/// The number that the object keeps under this name.
fn counted(name: &CStr) -> i32 {
    // SAFETY: the name ends in NUL.
    let number = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    assert!(!number.is_null(), "the object is not loaded");
    // SAFETY: it is an `int` of the object, which only forks change.
    unsafe { *number.cast() }
}

/// The descriptors of the caller but for the one that lists them, how many numbers
/// are taken and can be used for nothing, and how often the handlers ran on its way
/// here: before forks, and in the children.
#[zygote::entry]
fn look() -> (Vec<(i32, String)>, usize, i32, i32) {
    let mut list = probe::descriptors(id());
    let own = format!("/proc/{}/fd", id());
    list.retain(|(_, target)| *target != own);
    let all = list.len();
    list.retain(|(number, _)| !is_taken(*number));
    let taken = all - list.len();
    let (prepared, children) = (c"preloaded_prepared", c"preloaded_children");
    (list, taken, counted(prepared), counted(children))
}

/// Whether it is open, and can neither be read nor written.
fn is_taken(number: i32) -> bool {
    // SAFETY: F_GETFL reads flags and touches no memory.
    unsafe { libc::fcntl(number, libc::F_GETFL) & libc::O_PATH != 0 }
}

fn check(seen: (Vec<(i32, String)>, usize, i32, i32), forks: i32) {
    let (list, taken, prepared, children) = seen;
    assert_eq!(taken, 6, "the object knows the numbers of so many");
    let numbers: Vec<_> = list.iter().map(|(number, _)| *number).collect();
    assert!(numbers.starts_with(&[0, 1, 2]), "{list:?}");
    assert_eq!(list.len(), 4, "{list:?}");
    assert!(list[3].1.starts_with("socket:"), "{list:?}");
    // A template may have forked others before.
    assert!(prepared >= forks, "{prepared}");
    assert_eq!(children, forks);
}

fn works() {
    for _ in 0..20 {
        check(look::spawn().unwrap().join().unwrap(), 1);
    }
    let process = Process::new().unwrap();
    check(
        process
            .fork()
            .unwrap()
            .run(look::task())
            .unwrap()
            .join()
            .unwrap(),
        2,
    );
    check(process.run(look::task()).unwrap().join().unwrap(), 1);
    // No fork of this program ran a handler.
    assert_eq!(counted(c"preloaded_prepared"), 0);
    let zeros = probe::descriptors(id()).into_iter();
    assert_eq!(zeros.filter(|(_, target)| target == "/dev/zero").count(), 5);
    say("done", "");
    assert_eq!(probe::hear(), "end");
}

fn threaded() {
    for _ in 0..2 {
        let error = look::spawn().unwrap_err();
        assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
        assert!(
            error.to_string().contains("others are: preloaded"),
            "{error:?}"
        );
    }
    say("done", "");
    assert_eq!(probe::hear(), "end");
}

/// The object, compiled, and a file for it to lock.
fn object(directory: &Path) -> (PathBuf, PathBuf) {
    let (object, lock) = (directory.join("object.so"), directory.join("lock"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/preloaded/object.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-pthread", "-o"])
        .args([&object, &source])
        .status();
    assert!(compiled.unwrap().success());
    File::create(&lock).unwrap();
    (object, lock)
}

fn is_free(lock: &Path) -> bool {
    Flock::lock(File::open(lock).unwrap(), FlockArg::LockExclusiveNonblock).is_ok()
}

#[track_caller]
fn run(role: &str, thread: bool) {
    let directory = tempfile::tempdir().unwrap();
    let (object, lock) = object(directory.path());
    let mut command = command(role);
    command
        .env("LD_PRELOAD", object)
        .env("PRELOADED_LOCK", &lock);
    if thread {
        command.env("PRELOADED_THREAD", "1");
    }
    let mut probe = Probe::spawn(command);
    probe.expect("done");
    assert!(!is_free(&lock), "a template has given the lock back");
    probe.tell("end");
    probe.finish();
    // It was nobody else's.
    assert!(until(Duration::from_secs(5), || is_free(&lock)));
}

#[test]
fn a_preloaded_object_leaves_handlers_descriptors_and_a_lock() {
    run("works", false);
}

#[test]
fn the_thread_of_a_preloaded_object_is_named() {
    run("threaded", true);
}
