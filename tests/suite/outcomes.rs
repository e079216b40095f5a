//! What a worker can end with instead of a result.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    panic::{panic_any, resume_unwind},
    process::{abort, exit},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use zygote::Process;

use crate::util::{self, Census, alone, watchdog};

#[zygote::entry]
fn panics(how: String) {
    match &*how {
        "str" => panic!("a plain text"),
        "String" => panic!("a {how} text"),
        "other" => panic_any(5_u8),
        "resumed" => resume_unwind(Box::new("carried on")),
        "nested" => inner(),
        _ => unreachable!("the test names no other"),
    }
}

fn inner() {
    let none: Option<u8> = std::hint::black_box(None);
    none.expect("something was expected");
}

#[zygote::entry]
fn panics_elsewhere() -> u8 {
    let other = thread::spawn(|| panic!("in another thread"));
    assert!(other.join().is_err());
    7
}

#[zygote::entry]
fn panics_elsewhere_first() {
    let other = thread::spawn(|| panic!("in another thread"));
    assert!(other.join().is_err());
    panic!("in the entry");
}

#[zygote::entry]
fn leaves(code: i32) -> u8 {
    #[expect(clippy::exit, reason = "what the test is about")]
    exit(code);
}

#[zygote::entry]
fn aborts() {
    abort();
}

#[zygote::entry]
fn dumps(at: std::path::PathBuf) {
    std::env::set_current_dir(at).unwrap();
    util::allow_cores();
    nix::sys::signal::raise(Signal::SIGSEGV).unwrap();
}

#[zygote::entry]
fn sleep() {
    thread::sleep(Duration::from_secs(3600));
}

#[test]
fn a_panic_has_its_message_and_place() {
    let _limit = watchdog(30);
    for (how, message) in [
        ("str", "a plain text"),
        ("String", "a String text"),
        ("other", "(a payload that is no text)"),
        ("nested", "something was expected"),
    ] {
        let worker = panics::spawn(how.to_owned()).unwrap();
        let pid = worker.id();
        let exit = worker.wait().unwrap();
        assert_eq!(exit.status().unwrap().code(), Some(101));
        let error = worker.join().unwrap_err();
        let text = error.to_string();
        assert!(error.is_panic() && !error.is_unstarted(), "{error:?}");
        assert!(text.contains(message), "{text}");
        assert!(text.contains("tests/suite/outcomes.rs:"), "{text}");
        assert!(text.contains("suite::outcomes::panics"), "{text}");
        assert_eq!(error.pid(), Some(pid));
        assert!(error.entry().unwrap().ends_with("::outcomes::panics"));
    }
    // One that was resumed has no place.
    let error = panics::spawn("resumed".to_owned())
        .unwrap()
        .join()
        .unwrap_err();
    assert!(error.is_panic(), "{error:?}");
    assert!(
        error.to_string().ends_with("panicked: carried on"),
        "{error}"
    );
}

#[test]
fn a_panic_in_another_thread_is_not_the_entrys() {
    let _limit = watchdog(30);
    assert_eq!(panics_elsewhere::spawn().unwrap().join().unwrap(), 7);
    let error = panics_elsewhere_first::spawn().unwrap().join().unwrap_err();
    assert!(error.is_panic(), "{error:?}");
    assert!(error.to_string().contains("in the entry"), "{error}");
}

#[test]
fn exit_without_a_result_has_its_code() {
    let _limit = watchdog(30);
    // The kernel keeps eight bits.
    for code in (0..256).chain([256, -1, i32::MIN]) {
        let error = leaves::spawn(code).unwrap().join().unwrap_err();
        assert!(error.is_exit() && !error.is_unstarted(), "{error:?}");
        let exit = error.exit().unwrap();
        let code = code & 0xff;
        assert_eq!(exit.status().unwrap().code(), Some(code));
        assert_eq!(exit.success(), code == 0);
        assert!(
            error.to_string().contains(&format!("code {code}")),
            "{error}"
        );
    }
}

