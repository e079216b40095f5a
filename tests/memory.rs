//! A worker that gets no memory says so before it dies. It is a test program of its
//! own, because of its allocator.

#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "these are tests"
)]

use std::{
    alloc::System,
    env,
    hint::black_box,
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    process::abort,
    thread,
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, send},
};
use zygote::{
    Allocator, Command, Error, Process, Stdio, Worker,
    settings::{Namespaces, Resource},
};

#[path = "util/mod.rs"]
mod util;

use util::{Census, alone, forked, may, watchdog};

zygote::early!();

#[global_allocator]
static ALLOCATOR: Allocator = Allocator::new(System);

/// More than any process can have.
const HUGE: usize = isize::MAX as usize / 2;

/// A process whose workers write no message of an allocation that failed. (With a
/// backtrace it takes time, and Rust looks into /proc for it.)
fn quiet() -> Process {
    let process = Process::new().unwrap().stderr(Stdio::null());
    process.env("RUST_BACKTRACE", "0")
}

fn failure<R>(worker: zygote::Result<Worker<R>>) -> Error {
    match worker.and_then(Worker::join) {
        Ok(_) => panic!("it had the memory"),
        Err(error) => error,
    }
}

/// Checks that it died for want of so many bytes, or of a number that is not known.
#[track_caller]
fn assert_starved(error: &Error, bytes: Option<usize>) {
    let exit = error.exit().unwrap();
    assert!(error.is_out_of_memory() && error.is_signal(), "{error:?}");
    assert_eq!(exit.status().unwrap().signal(), Some(libc::SIGABRT));
    let size = bytes.map_or(String::new(), |bytes| format!("{bytes} bytes of "));
    let expected = format!("{exit}: {size}memory could not be had");
    assert!(error.message().ends_with(&expected), "{error}");
}

/// Checks that it was killed by SIGABRT, and that the error says nothing of memory.
#[track_caller]
fn assert_aborted(error: &Error) {
    assert!(error.is_signal() && !error.is_out_of_memory(), "{error:?}");
    let exit = error.exit().unwrap();
    assert_eq!(exit.status().unwrap().signal(), Some(libc::SIGABRT));
    assert!(!error.message().contains("memory"), "{error}");
}

fn take(bytes: usize) -> usize {
    black_box(vec![1_u8; bytes]).len()
}

/// Asks for memory in vain, and goes on.
fn miss(bytes: usize) {
    let mut vec = Vec::<u8>::new();
    assert!(vec.try_reserve_exact(bytes).is_err());
    black_box(vec);
}

#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
enum Way {
    Zeroed,
    Larger,
    InThread,
    AfterOthers,
}

#[zygote::entry]
fn starve(way: Way) {
    match way {
        Way::Zeroed => drop(black_box(vec![0_u8; HUGE])),
        Way::Larger => {
            let mut vec = black_box(vec![1_u8; 100]);
            vec.reserve_exact(HUGE - 100);
            black_box(vec);
        }
        Way::InThread => {
            let thread = thread::spawn(|| drop(black_box(Vec::<u8>::with_capacity(HUGE))));
            let _ = thread.join();
        }
        Way::AfterOthers => {
            (1..15).for_each(|n| miss(HUGE - n));
            black_box(Vec::<u8>::with_capacity(HUGE));
        }
    }
}

#[test]
fn the_error_has_the_size_and_nothing_is_left() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        let process = quiet();
        for way in [Way::Zeroed, Way::Larger, Way::InThread, Way::AfterOthers] {
            assert_starved(&failure(process.spawn(starve::task(way))), Some(HUGE));
        }
        for _ in 0..100 {
            let worker = process.spawn(starve::task(Way::Zeroed)).unwrap();
            assert_starved(&failure(Ok(worker)), Some(HUGE));
        }
        drop(process);
        before.check();
    });
}

/// How a worker goes on that asked for memory in vain.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Then {
    Return,
    Panic,
    Exit,
    Abort,
}

