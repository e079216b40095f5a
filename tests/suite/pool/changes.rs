//! Pools that are changed while they work.

use std::{
    panic::resume_unwind,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    thread,
};

use zygote::{Pool, Process, Result};

use super::tasks::{LONG, begun, builder, echo, log, ms, nap, noted, parent, pid, ran};
use crate::util::{is_alive, signal, until, watchdog};

#[zygote::preload]
fn version(n: u32) -> u32 {
    n
}

#[zygote::entry]
fn which(version: &u32) -> u32 {
    *version
}

fn load(n: u32) -> impl Fn() -> Result<Process<u32>> + Send {
    move || Process::new()?.preload(version::task(n))
}

/// Calls from eight threads while this is done. Gives the number of calls, and the least
/// number of workers that was seen.
fn under_load<S: Sync>(pool: &Pool<S>, call: impl Fn() + Sync, act: impl FnOnce()) -> (u64, usize) {
    let (is_over, calls, least) = (
        AtomicBool::new(false),
        AtomicU64::new(0),
        AtomicUsize::new(usize::MAX),
    );
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    call();
                    calls.fetch_add(1, SeqCst);
                }
            });
        }
        scope.spawn(|| {
            while !is_over.load(SeqCst) {
                let stats = pool.stats();
                // Those that leave have a call.
                least.fetch_min(stats.workers, SeqCst);
                thread::sleep(ms(1));
            }
        });
        act();
        is_over.store(true, SeqCst);
    });
    (calls.into_inner(), least.into_inner())
}

#[test]
fn a_resize_under_load_loses_nothing() {
    let _limit = watchdog(60);
    for depth in [1, 16] {
        let pool = builder(2).depth(depth).build().unwrap();
        let call = || assert_eq!(pool.call(echo::task(5)).join().unwrap(), 5);
        let (calls, least) = under_load(&pool, call, || {
            for workers in [4, 2, 3, 6, 2, 4] {
                pool.resize(workers..=workers);
                until("there are so many", || pool.stats().workers == workers);
                thread::sleep(ms(10));
            }
        });
        let stats = pool.stats();
        assert!(least >= 2, "{least}");
        assert_eq!((stats.done, stats.lost, stats.again), (calls, 0, 0));
        assert_eq!(stats.started, 2 + 2 + 1 + 3 + 2);
    }
}

#[test]
fn a_worker_that_starts_during_a_resize_is_not_one_too_many() {
    let _limit = watchdog(30);
    static IS_SLOW: AtomicBool = AtomicBool::new(false);
    let pool = builder(1).on_start(|_| {
        while IS_SLOW.load(SeqCst) {
            thread::sleep(ms(1));
        }
    });
    let pool = pool.build().unwrap();
    IS_SLOW.store(true, SeqCst);
    pool.resize(3..=3);
    thread::sleep(ms(20));
    pool.resize(1..=1);
    IS_SLOW.store(false, SeqCst);
    // Calls come all the time, so that none is idle for long.
    until("there is one", || {
        let calls = [(); 6].map(|()| pool.call(nap::task(1)));
        assert!(calls.map(|call| call.join().is_ok()).iter().all(|it| *it));
        let stats = pool.stats();
        stats.started == 3 && stats.workers == 1
    });
}

#[test]
fn a_reload_under_load_loses_nothing_and_the_new_process_serves_at_the_end() {
    let _limit = watchdog(60);
    for depth in [1, 16] {
        let pool = Pool::builder(load(0)).workers(2..=3).depth(depth);
        let pool = pool.build().unwrap();
        let newest = AtomicU64::new(0);
        let call = || {
            let version = pool.call(which::task()).join().unwrap();
            assert!(u64::from(version) <= newest.load(SeqCst));
        };
        let (calls, least) = under_load(&pool, call, || {
            for n in 1..=4 {
                newest.store(n, SeqCst);
                let n = u32::try_from(n).unwrap();
                match n % 2 {
                    0 => pool.reload(load(n)().unwrap()).unwrap(),
                    _ => pool.reload(load(n)).unwrap(),
                }
                thread::sleep(ms(3));
            }
        });
        assert!(least >= 2, "{least}");
        until("all workers are new", || {
            let calls = [(); 12].map(|()| pool.call(which::task()));
            calls.map(|call| call.join().unwrap()) == [4; 12]
        });
        let stats = pool.stats();
        assert!(
            stats.done >= calls && (stats.lost, stats.again) == (0, 0),
            "{stats:?}"
        );
        // As many as are needed, and not for each reload all of them.
        assert!(stats.started <= 15, "{stats:?}");
    }
}

