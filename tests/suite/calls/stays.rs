//! What stays in a live worker from call to call, and what does not: the rows of the two
//! tables in SECURITY.md.

#![allow(unsafe_code, reason = "what an entry may do")]

use std::{
    cell::Cell,
    env,
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsRawFd, IntoRawFd},
    panic,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    thread,
    time::Duration,
};

use nix::{
    sys::{
        resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit},
        signal::{SigHandler, SigSet, Signal, signal},
        stat::{Mode, umask},
        time::TimeValLike,
    },
    unistd::{alarm, dup2_stdout},
};
use zygote::{Process, Service, Task};

use super::{LONG, add, begun, counting, log, service};
use crate::util::{self, burn, watchdog};

/// The names in the first column of the table below this heading.
fn rows(heading: &str) -> Vec<&'static str> {
    let page = include_str!("../../../SECURITY.md");
    let (_, below) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = below.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let names = rows.filter_map(|row| row.split(" | ").next());
    names.skip(1).collect()
}

static VARIABLE: AtomicU32 = AtomicU32::new(0);
static TICKS: AtomicU32 = AtomicU32::new(0);
static HOOKED: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static OWN: Cell<u32> = const { Cell::new(0) };
}

extern "C" fn handle(_: i32) {}

/// What a call leaves, by the name of its row.
#[zygote::entry]
fn leave(what: String, log: File) {
    match &*what {
        "current directory" => env::set_current_dir("/proc").unwrap(),
        // SAFETY: the worker has one thread.
        "environment" => unsafe { env::set_var("ZYGOTE_LEFT", "left") },
        "umask" => drop(umask(Mode::from_bits_truncate(0o123))),
        "open descriptors" => drop(log.into_raw_fd()),
        "standard streams" => dup2_stdout(&log).unwrap(),
        "statics and other memory" => VARIABLE.store(7, SeqCst),
        "thread-locals" => OWN.set(7),
        "threads" => drop(thread::spawn(|| {
            loop {
                TICKS.fetch_add(1, SeqCst);
                thread::sleep(Duration::from_millis(1));
            }
        })),
        "processes that it has started" => drop(Command::new("sleep").arg("1").spawn().unwrap()),
        // SAFETY: the handler does nothing.
        "signal handlers" => drop(unsafe { signal(Signal::SIGUSR1, SigHandler::Handler(handle)) }),
        "blocked signals" => SigSet::from(Signal::SIGUSR2).thread_block().unwrap(),
        "timers" => drop(alarm::set(3600)),
        "panic hook" => panic::set_hook(Box::new(|_| {
            HOOKED.fetch_add(1, SeqCst);
        })),
        "limits, and rights that it has given up" => {
            let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
            setrlimit(Resource::RLIMIT_NOFILE, soft - 1, hard - 1).unwrap();
            nix::sys::prctl::set_no_new_privs().unwrap();
        }
        "CPU time that it has used" => burn(Duration::from_millis(60)),
        other => panic!("{other}"),
    }
}

/// What a later call finds of it: nothing is "0" or "".
#[zygote::entry]
fn find(what: String) -> String {
    let number = |counter: &AtomicU32| counter.load(SeqCst).to_string();
    match &*what {
        "current directory" => env::current_dir().unwrap().display().to_string(),
        "environment" => env::var("ZYGOTE_LEFT").unwrap_or_default(),
        "umask" => {
            let found = umask(Mode::empty());
            umask(found);
            format!("{found:?}")
        }
        "open descriptors" => util::fds(std::process::id()).to_string(),
        "standard streams" => format!("{:?}", Path::new("/proc/self/fd/1").read_link().unwrap()),
        "statics and other memory" => number(&VARIABLE),
        "thread-locals" => OWN.get().to_string(),
        "threads" => {
            let before = TICKS.load(SeqCst);
            thread::sleep(Duration::from_millis(50));
            (TICKS.load(SeqCst) > before).to_string()
        }
        "processes that it has started" => util::children(std::process::id()).len().to_string(),
        "signal handlers" => {
            // SAFETY: so that it harms nobody who has no handler.
            let found = unsafe { signal(Signal::SIGUSR1, SigHandler::SigIgn) }.unwrap();
            matches!(found, SigHandler::Handler(_)).to_string()
        }
        "blocked signals" => {
            let blocked = SigSet::thread_get_mask().unwrap();
            blocked.contains(Signal::SIGUSR2).to_string()
        }
        "timers" => alarm::cancel().is_some().to_string(),
        "panic hook" => {
            drop(panic::catch_unwind(|| panic!("for the hook")));
            number(&HOOKED)
        }
        "limits, and rights that it has given up" => {
            let limit = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
            let is_given_up = nix::sys::prctl::get_no_new_privs().unwrap();
            format!("{limit:?} {is_given_up}")
        }
        "CPU time that it has used" => {
            let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
            let used = usage.user_time() + usage.system_time();
            (used.num_milliseconds() >= 60).to_string()
        }
        other => panic!("{other}"),
    }
}

