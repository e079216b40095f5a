//! Signal handlers that a preload installs: their code is there in the forks.

use std::{
    os::unix::process::ExitStatusExt,
    process::exit,
    sync::atomic::{AtomicI32, Ordering},
    thread,
    time::Duration,
};

use zygote::{Process, Sender};

use crate::util::{self, watchdog};

static CAUGHT: AtomicI32 = AtomicI32::new(0);

extern "C" fn catch(_: i32) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
}

#[allow(unsafe_code, reason = "there is no safe sigaction(2) at hand")]
fn handle(signal: i32, handler: libc::sighandler_t, flags: i32) {
    // SAFETY: an all-zero sigaction is one.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags | libc::SA_RESTART;
    // SAFETY: the handler is `catch`, which only counts, or none.
    let set = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    assert_eq!(set, 0);
}

fn catcher() -> libc::sighandler_t {
    let handler: extern "C" fn(i32) = catch;
    handler as libc::sighandler_t
}

const CATCH: u8 = 0;
const IGNORE: u8 = 1;
const DEFAULT: u8 = 2;
const CATCH_AND_FORGET: u8 = 3;

/// As libraries do that want to hear of a signal.
#[zygote::preload]
fn disposes(signal: i32, how: u8) {
    match how {
        CATCH => handle(signal, catcher(), 0),
        IGNORE => handle(signal, libc::SIG_IGN, 0),
        DEFAULT => handle(signal, libc::SIG_DFL, 0),
        _ => handle(signal, catcher(), libc::SA_NOCLDWAIT),
    }
}

fn disposed(signal: i32, how: u8) -> Process {
    let process = Process::new().unwrap();
    process.preload(disposes::task(signal, how)).unwrap()
}

#[zygote::entry]
fn caught(ready: Sender<()>) -> i32 {
    ready.send(()).unwrap();
    while CAUGHT.load(Ordering::Relaxed) == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    CAUGHT.load(Ordering::Relaxed)
}

#[zygote::entry]
fn exits(code: i32) {
    #[expect(clippy::exit, reason = "what the test is about")]
    exit(code);
}

#[test]
fn a_handler_of_a_preload_runs_in_its_forks() {
    let _limit = watchdog(30);
    for signal in [libc::SIGUSR1, libc::SIGTERM, libc::SIGPIPE, libc::SIGCHLD] {
        let process = disposed(signal, CATCH);
        for round in 0..4 {
            let fork = process.fork().unwrap();
            let fork = if round == 3 {
                fork.fork().unwrap()
            } else {
                fork
            };
            let (ready, told) = zygote::channel().unwrap();
            let worker = fork.run(caught::task(ready)).unwrap();
            told.recv().unwrap();
            worker.signal(signal).unwrap();
            assert_eq!(worker.join().unwrap(), 1, "{signal} {round}");
        }
    }
}

#[zygote::entry]
fn signals() -> [String; 3] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    ["SigCgt", "SigIgn", "SigBlk"].map(|name| util::field(&status, name))
}

fn sets(process: &Process) -> [u64; 3] {
    let worker = process.fork().unwrap().run(signals::task()).unwrap();
    let sets = worker.join().unwrap();
    sets.map(|set| u64::from_str_radix(&set, 16).unwrap())
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

#[test]
fn dispositions_of_a_preload_are_those_of_its_forks() {
    let _limit = watchdog(30);
    let [caught, ignored, _] = sets(&Process::new().unwrap());
    let (usr, pipe) = (bit(libc::SIGUSR1), bit(libc::SIGPIPE));
    assert_eq!((caught & usr, ignored & (usr | pipe)), (0, pipe));
    for (signal, how, expected) in [
        (libc::SIGUSR1, CATCH, [caught | usr, ignored, 0]),
        (libc::SIGUSR1, IGNORE, [caught, ignored | usr, 0]),
        (libc::SIGPIPE, DEFAULT, [caught, ignored & !pipe, 0]),
        (libc::SIGPIPE, CATCH, [caught | pipe, ignored & !pipe, 0]),
        // Without its handler a worker cannot be detached, which is said then.
        (
            libc::SIGURG,
            DEFAULT,
            [caught & !bit(libc::SIGURG), ignored, 0],
        ),
    ] {
        assert_eq!(sets(&disposed(signal, how)), expected, "{signal} {how}");
    }
}

#[test]
fn a_template_sees_its_children_end_whatever_a_preload_does() {
    let _limit = watchdog(30);
    for how in [CATCH, IGNORE, DEFAULT, CATCH_AND_FORGET] {
        let process = disposed(libc::SIGCHLD, how);
        for code in 3..8 {
            let worker = process.fork().unwrap().run(exits::task(code)).unwrap();
            let exit = worker.wait().unwrap();
            assert_eq!(exit.status().unwrap().code(), Some(code), "{how}");
            assert_eq!(exit.status().unwrap().signal(), None);
        }
        let [caught, ignored, _] = sets(&process);
        let is_caught = matches!(how, CATCH | CATCH_AND_FORGET);
        assert_eq!(caught & bit(libc::SIGCHLD) != 0, is_caught, "{how}");
        assert_eq!(ignored & bit(libc::SIGCHLD), 0, "{how}");
    }
}
