//! Workers that are killed from outside, at any moment.

use std::{
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use zygote::{Call, Pool, Process, settings::Resource};

use super::ground::{BYS, LONG, Log, SHAPES, note};
use crate::util::{signal, until, watchdog};

#[zygote::entry]
fn noted(log: &File, n: u32) -> u32 {
    note(log, n);
    n
}

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

#[test]
fn what_a_killed_worker_had_begun_is_lost_and_all_else_runs_once() {
    const CALLS: u32 = 30;
    let _limit = watchdog(60);
    for shape in SHAPES {
        let log = Log::new();
        let last = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&last);
        let builder = Pool::builder(log.maker()).workers(1..=2);
        let builder = builder.on_start(move |info| told.store(info.pid, SeqCst));
        let pool = shape.of(builder).build().unwrap();
        let mut dice = fastrand::Rng::with_seed(7);
        let mut by = BYS.into_iter().cycle();
        let (mut lost, mut outcomes) = (0, Vec::new());
        for round in 0..40 {
            let numbers = round * CALLS..(round + 1) * CALLS;
            let calls: Vec<_> = numbers.map(|n| pool.call(noted::task(n))).collect();
            // While they run, or those of `calls(1)` start.
            thread::sleep(Duration::from_micros(dice.u64(..1500)));
            signal(last.load(SeqCst), libc::SIGKILL);
            let by = by.next().unwrap();
            outcomes.extend(calls.into_iter().map(|call| by.outcome(call)));
        }
        let ran = log.ran();
        for (n, outcome) in (0..).zip(outcomes) {
            let times = ran.get(&n).copied().unwrap_or(0);
            match outcome {
                Ok(got) => assert!(got == n && times == 1, "{shape:?}: {n} ran {times} times"),
                Err(error) => {
                    assert!(error.is_signal(), "{shape:?}: {error:?}");
                    assert!(!error.is_unstarted(), "{shape:?}, {n}: it runs elsewhere");
                    assert!(times <= 1, "{shape:?}: {n} ran {times} times");
                    lost += 1;
                }
            }
        }
        assert!(lost <= 40, "{shape:?}: {lost} calls lost");
        assert_eq!(pool.stats().lost, lost);
        pool.shutdown(LONG).unwrap();
    }
}

/// A pool of one worker, which is stopped before it is given a call while this is set.
fn stopping(shape: super::ground::Shape) -> (Pool, Arc<AtomicBool>, Arc<AtomicU32>) {
    let (stops, last) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicU32>::default());
    let (asked, told) = (Arc::clone(&stops), Arc::clone(&last));
    let builder = Pool::builder(Process::new).workers(0..=1);
    let builder = builder.on_start(move |info| {
        if asked.load(SeqCst) {
            signal(info.pid, libc::SIGSTOP);
        }
        told.store(info.pid, SeqCst);
    });
    (shape.of(builder).build().unwrap(), stops, last)
}

#[test]
fn a_call_that_no_worker_lives_to_begin_is_over_after_five_and_the_others_run() {
    let _limit = watchdog(30);
    for shape in SHAPES {
        let (pool, stops, last) = stopping(shape);
        let mut bad = pool.call(echo::task(1));
        let behind = [2, 3].map(|n| pool.call(echo::task(n)));
        for _ in 0..5 {
            until("a worker is given it", || {
                pool.stats().running > 0 && last.load(SeqCst) != 0
            });
            assert_eq!(bad.join_timeout(Duration::ZERO).unwrap(), None);
            assert_eq!(bad.pid(), None);
            // The next one has told its id before it is given anything.
            signal(last.swap(0, SeqCst), libc::SIGKILL);
        }
        let error = bad.join_timeout(LONG).unwrap_err();
        assert!(error.is_signal() && error.is_unstarted(), "{error:?}");
        // The last one was stopped, too.
        until("a worker is given the next", || last.load(SeqCst) != 0);
        stops.store(false, SeqCst);
        signal(last.load(SeqCst), libc::SIGCONT);
        let got = behind.map(|call| call.join().unwrap());
        assert_eq!(got, [2, 3], "{shape:?}");
        assert_eq!(pool.call(echo::task(4)).join().unwrap(), 4);
        pool.shutdown(LONG).unwrap();
    }
}

/// A pool whose workers are dead when they have started, while this is set.
fn killing(workers: std::ops::RangeInclusive<usize>) -> (Pool, Arc<AtomicBool>, Arc<AtomicU32>) {
    let (kills, last) = (
        Arc::new(AtomicBool::new(false)),
        Arc::<AtomicU32>::default(),
    );
    let (asked, told) = (Arc::clone(&kills), Arc::clone(&last));
    let builder = Pool::builder(Process::new).workers(workers);
    let builder = builder.on_start(move |info| {
        told.store(info.pid, SeqCst);
        if asked.load(SeqCst) {
            signal(info.pid, libc::SIGKILL);
            until("it is dead", || !crate::util::is_alive(info.pid));
        }
    });
    (builder.build().unwrap(), kills, last)
}