#[zygote::entry]
fn go_on(misses: usize, then: Then) -> usize {
    (0..misses).for_each(|n| miss(HUGE + n));
    match then {
        Then::Return => misses,
        Then::Panic => panic!("for another reason"),
        #[allow(clippy::exit, reason = "this is about exiting")]
        Then::Exit => std::process::exit(3),
        Then::Abort => abort(),
    }
}

#[test]
fn an_allocation_that_failed_is_no_death() {
    let _limit = watchdog(60);
    let process = quiet();
    let run = |misses, then| process.spawn(go_on::task(misses, then)).unwrap().join();
    for misses in [1, 100] {
        assert_eq!(run(misses, Then::Return).unwrap(), misses);
        let error = run(misses, Then::Panic).unwrap_err();
        assert!(error.is_panic() && !error.is_out_of_memory(), "{error:?}");
        let error = run(misses, Then::Exit).unwrap_err();
        assert!(error.is_exit() && !error.is_out_of_memory(), "{error:?}");
    }
    assert_aborted(&run(0, Then::Abort).unwrap_err());
}

/// The documentation says so: nobody can tell why it aborts.
#[test]
fn an_abort_behind_one_that_failed_is_told_by_it() {
    let _limit = watchdog(60);
    let process = quiet();
    let run = |misses| failure(process.spawn(go_on::task(misses, Then::Abort)));
    assert_starved(&run(1), Some(HUGE));
    assert_starved(&run(15), Some(HUGE + 14));
    // From the sixteenth on nothing more is told, so no size is known.
    assert_starved(&run(16), None);
    assert_starved(&run(100), None);
}

