//! What cannot be encoded or decoded.

use std::{error::Error as _, io, os::unix::process::ExitStatusExt, thread, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use zygote::{Error, Process};

use crate::util::{self, Census, alone, watchdog};

/// Cannot be written.
#[derive(Debug, Deserialize)]
struct Mute;

impl Serialize for Mute {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("it is mute"))
    }
}

/// Cannot be read.
#[derive(Debug, Serialize)]
struct Deaf;

impl<'de> Deserialize<'de> for Deaf {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("it is deaf"))
    }
}

/// Panics when it is read.
#[derive(Debug, Serialize)]
struct Trap;

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("it is a trap");
    }
}

#[zygote::entry]
fn takes_mute(_it: Mute, _more: u8) {}

#[zygote::entry]
fn takes_deaf(_more: u8, _it: Deaf) {}

#[zygote::entry]
fn takes_trap(_it: Trap) {}

#[zygote::entry]
fn gives_mute() -> Mute {
    Mute
}

#[zygote::entry]
fn gives_deaf() -> Deaf {
    Deaf
}

#[zygote::entry]
fn gives_mute_error() -> Result<u8, Mute> {
    Err(Mute)
}

#[zygote::preload]
fn loads_deaf(_it: Deaf) -> u8 {
    1
}

#[zygote::entry]
fn echo(n: u64) -> u64 {
    n
}

fn is_still_usable(process: &Process) {
    assert_eq!(
        process
            .fork()
            .unwrap()
            .run(echo::task(7))
            .unwrap()
            .join()
            .unwrap(),
        7
    );
}

fn names(error: &Error, ty: &str) {
    assert!(error.is_invalid(), "{error:?}");
    assert!(error.to_string().contains(ty), "{error}");
    assert!(error.entry().is_some(), "{error:?}");
}

#[test]
fn an_argument_that_cannot_be_encoded_starts_nothing() {
    let _limit = watchdog(30);
    let error = takes_mute::spawn(Mute, 1).unwrap_err();
    names(&error, "Mute");
    assert!(error.is_unstarted(), "{error:?}");
    let process = Process::new().unwrap();
    let error = process
        .fork()
        .unwrap()
        .run(takes_mute::task(Mute, 1))
        .unwrap_err();
    assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
    is_still_usable(&process);
    let mut all = process.spawn_all([takes_mute::task(Mute, 1), takes_mute::task(Mute, 2)]);
    assert_eq!(all.len(), 2);
    assert!(all.pop().unwrap().unwrap_err().is_unstarted());
    is_still_usable(&process);
}

#[test]
fn an_argument_that_cannot_be_decoded_is_an_error_of_join() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let worker = process
        .fork()
        .unwrap()
        .run(takes_deaf::task(1, Deaf))
        .unwrap();
    let error = worker.join().unwrap_err();
    names(&error, "Deaf");
    assert!(error.is_unstarted(), "no code of the entry ran: {error:?}");
    is_still_usable(&process);
}

#[test]
fn an_argument_that_panics_while_it_is_decoded_is_a_panic() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let worker = process.fork().unwrap().run(takes_trap::task(Trap)).unwrap();
    let error = worker.join().unwrap_err();
    assert!(error.is_panic(), "{error:?}");
    assert!(error.to_string().contains("it is a trap"), "{error}");
    is_still_usable(&process);
}

#[test]
fn a_result_that_cannot_be_encoded_is_an_error_of_join() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let error = process
        .fork()
        .unwrap()
        .run(gives_mute::task())
        .unwrap()
        .join()
        .unwrap_err();
    names(&error, "Mute");
    assert!(!error.is_unstarted(), "{error:?}");
    let worker = process
        .fork()
        .unwrap()
        .run(gives_mute_error::task())
        .unwrap();
    let error = worker.join().unwrap_err();
    names(&error, "Mute");
    assert!(!error.is_unstarted(), "{error:?}");
    is_still_usable(&process);
}

#[test]
fn a_result_that_cannot_be_decoded_is_an_error_of_join() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let worker = process.fork().unwrap().run(gives_deaf::task()).unwrap();
    assert!(worker.wait().unwrap().success());
    let error = worker.join().unwrap_err();
    names(&error, "Deaf");
    assert!(!error.is_unstarted(), "{error:?}");
    is_still_usable(&process);
}

#[test]
fn a_preload_whose_argument_cannot_be_decoded_is_an_error() {
    let _limit = watchdog(30);
    let error = Process::new()
        .unwrap()
        .preload(loads_deaf::task(Deaf))
        .unwrap_err();
    names(&error, "Deaf");
    is_still_usable(&Process::new().unwrap());
}

#[test]
fn failed_codecs_leave_nothing() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        for _ in 0..10 {
            assert!(takes_mute::spawn(Mute, 1).is_err());
            assert!(takes_deaf::spawn(1, Deaf).unwrap().join().is_err());
            assert!(gives_mute::spawn().unwrap().join().is_err());
            assert!(gives_deaf::spawn().unwrap().join().is_err());
        }
        before.check();
        assert!(util::templates(std::process::id()).len() == 1);
    });
}

fn as_io(error: Error) -> (io::ErrorKind, Option<i32>) {
    let io = io::Error::from(error);
    (io.kind(), io.raw_os_error())
}

