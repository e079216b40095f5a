//! Templates that are killed while they start.

use std::{
    env, fs,
    os::unix::process::ExitStatusExt,
    process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, gettid},
};
use zygote::{Error, Exit, Process, Worker};

use crate::util::{self, PATIENCE, alone, missing, watchdog};

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

/// The children that this thread of a process has made.
fn children(process: u32, thread: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{thread}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    /// The program that is executed as a template.
    Executed,
    /// The template that it clones.
    Cloned,
}

/// Kills the next process of this kind that the thread makes, so long after it was
/// seen, unless nothing comes until it is over.
fn kill_next(whom: Whom, delay: Duration, of: u32, before: &[u32], over: &AtomicBool) {
    let own = process::id();
    let is_new = |pid: &u32| !before.contains(pid);
    while !over.load(Ordering::Relaxed) {
        let executed = children(own, of).into_iter().find(is_new);
        let target = match whom {
            Whom::Executed => executed,
            Whom::Cloned => executed.and_then(|pid| children(pid, pid).first().copied()),
        };
        if let Some(pid) = target {
            let seen = Instant::now();
            while seen.elapsed() < delay {}
            // It may have ended meanwhile; its number is not given again so soon.
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
            return;
        }
    }
}

/// What may come of a spawn whose template was killed.
fn check(error: &Error) {
    assert!(error.is_template_gone(), "{error:?}");
    // Unknown where nobody has collected the worker in time: this program is not
    // its parent, and the kernel tells others only afterwards.
    let Some(status) = error.exit().and_then(Exit::status) else {
        return;
    };
    assert_eq!(status.signal(), Some(libc::SIGKILL), "{error:?}");
}

/// Spawns again and again, and each time a process that makes a template possible
/// is killed; how often that was felt.
fn storm(time: Duration) -> u32 {
    let (start, thread) = (Instant::now(), gettid().as_raw().cast_unsigned());
    let (mut round, mut felt) = (0, 0);
    while start.elapsed() < time || round < 20 {
        round += 1;
        zygote::renew_template();
        let before = children(process::id(), thread);
        let over = AtomicBool::new(false);
        let delay = Duration::from_micros(u64::from(round) * 37 % 1000);
        let (whom, delay) = match round % 3 {
            0 => (Whom::Cloned, delay / 4),
            _ => (Whom::Executed, delay),
        };
        let outcome = thread::scope(|scope| {
            scope.spawn(|| kill_next(whom, delay, thread, &before, &over));
            let outcome = echo::spawn(round).and_then(Worker::join);
            over.store(true, Ordering::Relaxed);
            outcome
        });
        match outcome {
            Ok(got) => assert_eq!(got, round),
            Err(error) => {
                felt += 1;
                check(&error);
            }
        }
        // One that was killed late may be found dead only now.
        let again = || echo::spawn(5).and_then(Worker::join);
        let got = again().or_else(|error| {
            check(&error);
            again()
        });
        assert_eq!(got.unwrap(), 5, "{whom:?} after {delay:?}");
    }
    felt
}

#[zygote::entry]
fn storm_in_worker(time: Duration) -> u32 {
    storm(time)
}

fn seconds() -> Duration {
    let given = env::var("ZYGOTE_RACE_SECONDS").ok();
    Duration::from_secs(given.map_or(2, |seconds| seconds.parse().unwrap()))
}

fn cannot_see_children() -> bool {
    let is_there = fs::exists("/proc/thread-self/children").unwrap();
    missing("/proc/PID/task/TID/children", is_there)
}

#[test]
fn the_next_spawn_works_when_a_template_was_killed_while_it_started() {
    if cannot_see_children() {
        return;
    }
    let _limit = watchdog(60 + seconds().as_secs());
    alone(|| {
        let felt = storm(seconds());
        assert!(felt > 0, "no template was killed in time");
    });
}

#[test]
fn so_it_does_in_a_worker_that_makes_templates() {
    if cannot_see_children() {
        return;
    }
    let _limit = watchdog(60 + seconds().as_secs());
    let worker = storm_in_worker::spawn(seconds()).unwrap();
    assert!(worker.join().unwrap() > 0, "no template was killed in time");
}

/// Killed before a line of it ran.
#[test]
fn a_template_that_is_killed_at_once_is_gone_and_unstarted() {
    if cannot_see_children() {
        return;
    }
    let _limit = watchdog(60);
    alone(|| {
        let thread = gettid().as_raw().cast_unsigned();
        let mut killed = None;
        let start = Instant::now();
        while killed.is_none() && start.elapsed() < PATIENCE {
            let before = children(process::id(), thread);
            let over = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    kill_next(Whom::Executed, Duration::ZERO, thread, &before, &over);
                });
                killed = Process::fresh().err();
                over.store(true, Ordering::Relaxed);
            });
        }
        let error = killed.unwrap();
        assert!(
            error.is_template_gone() && error.is_unstarted(),
            "{error:?}"
        );
        let exit = *error.exit().unwrap();
        assert_eq!(exit.to_string(), "was killed by SIGKILL");
        let fresh = Process::fresh().unwrap();
        assert_eq!(fresh.run(echo::task(4)).unwrap().join().unwrap(), 4);
        util::until("nothing is left of it", || {
            let all = children(process::id(), thread);
            all.into_iter().all(util::is_alive)
        });
    });
}