#[test]
fn a_reload_replaces_idle_workers_and_waits_for_those_that_run() {
    let _limit = watchdog(30);
    let pool = builder(2).build().unwrap();
    let slow = pool.call(nap::task(150));
    let old = begun(&slow);
    let other = pool.call(pid::task()).join().unwrap();
    pool.reload(Process::new).unwrap();
    until("the idle one is replaced", || !is_alive(other));
    assert!(is_alive(old) && pool.call(pid::task()).join().unwrap() != other);
    assert_eq!(slow.join().unwrap(), old);
    until("the other one is", || !is_alive(old));
    until("there are two", || pool.stats().workers == 2);
    assert_eq!(pool.stats().started, 4);
}

#[test]
fn a_reload_that_fails_changes_nothing() {
    let _limit = watchdog(30);
    let pool = Pool::builder(load(7)).workers(1..=1).build().unwrap();
    let before = pool.call(pid::task()).join().unwrap();
    let fails = || -> Result<Process<u32>> { Err(std::io::Error::other("not today").into()) };
    let error = pool.reload(fails).unwrap_err();
    assert!(format!("{error:?}").contains("not today"), "{error:?}");
    let panics = || -> Result<Process<u32>> { resume_unwind(Box::new("never")) };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.reload(panics)));
    assert!(result.is_err());
    assert_eq!(pool.call(which::task()).join().unwrap(), 7);
    assert_eq!(pool.call(pid::task()).join().unwrap(), before);
    pool.resize(2..=2);
    until("the second one is there", || pool.stats().workers == 2);
    let versions = [(); 4].map(|()| pool.call(which::task()));
    assert_eq!(versions.map(|call| call.join().unwrap()), [7; 4]);
    pool.shutdown(LONG).unwrap();
}

#[test]
fn the_old_process_is_gone_after_a_reload() {
    let _limit = watchdog(30);
    let pool = builder(1).build().unwrap();
    let old = pool.call(parent::task()).join().unwrap();
    let log = log();
    let slow = pool.call(noted::task(log.try_clone().unwrap(), 1, 50));
    begun(&slow);
    pool.reload(Process::new).unwrap();
    assert_eq!(slow.join().unwrap(), 1);
    until("the old template ends", || !is_alive(old));
    assert_ne!(pool.call(parent::task()).join().unwrap(), old);
    assert_eq!(ran(&log), [1]);
}

#[test]
fn a_reload_heals_a_pool_whose_process_dies_while_it_is_being_forked() {
    let _limit = watchdog(30);
    for is_closure in [true, false] {
        let pool = Pool::builder(Process::new().unwrap()).workers(0..=1);
        let pool = pool.idle(ms(1)).build().unwrap();
        let template = pool.call(parent::task()).join().unwrap();
        until("none is there", || pool.stats().workers == 0);
        signal(template, libc::SIGSTOP);
        let waits = pool.call(echo::task(1));
        thread::sleep(ms(20));
        match is_closure {
            true => pool.reload(Process::new).unwrap(),
            false => pool.reload(Process::new().unwrap()).unwrap(),
        }
        signal(template, libc::SIGKILL);
        assert_eq!(waits.join().unwrap(), 1);
        assert_eq!(pool.call(echo::task(2)).join().unwrap(), 2);
    }
}
