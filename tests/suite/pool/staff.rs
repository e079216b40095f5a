//! How many workers there are, and when they are replaced.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Instant,
};

use zygote::{Pool, Process};

use super::tasks::{LONG, builder, echo, ms, nap, pid};
use crate::util::{is_alive, until, watchdog};

#[test]
fn a_worker_runs_as_many_calls_as_were_said_and_no_more() {
    let _limit = watchdog(30);
    for (calls, depth) in [(1, 1), (1, 16), (3, 1), (5, 16), (0, 1)] {
        let pool = builder(1).calls(calls).depth(depth).build().unwrap();
        let calls = calls.max(1);
        let count = usize::try_from(calls).unwrap() * 4;
        // First all at once, then one after the other.
        let all: Vec<_> = (0..count).map(|_| pool.call(pid::task())).collect();
        let mut pids: Vec<_> = all.into_iter().map(|call| call.join().unwrap()).collect();
        pids.extend((0..count).map(|_| pool.call(pid::task()).join().unwrap()));
        let runs: Vec<_> = pids.chunk_by(|a, b| a == b).map(<[u32]>::len).collect();
        assert_eq!(runs, vec![usize::try_from(calls).unwrap(); 8]);
        assert_eq!(pids.iter().collect::<BTreeSet<_>>().len(), 8);
        until("the last one ends", || !is_alive(pids[0]));
        pool.shutdown(LONG).unwrap();
        let stats = pool.stats();
        assert_eq!((stats.lost, stats.again, stats.workers), (0, 0, 0));
        assert!(
            stats.started >= 8 && stats.started == stats.ended,
            "{stats:?}"
        );
    }
}

#[test]
fn with_one_call_for_each_every_call_has_a_process_of_its_own() {
    let _limit = watchdog(60);
    for workers in [2..=2, 0..=4] {
        let pool = Pool::builder(Process::new).workers(workers).calls(1);
        let pool = pool.build().unwrap();
        let pids = Mutex::new(BTreeSet::new());
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..12 {
                        let pid = pool.call(pid::task()).join().unwrap();
                        assert!(pids.lock().unwrap().insert(pid));
                    }
                });
            }
        });
        assert_eq!(pids.into_inner().unwrap().len(), 96);
        pool.shutdown(LONG).unwrap();
    }
}

#[test]
fn workers_are_replaced_one_after_the_other_and_never_too_early() {
    let _limit = watchdog(30);
    let pool = builder(4).calls(64).build().unwrap();
    let mut counts = BTreeMap::new();
    for pid in pool.map((0..2000).map(|_| pid::task())) {
        *counts.entry(pid.unwrap()).or_insert(0) += 1;
    }
    let alive = |pid: &u32| is_alive(*pid);
    let ended: Vec<_> = counts.iter().filter(|(pid, _)| !alive(pid)).collect();
    assert!(
        ended.iter().all(|(_, count)| (64..=72).contains(*count)),
        "{ended:?}"
    );
    let different: BTreeSet<_> = ended.iter().map(|(_, count)| **count).collect();
    assert!(different.len() > 2, "{different:?}");
}

/// Keeps the pool busy until this says that it is enough.
fn busy(pool: &Pool, threads: usize, mut is_enough: impl FnMut() -> bool) -> u64 {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let call = || {
            let mut calls = 0;
            while !is_over.load(SeqCst) {
                pool.call(nap::task(1)).join().unwrap();
                calls += 1;
            }
            calls
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(call)).collect();
        let start = Instant::now();
        while !is_enough() {
            if start.elapsed() > LONG {
                is_over.store(true, SeqCst);
                panic!("it never was enough");
            }
            thread::sleep(ms(1));
        }
        is_over.store(true, SeqCst);
        threads.into_iter().map(|it| it.join().unwrap()).sum()
    })
}