#[test]
fn every_terminating_signal_by_name() {
    let _limit = watchdog(60);
    // SIGPIPE is ignored as in every Rust program, SIGURG asks to be detached;
    // the others stop, continue or do nothing.
    let harmless = [
        libc::SIGPIPE,
        libc::SIGURG,
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGWINCH,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
    ];
    let (first, last) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    // What the tests were started with ignored, workers ignore as well: a shell
    // does that to what it runs in the background, and `nohup`.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:\t"));
    let ignored = u64::from_str_radix(ignored.unwrap(), 16).unwrap();
    let is_ignored = |signal: i32| {
        let ignored = ignored >> (signal - 1) & 1 != 0;
        assert!(
            !ignored || [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT].contains(&signal),
            "the tests were started with signal {signal} ignored"
        );
        ignored
    };
    for signal in (1..32)
        .chain(first..=last)
        .filter(|it| !harmless.contains(it) && !is_ignored(*it))
    {
        let worker = sleep::spawn().unwrap();
        worker.signal(signal).unwrap();
        let error = worker.join().unwrap_err();
        assert!(
            error.is_signal() && !error.is_panic(),
            "{signal}: {error:?}"
        );
        let status = error.exit().unwrap().status().unwrap();
        assert_eq!(status.signal(), Some(signal));
        let name = match Signal::try_from(signal) {
            Ok(known) => known.as_str().to_owned(),
            Err(_) => format!("SIGRTMIN+{}", signal - first),
        };
        let text = error.to_string();
        assert!(text.contains(&name), "{text}");
        assert_eq!(text.contains("(core dumped)"), status.core_dumped());
    }
    let error = aborts::spawn().unwrap().join().unwrap_err();
    assert!(
        error.is_signal() && error.to_string().contains("SIGABRT"),
        "{error}"
    );
    // These programs have no `zygote::Allocator`.
    let advice =
        "(an abort; with `zygote::Allocator` the error says whether memory could not be had)";
    assert!(error.message().ends_with(advice), "{error}");
}

#[test]
fn signals_that_end_nothing_end_nothing() {
    let _limit = watchdog(30);
    let worker = sleep::spawn().unwrap().kill_on_drop(true);
    for signal in [libc::SIGPIPE, libc::SIGCHLD, libc::SIGWINCH, libc::SIGCONT] {
        worker.signal(signal).unwrap();
    }
    assert!(
        worker
            .wait_timeout(Duration::from_millis(20))
            .unwrap()
            .is_none()
    );
    // A stopped worker is still killed.
    worker.signal(libc::SIGSTOP).unwrap();
    util::until("it is stopped", || {
        util::stat(worker.id()).is_some_and(|it| it.0 == 'T')
    });
    assert!(worker.try_wait().unwrap().is_none());
    worker.kill().unwrap();
    assert_eq!(
        worker.wait().unwrap().status().unwrap().signal(),
        Some(libc::SIGKILL)
    );
}

#[test]
fn a_core_is_reported_where_cores_are_written() {
    let _limit = watchdog(30);
    let here = tempfile::tempdir().unwrap();
    let error = dumps::spawn(here.path().to_owned())
        .unwrap()
        .join()
        .unwrap_err();
    assert!(error.is_signal(), "{error:?}");
    let status = error.exit().unwrap().status().unwrap();
    assert_eq!(
        error.to_string().contains("SIGSEGV (core dumped)"),
        status.core_dumped()
    );
    // Where the kernel writes it beside us we know what it must say: a hard
    // limit of 0 or a pipe to a collector leaves it to them.
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if !pattern.starts_with(['|', '/']) && util::cores_are_allowed() {
        let written = fs::read_dir(here.path()).unwrap().count() > 0;
        assert_eq!(status.core_dumped(), written);
    }
}

#[test]
fn each_kind_of_end_leaves_nothing() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        for round in 0..10 {
            assert!(
                panics::spawn("str".to_owned())
                    .unwrap()
                    .join()
                    .unwrap_err()
                    .is_panic()
            );
            assert!(leaves::spawn(round).unwrap().join().unwrap_err().is_exit());
            assert!(aborts::spawn().unwrap().join().unwrap_err().is_signal());
            drop(panics::spawn("other".to_owned()).unwrap());
            drop(leaves::spawn(0).unwrap());
            drop(sleep::spawn().unwrap().kill_on_drop(true));
            drop(Process::new().unwrap());
            let process = Process::new().unwrap();
            process.id().unwrap();
            drop(process.fork().unwrap());
            let killed = sleep::spawn().unwrap();
            killed.kill().unwrap();
            assert!(killed.join().unwrap_err().is_signal());
        }
        before.check();
    });
}