/// What is found in a worker in which nothing was left.
fn untouched(what: &str) -> String {
    service().call(find::task(what.to_owned())).join().unwrap()
}

#[test]
fn what_a_call_leaves_is_there_in_the_next_one_and_in_no_other_worker() {
    let _limit = watchdog(60);
    let mut rows = rows("What stays in a live worker");
    assert_eq!(rows.remove(0), "preloaded value");
    assert_eq!(rows.len(), 15, "{rows:?}");
    for what in rows {
        let before = untouched(what);
        let service = service();
        let left = service.call(leave::task(what.to_owned(), log()));
        left.join().unwrap();
        let found = service.call(find::task(what.to_owned())).join().unwrap();
        assert_ne!(found, before, "{what}");
        assert_eq!(untouched(what), before, "{what}");
        service.kill().unwrap();
    }
    let service = counting();
    let sums = [1, 2].map(|n| service.call(add::task(n)).join().unwrap());
    assert_eq!(sums, [6, 8], "the preloaded value");
    assert_eq!(counting().call(add::task(1)).join().unwrap(), 6);
}

/// Tells how many descriptors there are while it has this one.
#[zygote::entry]
fn with_file(_file: File) -> usize {
    util::fds(std::process::id())
}

#[zygote::entry]
fn descriptors() -> usize {
    util::fds(std::process::id())
}

#[zygote::entry]
fn half_a_line() {
    io::stdout().write_all(b"half").unwrap();
}

#[zygote::entry]
fn panics() {
    panic!("on request");
}

#[zygote::entry]
fn waits_for_a_cancel() {
    while !zygote::call::is_cancelled() {
        thread::sleep(Duration::from_millis(1));
    }
}

#[zygote::entry]
fn is_cancelled() -> bool {
    zygote::call::is_cancelled()
}

fn run<R>(service: &Service, task: Task<R>) -> R {
    service.call(task).join().unwrap()
}

#[test]
fn what_does_not_stay_is_gone_when_the_call_is_answered() {
    let _limit = watchdog(60);
    let rows = rows("What does not stay");
    let (output, input) = (log(), log());
    let process = Process::new().unwrap().stdout(output.try_clone().unwrap());
    let service = process.serve().unwrap();
    for row in &rows {
        match *row {
            "arguments, with their descriptors" => {
                let before = run(&service, descriptors::task());
                let with = run(&service, with_file::task(input.try_clone().unwrap()));
                assert_eq!(
                    (with, run(&service, descriptors::task())),
                    (before + 1, before)
                );
            }
            "output that was not written yet" => {
                run(&service, half_a_line::task());
                let mut text = String::new();
                let path = format!("/proc/self/fd/{}", output.as_raw_fd());
                File::open(path).unwrap().read_to_string(&mut text).unwrap();
                assert_eq!(text, "half");
            }
            "a panic" => {
                let error = service.call(panics::task()).join().unwrap_err();
                assert!(error.is_panic());
                assert!(run(&service, descriptors::task()) > 0);
            }
            "the wish to cancel" => {
                let call = service.call(waits_for_a_cancel::task());
                begun(&call);
                assert!(!call.cancel());
                call.join().unwrap();
                assert!(!run(&service, is_cancelled::task()));
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert!(service.stop(LONG).unwrap().success());
    // A panic in a call that has `&mut` of the value is the exception.
    let service = counting();
    assert!(service.call(add::task(1000)).join().unwrap_err().is_panic());
    assert!(service.call(add::task(1)).join().unwrap_err().is_exit());
    drop(input);
}