#[test]
fn old_workers_are_replaced_though_the_queue_is_full() {
    let _limit = watchdog(60);
    for depth in [1, 16] {
        let pool = builder(2).age(ms(60)).depth(depth).build().unwrap();
        let start = Instant::now();
        let calls = busy(&pool, 40, || pool.stats().ended >= 6);
        let generations = start.elapsed().as_millis() / 60 + 2;
        let stats = pool.stats();
        assert!(u128::from(stats.started) <= 2 * generations, "{stats:?}");
        assert_eq!((stats.done, stats.lost, stats.again), (calls, 0, 0));
        // Without calls as well.
        let before = pool.stats().started;
        until("they are replaced", || pool.stats().started > before);
    }
}

/// Keeps this much memory.
#[zygote::entry]
fn keeps(bytes: usize) -> u32 {
    std::mem::forget(std::hint::black_box(vec![1_u8; bytes]));
    std::process::id()
}

#[test]
fn a_worker_that_has_grown_is_replaced_though_the_queue_is_full() {
    let _limit = watchdog(60);
    for depth in [1, 16] {
        let pool = builder(1).memory(16 << 20).depth(depth).build().unwrap();
        let grown = pool.call(keeps::task(32 << 20)).join().unwrap();
        busy(&pool, 40, || pool.stats().started == 2);
        assert_ne!(pool.call(pid::task()).join().unwrap(), grown);
        assert_eq!(pool.stats().lost, 0);
    }
}

#[zygote::preload]
fn large(bytes: usize) -> Vec<u8> {
    vec![1; bytes]
}

/// Writes to all of it, so that it is the worker's own.
fn touch(bytes: &mut [u8]) -> std::io::Result<()> {
    bytes.fill(2);
    Ok(())
}

#[zygote::entry]
fn touches(bytes: &mut Vec<u8>) -> std::io::Result<()> {
    touch(bytes)
}

#[test]
fn a_worker_that_is_above_its_limit_at_birth_does_not_loop() {
    let _limit = watchdog(30);
    let make = || {
        let process = Process::new()?.preload(large::task(32 << 20))?;
        Ok(process.init(touches::task()))
    };
    let pool = Pool::builder(make).workers(1..=1).memory(16 << 20);
    let pool = pool.build().unwrap();
    let start = Instant::now();
    while start.elapsed() < ms(1300) {
        pool.call(nap::task(1)).join().unwrap();
    }
    assert_eq!(pool.stats().started, 1);
}

#[test]
fn there_are_as_many_as_are_needed_between_the_least_and_the_most() {
    let _limit = watchdog(30);
    let pool = Pool::builder(Process::new).workers(2..=4).idle(ms(50));
    let pool = pool.build().unwrap();
    assert_eq!((pool.stats().workers, pool.stats().idle), (2, 2));
    let calls = [(); 8].map(|()| pool.call(nap::task(60)));
    until("there are four", || pool.stats().workers == 4);
    assert!(
        calls
            .map(|call| call.join().is_ok())
            .iter()
            .all(|is_ok| *is_ok)
    );
    assert_eq!(pool.stats().started, 4);
    let mut least = 4;
    until("two have ended", || {
        least = least.min(pool.stats().workers);
        pool.stats().ended == 2
    });
    thread::sleep(ms(120));
    let stats = pool.stats();
    assert_eq!((least, stats.workers, stats.started), (2, 2, 4));
}

#[test]
fn nothing_starts_or_ends_under_a_steady_load() {
    let _limit = watchdog(30);
    for depth in [1, 16] {
        let pool = Pool::builder(Process::new).workers(0..=3).idle(ms(80));
        let pool = pool.depth(depth).build().unwrap();
        let start = Instant::now();
        busy(&pool, 6, || start.elapsed() > ms(500));
        let stats = pool.stats();
        assert!(stats.started <= 3, "{stats:?}");
        until("all have ended", || pool.stats().workers == 0);
        assert_eq!(pool.stats().ended, stats.started);
        assert_eq!(pool.call(echo::task(1)).join().unwrap(), 1);
    }
}