#[test]
fn calls_whose_workers_die_before_they_begin_end_and_the_pool_goes_on() {
    let _limit = watchdog(30);
    let (pool, kills, _) = killing(0..=2);
    kills.store(true, SeqCst);
    for mut call in [1, 2, 3].map(|n| pool.call(echo::task(n))) {
        let error = call.join_timeout(LONG).unwrap_err();
        assert!(error.is_signal() && error.is_unstarted(), "{error:?}");
    }
    assert!(pool.stats().started < 40, "{:?}", pool.stats());
    kills.store(false, SeqCst);
    // It is still tried, after a pause.
    until("it goes on", || pool.call(echo::task(4)).join().is_ok());
    pool.shutdown(LONG).unwrap();
}

#[test]
fn workers_that_die_before_they_are_given_a_call_are_starts_that_fail() {
    let _limit = watchdog(30);
    let (pool, kills, last) = killing(1..=1);
    kills.store(true, SeqCst);
    signal(last.load(SeqCst), libc::SIGKILL);
    until("it has tried some", || pool.stats().started > 5);
    thread::sleep(Duration::from_millis(150));
    // The pauses between them are doubled.
    assert!(pool.stats().started < 20, "{:?}", pool.stats());
    for _ in 0..5 {
        let error = pool.call(echo::task(3)).join().unwrap_err();
        assert!(error.is_signal() && error.is_unstarted(), "{error:?}");
    }
    kills.store(false, SeqCst);
    until("it goes on", || pool.call(echo::task(4)).join().is_ok());
    assert_eq!(pool.call(echo::task(5)).join().unwrap(), 5);
    pool.shutdown(LONG).unwrap();
}

#[zygote::entry]
fn length(bytes: Vec<u8>) -> usize {
    bytes.len()
}

#[test]
fn an_argument_that_no_worker_has_room_for_costs_its_own_call() {
    let _limit = watchdog(30);
    for shape in SHAPES {
        let limited = || Ok(Process::new()?.rlimit(Resource::As, 64 << 20, 64 << 20));
        let builder = Pool::builder(limited).workers(1..=1);
        let pool = shape.of(builder).build().unwrap();
        let calls = [10, 70 << 20, 20, 64 << 20, 30];
        let calls = calls.map(|size| pool.call(length::task(vec![0; size])));
        let outcomes = calls.map(Call::join);
        let [Ok(10), Err(first), Ok(20), Err(second), Ok(30)] = outcomes else {
            panic!("{shape:?}: {outcomes:?}");
        };
        for error in [first, second] {
            assert!(!error.is_panic() && error.pid().is_some(), "{error:?}");
        }
        assert_eq!(pool.call(length::task(vec![7])).join().unwrap(), 1);
        pool.shutdown(LONG).unwrap();
    }
}

#[zygote::entry]
fn crashes() {
    std::process::abort();
}

#[test]
fn a_call_that_was_to_run_again_is_never_unstarted() {
    let _limit = watchdog(30);
    for how in ["cancelled", "timed out", "closed", "not served"] {
        // The second worker does not start before this is set, if then.
        let goes = Arc::new(AtomicBool::new(false));
        let (asked, starts) = (Arc::clone(&goes), AtomicU32::new(0));
        let builder = Pool::builder(Process::new).workers(0..=1).retries(1);
        let builder = builder.on_start(move |_| {
            if starts.fetch_add(1, SeqCst) > 0 {
                until("it may go on", || asked.load(SeqCst));
                panic!("it does not start");
            }
        });
        let pool = builder.build().unwrap();
        let mut call = match how {
            "timed out" => {
                let with = pool.with().timeout(Duration::from_millis(50));
                with.call(crashes::task())
            }
            _ => pool.call(crashes::task()),
        };
        until("it has crashed", || {
            let stats = pool.stats();
            stats.ended == 1 && stats.waiting == 1 || call.is_finished()
        });
        let is_right: fn(&zygote::Error) -> bool = match how {
            "cancelled" => {
                assert!(call.cancel());
                zygote::Error::is_cancelled
            }
            "timed out" => zygote::Error::is_timeout,
            "not served" => {
                goes.store(true, SeqCst);
                zygote::Error::is_panic
            }
            _ => {
                goes.store(true, SeqCst);
                pool.shutdown(Duration::ZERO).unwrap();
                zygote::Error::is_closed
            }
        };
        let error = call.join_timeout(LONG).unwrap_err();
        assert!(is_right(&error), "{how}: {error:?}");
        assert!(!error.is_unstarted(), "{how}: {error:?}");
        goes.store(true, SeqCst);
        pool.shutdown(LONG).unwrap();
    }
}
