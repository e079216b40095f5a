//! Workers that end badly, each in each phase of its life; workers that do not
//! end; handles that are given up.

use std::{
    mem,
    os::unix::process::ExitStatusExt,
    process::{abort, exit},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use zygote::{Error, Worker};

use super::{
    clean::Ground,
    probe::{LIMIT, Probe, say, stat, until},
};

/// What must not wait may take this long on a machine that is busy.
const SOON: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Decode,
    Entry,
    Drop,
    Encode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Cause {
    Error,
    Panic,
    Abort,
    Exit,
    ExitAtOnce,
    Overflow,
    Segv,
    Sys,
}

const PHASES: [Phase; 4] = [Phase::Decode, Phase::Entry, Phase::Drop, Phase::Encode];

const CAUSES: [Cause; 8] = [
    Cause::Error,
    Cause::Panic,
    Cause::Abort,
    Cause::Exit,
    Cause::ExitAtOnce,
    Cause::Overflow,
    Cause::Segv,
    Cause::Sys,
];

/// Ends the process in this way; returns for an error.
fn end(cause: Cause) {
    match cause {
        Cause::Error => {}
        Cause::Panic => panic!("as it was told"),
        Cause::Abort => abort(),
        Cause::Exit => exit(3),
        // SAFETY: it has no conditions.
        Cause::ExitAtOnce => unsafe { libc::_exit(4) },
        Cause::Overflow => assert_ne!(deep(0), 0),
        Cause::Segv => nix::sys::signal::raise(nix::sys::signal::Signal::SIGSEGV).unwrap(),
        Cause::Sys => nix::sys::signal::raise(nix::sys::signal::Signal::SIGSYS).unwrap(),
    }
}

/// Until there is no more stack.
#[allow(unconditional_recursion, reason = "what it is for")]
fn deep(n: u64) -> u64 {
    let page = std::hint::black_box([n; 512]);
    deep(n + 1) + page[3]
}

/// A value that ends its process in a phase of its life.
struct Trap {
    phase: Phase,
    cause: Cause,
    /// It has arrived in the worker.
    armed: bool,
}

impl Drop for Trap {
    fn drop(&mut self) {
        if self.armed && self.phase == Phase::Drop {
            end(self.cause);
        }
    }
}

impl Serialize for Trap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.armed && self.phase == Phase::Encode {
            end(self.cause);
            return Err(ser::Error::custom("cannot be written"));
        }
        (self.phase, self.cause).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (phase, cause) = Deserialize::deserialize(deserializer)?;
        if phase == Phase::Decode {
            end(cause);
            return Err(de::Error::custom("cannot be read"));
        }
        Ok(Self {
            phase,
            cause,
            armed: true,
        })
    }
}

#[zygote::entry]
fn trapped(mut trap: Trap) -> Option<Trap> {
    match trap.phase {
        Phase::Entry => {
            end(trap.cause);
            None
        }
        Phase::Encode => Some(trap),
        _ => {
            trap.armed = true;
            None
        }
    }
}

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

extern "C" fn never() {
    abort();
}

/// What is registered here belongs to a program, and does not run.
#[zygote::entry]
fn registers() -> u32 {
    // SAFETY: the handler lives as long as the program.
    assert_eq!(unsafe { libc::atexit(never) }, 0);
    9
}

/// The outcome that is right; `None` for an entry that returns.
fn check(phase: Phase, cause: Cause, outcome: Result<Option<Trap>, Error>) {
    let what = format!("{phase:?}, {cause:?}");
    let error = match outcome {
        Ok(_) => {
            assert!(
                cause == Cause::Error && [Phase::Entry, Phase::Drop].contains(&phase),
                "{what}"
            );
            return;
        }
        Err(error) => error,
    };
    let what = format!("{what}: {error:?}");
    let status = error.exit().and_then(|exit| exit.status());
    let signal = status.and_then(|status| status.signal());
    let code = status.and_then(|status| status.code());
    match cause {
        Cause::Error => assert!(error.is_invalid(), "{what}"),
        Cause::Panic => assert!(error.is_panic(), "{what}"),
        Cause::Exit => assert!(error.is_exit() && code == Some(3), "{what}"),
        Cause::ExitAtOnce => assert!(error.is_exit() && code == Some(4), "{what}"),
        Cause::Abort => assert!(error.is_signal() && signal == Some(libc::SIGABRT), "{what}"),
        Cause::Overflow | Cause::Segv => {
            assert!(error.is_signal() && signal == Some(libc::SIGSEGV), "{what}");
        }
        Cause::Sys => assert!(error.is_signal() && signal == Some(libc::SIGSYS), "{what}"),
    }
    // Only before the entry's code can it be said that none of it ran.
    assert!(!error.is_unstarted() || phase == Phase::Decode, "{what}");
}