/// As code that was written for std asks.
#[test]
fn the_errno_of_a_failed_start_is_had_as_with_std() {
    let _limit = watchdog(30);
    let setting = |process: Process| process.run(echo::task(1)).unwrap_err();
    let new = || Process::new().unwrap();
    for (error, kind, code) in [
        (
            zygote::Command::new("/no/such").spawn().unwrap_err(),
            io::ErrorKind::NotFound,
            libc::ENOENT,
        ),
        (
            zygote::Command::new("/proc/self/status")
                .spawn()
                .unwrap_err(),
            io::ErrorKind::PermissionDenied,
            libc::EACCES,
        ),
        (
            setting(new().current_dir("/no/such")),
            io::ErrorKind::NotFound,
            libc::ENOENT,
        ),
        (
            setting(new().current_dir("/proc/self/status")),
            io::ErrorKind::NotADirectory,
            libc::ENOTDIR,
        ),
        (
            setting(new().env("A\0B", "c")),
            io::ErrorKind::InvalidInput,
            libc::EINVAL,
        ),
        (
            setting(new().env("A", "b\0c")),
            io::ErrorKind::InvalidInput,
            libc::EINVAL,
        ),
        (
            setting(new().env_remove("A\0B")),
            io::ErrorKind::InvalidInput,
            libc::EINVAL,
        ),
        (
            setting(new().env("A=B", "c")),
            io::ErrorKind::InvalidInput,
            libc::EINVAL,
        ),
        (
            setting(new().current_dir("/\0")),
            io::ErrorKind::InvalidInput,
            libc::EINVAL,
        ),
    ] {
        let source = error
            .source()
            .and_then(<dyn std::error::Error>::downcast_ref);
        let source: &io::Error = source.unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(source.raw_os_error(), Some(code), "{error:?}");
        assert!(error.exit().is_none_or(|exit| !exit.success()));
        let text = format!("{error:?}");
        assert_eq!(as_io(error), (kind, Some(code)), "{text}");
    }
}

#[zygote::entry]
fn leaves(code: i32) -> u8 {
    #[expect(clippy::exit, reason = "what the test is about")]
    std::process::exit(code);
}

#[zygote::entry]
fn dies(signal: i32) -> u8 {
    util::signal(std::process::id(), signal);
    0
}

#[test]
fn how_a_worker_ended_is_told_by_its_error() {
    let _limit = watchdog(30);
    let exit = |error: &Error| error.exit().and_then(zygote::Exit::status).unwrap();
    let error = leaves::spawn(3).unwrap().join().unwrap_err();
    assert!(error.is_exit() && !error.is_signal(), "{error:?}");
    assert_eq!(exit(&error).code(), Some(3));
    assert_eq!(as_io(error), (io::ErrorKind::Other, None));
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        let error = dies::spawn(signal).unwrap().join().unwrap_err();
        assert!(error.is_signal() && !error.is_exit(), "{error:?}");
        assert_eq!(exit(&error).signal(), Some(signal));
        assert_eq!(as_io(error), (io::ErrorKind::Other, None));
    }
}

#[test]
fn a_death_before_the_settings_were_applied_is_told_as_one() {
    let _limit = watchdog(60);
    // A stopped process applies none; which of the two is first is not known.
    util::until("it is killed between the task and its settings", || {
        let process = Process::new().unwrap().umask(0);
        let pid = process.id().unwrap();
        util::signal(pid, libc::SIGSTOP);
        let run = thread::spawn(move || process.run(echo::task(1)).map(drop));
        thread::sleep(Duration::from_millis(20));
        util::signal(pid, libc::SIGKILL);
        let error = run.join().unwrap().unwrap_err();
        assert!(error.is_unstarted(), "{error:?}");
        let is_it = error.to_string().contains("before its settings");
        if is_it {
            assert!(error.is_signal() && !error.is_exit(), "{error:?}");
            let status = error.exit().and_then(zygote::Exit::status).unwrap();
            assert_eq!(status.signal(), Some(libc::SIGKILL));
        }
        is_it
    });
}

#[test]
fn a_worker_that_has_ended_is_none_that_lives_though_its_handle_does() {
    let _limit = watchdog(30);
    // By its result, by its exit, by its death.
    for way in 0..3 {
        let process = Process::new().unwrap();
        let mut value = process.fork().unwrap().run(echo::task(1)).unwrap();
        let leaves = process.fork().unwrap().run(leaves::task(3)).unwrap();
        let dies = process.fork().unwrap().run(dies::task(libc::SIGKILL));
        let dies = dies.unwrap();
        value.join_timeout(util::PATIENCE).unwrap().unwrap();
        value.wait().unwrap();
        util::until("they end", || {
            [leaves.id(), dies.id()]
                .iter()
                .all(|pid| !util::is_alive(*pid))
        });
        match way {
            0 => assert_eq!(process.run(echo::task(7)).unwrap().join().unwrap(), 7),
            1 => {
                let taken = Process::<()>::from_fd(process.into_fd().unwrap()).unwrap();
                is_still_usable(&taken);
            }
            _ => drop(process.preload(nothing::task()).unwrap()),
        }
        assert_eq!(leaves.wait().unwrap().status().unwrap().code(), Some(3));
        assert!(dies.join().unwrap_err().is_signal());
    }
}

#[zygote::preload]
fn nothing() {}

#[zygote::preload]
fn starts_a_thread(n: u32) {
    let started = thread::Builder::new().name(format!("thread-{n}"));
    // Nobody waits until it has its name.
    started
        .spawn(|| thread::sleep(Duration::from_secs(60)))
        .unwrap();
}

#[test]
fn a_thread_that_was_just_started_is_named() {
    let _limit = watchdog(60);
    for n in 0..20 {
        let error = Process::new().unwrap().preload(starts_a_thread::task(n));
        let text = error.unwrap_err().to_string();
        assert!(text.contains(&format!("thread-{n}")), "{text}");
    }
}