/// Its own socket: the one that it was not passed.
fn own_socket() -> i32 {
    let is_socket = |fd: &i32| {
        std::fs::read_link(format!("/proc/self/fd/{fd}"))
            .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    (3..256).find(is_socket).unwrap()
}

/// Fills its socket, and tells which errno a failed allocation leaves then.
#[zygote::entry]
fn fill(mut told: std::io::PipeWriter) -> u8 {
    const READY: [u8; 24] = *b"zyg1\x26\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    while send(own_socket(), &READY, MsgFlags::MSG_DONTWAIT).is_ok() {}
    Errno::clear();
    miss(HUGE);
    let errno = Errno::last_raw();
    told.write_all(&errno.to_ne_bytes()).unwrap();
    7
}

#[test]
fn a_full_socket_neither_blocks_nor_changes_errno() {
    let _limit = watchdog(30);
    let (mut told, end) = std::io::pipe().unwrap();
    // Nobody reads the socket before `join`.
    let worker = fill::spawn(end).unwrap();
    let mut errno = [0; 4];
    told.read_exact(&mut errno).unwrap();
    assert_eq!(i32::from_ne_bytes(errno), libc::ENOMEM);
    assert_eq!(worker.join().unwrap(), 7);
}

/// Gives its result by itself after memory that it could not have, and then aborts.
#[zygote::entry]
fn value_then_abort() -> String {
    miss(HUGE);
    let body = [&5_u64.to_le_bytes()[..], b"value"].concat();
    let mut message = b"zyg1\x23\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    message.extend((body.len() as u64).to_le_bytes());
    message.extend(body);
    send(own_socket(), &message, MsgFlags::empty()).unwrap();
    abort();
}

#[test]
fn a_result_stays_one_however_the_worker_ends() {
    let _limit = watchdog(30);
    let worker = quiet().run(value_then_abort::task()).unwrap();
    let exit = worker.wait().unwrap();
    assert_eq!(exit.status().unwrap().signal(), Some(libc::SIGABRT));
    assert_eq!(worker.join().unwrap(), "value");
}

/// It starves in processes that ask for it.
#[zygote::hook(worker)]
fn hungry() {
    if env::var_os("HUNGRY").is_some() {
        take(HUGE);
    }
}

#[test]
fn a_hook_of_a_worker_that_fails_is_told() {
    let _limit = watchdog(30);
    let process = quiet().env("HUNGRY", "yes");
    let error = process.run(go_on::task(0, Then::Return)).unwrap_err();
    assert_starved(&error, Some(HUGE));
    assert!(error.is_unstarted());
}

#[zygote::entry]
fn need(bytes: usize) -> usize {
    take(bytes)
}

#[test]
fn limits_are_told() {
    let _limit = watchdog(30);
    let process = quiet().rlimit(Resource::As, 1 << 30, 1 << 30);
    assert_eq!(
        process.spawn(need::task(1 << 20)).unwrap().join().unwrap(),
        1 << 20
    );
    assert_starved(&failure(process.spawn(need::task(1 << 31))), Some(1 << 31));
}

#[cfg(feature = "confine")]
#[test]
fn a_confined_worker_can_tell() {
    let _limit = watchdog(30);
    use zygote::settings::Confine;
    let confines = [
        Confine::compute(),
        Confine::compute().sockets(),
        Confine::compute().strict(),
    ];
    for confine in confines {
        let process = quiet().confine(confine.memory(16 << 20));
        assert_eq!(
            process.spawn(need::task(1 << 20)).unwrap().join().unwrap(),
            1 << 20
        );
        assert_starved(
            &failure(process.spawn(need::task(32 << 20))),
            Some(32 << 20),
        );
    }
}

#[test]
fn a_worker_behind_a_keeper_can_tell() {
    let _limit = watchdog(30);
    let is_root = may(zygote::settings::Capability::SysAdmin);
    if util::missing("the right to make namespaces", is_root) {
        return;
    }
    let process = quiet().namespaces(Namespaces::new().pid());
    match process.run(starve::task(Way::Zeroed)) {
        Err(error) if error.is_setting() => drop(util::missing("PID namespaces", false)),
        worker => assert_starved(&failure(worker), Some(HUGE)),
    }
}

/// A copy of it fails to allocate, which is not its own failure.
#[zygote::entry]
fn fork_and_abort() {
    assert!(forked(|| miss(HUGE)).success());
    abort();
}

#[zygote::preload]
fn load() -> Vec<u8> {
    miss(HUGE);
    Vec::with_capacity(HUGE)
}

/// What becomes of a preload in a copy of the worker: the program's view of it.
#[zygote::entry]
fn preload_in_a_copy() -> (bool, String) {
    let error = Process::fork_current()
        .unwrap()
        .preload(load::task())
        .unwrap_err();
    (error.is_out_of_memory(), error.message().to_owned())
}

#[test]
fn only_workers_tell() {
    let _limit = watchdog(30);
    assert_aborted(&failure(quiet().spawn(fork_and_abort::task())));
    assert_aborted(&quiet().preload(load::task()).unwrap_err());
    let (is_told, text) = quiet()
        .spawn(preload_in_a_copy::task())
        .unwrap()
        .join()
        .unwrap();
    assert!(
        !is_told && text.contains("SIGABRT") && !text.contains("memory"),
        "{text}"
    );

    let status = Command::new("sh")
        .args(["-c", "kill -ABRT $$"])
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(libc::SIGABRT));
    // What comes before a program is its own: an abort there is its status.
    let mut command = Command::new("true");
    let step = command.before_exec(step::task()).stderr(Stdio::null());
    assert_eq!(step.status().unwrap().signal(), Some(libc::SIGABRT));
}

#[zygote::entry]
fn step() -> std::io::Result<()> {
    take(HUGE);
    Ok(())
}

#[test]
fn the_program_goes_on_as_before() {
    let _limit = watchdog(30);
    alone(|| {
        let before = Census::take();
        for n in 0..100 {
            miss(HUGE + n);
        }
        assert_eq!(
            quiet().spawn(need::task(1000)).unwrap().join().unwrap(),
            1000
        );
        before.check();
    });
}