/// Every phase with every cause.
fn phases() {
    let ground = Ground::take();
    for phase in PHASES {
        for cause in CAUSES {
            let armed = false;
            let worker = trapped::spawn(Trap {
                phase,
                cause,
                armed,
            });
            check(phase, cause, worker.and_then(Worker::join));
            assert_eq!(echo::spawn(5).unwrap().join().unwrap(), 5);
        }
    }
    let worker = registers::spawn().unwrap();
    assert!(worker.wait().unwrap().success());
    assert_eq!(worker.join().unwrap(), 9);
    ground.assert_clean();
    say("done", "");
}

#[test]
fn a_worker_may_end_badly_in_every_phase() {
    let mut probe = Probe::start("phases");
    probe.expect("done");
    probe.finish();
}

#[zygote::entry]
fn spin() {
    loop {
        std::hint::spin_loop();
    }
}

#[zygote::entry]
fn rest() {
    thread::sleep(Duration::from_secs(3600));
}

/// Does it, and checks that it did not wait.
#[track_caller]
fn soon<R>(act: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = act();
    let took = start.elapsed();
    assert!(took < SOON, "took {took:?}");
    result
}

/// Workers that do nothing any more.
fn frozen() {
    const WAIT: Duration = Duration::from_millis(50);
    let ground = Ground::take();
    for is_stopped in [true, false] {
        let start = || {
            if !is_stopped {
                return spin::spawn().unwrap();
            }
            let worker = rest::spawn().unwrap();
            worker.signal(libc::SIGSTOP).unwrap();
            let state = || stat(worker.id()).unwrap().state;
            assert!(until(LIMIT, || state() == 'T'));
            worker
        };
        let mut worker = start();
        soon(|| assert!(worker.join_timeout(WAIT).unwrap().is_none()));
        soon(|| assert!(worker.wait_timeout(WAIT).unwrap().is_none()));
        // A signal that a stopped process does not get is no outcome.
        worker.signal(libc::SIGUSR1).unwrap();
        if is_stopped {
            assert!(worker.join_timeout(WAIT).unwrap().is_none());
        }
        worker.kill().unwrap();
        worker.kill().unwrap();
        let error = soon(|| worker.join_timeout(LIMIT)).unwrap_err();
        assert!(error.is_signal() && !error.is_unstarted(), "{error:?}");
        // Nobody waits for it here.
        soon(|| drop(start().kill_on_drop(true)));
        let left = start();
        let id = left.id();
        soon(|| drop(left));
        assert!(stat(id).is_some(), "it lives on");
        super::probe::send(id, libc::SIGKILL);
        let detached = start();
        let id = detached.id();
        soon(|| assert!(detached.detach().is_err() == is_stopped));
        super::probe::send(id, libc::SIGKILL);
    }
    ground.assert_clean();
    say("done", "");
}

#[test]
fn a_worker_that_is_frozen_holds_nobody_up() {
    let mut probe = Probe::start("frozen");
    probe.expect("done");
    probe.finish();
}

/// Handles that nobody drops: the processes are reaped all the same.
fn forgotten() {
    let ids: Vec<u32> = (0..20)
        .map(|n| {
            let worker = echo::spawn(n).unwrap();
            let id = worker.id();
            mem::forget(worker);
            id
        })
        .collect();
    let gone = until(LIMIT, || ids.iter().all(|id| stat(*id).is_none()));
    assert!(
        gone,
        "{:?}",
        ids.iter().filter_map(|id| stat(*id)).collect::<Vec<_>>()
    );
    assert_eq!(echo::spawn(5).unwrap().join().unwrap(), 5);
    say("done", "");
}

#[test]
fn a_worker_whose_handle_was_forgotten_is_reaped() {
    let mut probe = Probe::start("forgotten");
    probe.expect("done");
    probe.finish();
}

pub(crate) fn play(role: &str) {
    match role {
        "phases" => phases(),
        "frozen" => frozen(),
        "forgotten" => forgotten(),
        _ => super::templates::play(role),
    }
}
