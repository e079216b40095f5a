//! Which call runs when, and where.

use std::{
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    thread,
    time::{Duration, Instant},
};

use zygote::{Call, Pool};

use super::tasks::{begun, builder, echo, hangs, log, ms, nap, noted, pid, ran};
use crate::util::{until, watchdog};

#[test]
fn calls_of_one_key_run_in_one_worker_in_their_order() {
    let _limit = watchdog(30);
    for depth in [1, 16] {
        let pool = builder(3).depth(depth).build().unwrap();
        let log = log();
        let mut calls = Vec::new();
        for n in 0..60 {
            let with = pool.with().key(n % 6).retries(9);
            calls.push(with.call(noted::task(log.try_clone().unwrap(), n, 1)));
        }
        // Worker for worker, all of a key ran in one.
        for (n, call) in (0..).zip(calls) {
            assert_eq!(call.join().unwrap(), n);
        }
        let ran = ran(&log);
        for key in 0..6 {
            let of_key: Vec<_> = ran.iter().copied().filter(|n| n % 6 == key).collect();
            let expected: Vec<u8> = (0..60).filter(|n| n % 6 == key).collect();
            assert_eq!(of_key, expected);
        }
        for key in ["anna", "bela", "carl", "dora"] {
            let with = pool.with().key(key);
            let first = with.call(pid::task()).join().unwrap();
            let busy = [(); 2].map(|()| pool.call(nap::task(2)));
            let pids = [(); 6].map(|()| with.call(pid::task()));
            assert_eq!(pids.map(|call| call.join().unwrap()), [first; 6]);
            drop(busy);
        }
    }
}

/// Notes where it begins and where it ends, and dies in between where it is first told.
#[zygote::entry]
fn fragile(mut log: File, deaths: File, n: u8) -> u8 {
    log.write_all(&[n]).unwrap();
    let mut died = [0];
    deaths.read_exact_at(&mut died, n.into()).unwrap();
    if n.is_multiple_of(5) && died == [0] {
        deaths.write_all_at(&[1], n.into()).unwrap();
        std::process::abort();
    }
    thread::sleep(Duration::from_micros(300));
    log.write_all(&[n]).unwrap();
    n
}

#[test]
fn calls_of_one_key_keep_their_order_though_workers_die() {
    let _limit = watchdog(60);
    for depth in [1, 16] {
        let pool = builder(3).depth(depth).build().unwrap();
        let (log, deaths) = (log(), log());
        deaths.set_len(100).unwrap();
        let calls: Vec<_> = (0..90)
            .map(|n: u8| {
                let with = pool.with().key(n % 3).retries(1);
                let (log, deaths) = (log.try_clone().unwrap(), deaths.try_clone().unwrap());
                with.call(fragile::task(log, deaths, n))
            })
            .collect();
        for (n, call) in (0..).zip(calls) {
            assert_eq!(call.join().unwrap(), n);
        }
        let ran = ran(&log);
        for key in 0..3 {
            let of_key: Vec<_> = ran.iter().copied().filter(|n| n % 3 == key).collect();
            // Each begins and ends before the next one begins, and those that die twice.
            let expected = (0..90).filter(|n| n % 3 == key);
            let expected = expected.flat_map(|n: u8| vec![n; 2 + usize::from(n.is_multiple_of(5))]);
            assert_eq!(of_key, expected.collect::<Vec<_>>());
        }
        assert!(pool.stats().again >= 18, "{:?}", pool.stats());
    }
}

#[test]
fn a_key_whose_worker_is_busy_holds_up_no_other_call() {
    let _limit = watchdog(30);
    for depth in [1, 16] {
        let pool = builder(2).depth(depth).build().unwrap();
        let with = pool.with().key("slow");
        let hung = with.call(nap::task(3_600_000));
        let worker = begun(&hung);
        let waits: Vec<_> = (0..40).map(|n| with.call(echo::task(n))).collect();
        // With one call at a time none stands behind the one that hangs.
        if depth == 1 {
            let pids = [(); 20].map(|()| pool.call(pid::task()).join().unwrap());
            assert!(pids.iter().all(|pid| *pid != worker));
        }
        assert!(waits.iter().all(|call| !call.is_finished()));
        hung.kill().unwrap();
        for (n, call) in (0..).zip(waits) {
            assert_eq!(call.join().unwrap(), n);
        }
    }
}

#[test]
fn those_of_a_higher_priority_come_first() {
    let _limit = watchdog(30);
    let (pool, log) = (builder(1).build().unwrap(), log());
    let hung = hangs(&pool);
    let order = [0, 5, -1, 5, 0, i32::MAX, i32::MIN, 1];
    let calls: Vec<Call<u32>> = (0..)
        .zip(order)
        .map(|(n, priority)| {
            let with = pool.with().priority(priority);
            with.call(noted::task(log.try_clone().unwrap(), n, 0))
        })
        .collect();
    hung.kill().unwrap();
    assert!(calls.into_iter().all(|call| call.join().is_ok()));
    assert_eq!(ran(&log), [5, 1, 3, 7, 0, 4, 2, 6]);
}

#[test]
fn queues_that_are_full_do_not_starve_another() {
    let _limit = watchdog(30);
    let pool = builder(4).build().unwrap();
    let mut slow = Vec::new();
    for name in ["a", "b", "c"] {
        let queue = pool.queue(name);
        queue.concurrency(1);
        slow.extend((0..20).map(|_| queue.call(nap::task(30))));
        assert!(queue.len() >= 18 && !queue.is_empty());
    }
    let start = Instant::now();
    let fast = pool.queue("d");
    let calls: Vec<_> = (0..20).map(|n| fast.call(echo::task(n))).collect();
    for (n, call) in (0..).zip(calls) {
        assert_eq!(call.join().unwrap(), n);
    }
    assert!(start.elapsed() < ms(300), "{:?}", start.elapsed());
    assert!(slow.iter().filter(|call| call.is_finished()).count() < 40);
    // Never more than three at once, so that each queue takes its time.
    assert!(slow.into_iter().all(|call| call.join().is_ok()));
    assert!(start.elapsed() >= ms(19 * 30), "{:?}", start.elapsed());
    // Without a limit they are served by turns.
    let pool = builder(1).build().unwrap();
    let (hung, log) = (hangs(&pool), log());
    let task = |n| noted::task(log.try_clone().unwrap(), n, 0);
    let queues = ["", "x"].map(|name| pool.queue(name));
    let many: Vec<_> = (0..6).map(|_| queues[0].call(task(0))).collect();
    let few: Vec<_> = (0..2).map(|_| queues[1].call(task(1))).collect();
    hung.kill().unwrap();
    assert!(many.into_iter().chain(few).all(|call| call.join().is_ok()));
    let ran = ran(&log);
    assert!(ran.iter().rposition(|n| *n == 1).unwrap() <= 3, "{ran:?}");
}

/// How many of these calls run.
fn running(calls: &[Call<u32>]) -> usize {
    calls.iter().filter(|call| call.pid().is_some()).count()
}

#[test]
fn the_concurrency_of_a_queue_changes_at_any_time_and_with_none_it_rests() {
    let _limit = watchdog(30);
    for depth in [1, 16] {
        let pool = builder(4).depth(depth).build().unwrap();
        let queue = pool.queue("jobs");
        queue.concurrency(0);
        let calls: Vec<_> = (0..6).map(|_| queue.call(nap::task(3_600_000))).collect();
        thread::sleep(ms(20));
        assert_eq!((running(&calls), queue.len()), (0, 6));
        assert_eq!(pool.call(echo::task(1)).join().unwrap(), 1);
        // So many run soon, and after a while there are no more of them.
        let rests = |calls: &[Call<u32>], run: usize, wait: usize| {
            until("so many run", || running(calls) == run);
            thread::sleep(ms(20));
            assert_eq!((running(calls), queue.len()), (run, wait));
        };
        for (most, run) in [(1, 1), (3, 3), (2, 3)] {
            queue.concurrency(most);
            rests(&calls, run, 6 - run);
        }
        // Those that run go on, and none follows.
        calls[0].kill().unwrap();
        rests(&calls[1..], 2, 3);
        queue.concurrency(0);
        calls[1].kill().unwrap();
        rests(&calls[2..], 1, 3);
        queue.concurrency(usize::MAX);
        let late = queue.with().timeout(ms(1)).call(echo::task(1));
        let _ = late.join();
        thread::sleep(ms(20));
        assert!(queue.len() <= 1, "{}", queue.len());
        pool.shutdown(ms(0)).unwrap();
    }
}

#[test]
fn a_long_call_holds_up_no_short_ones() {
    let _limit = watchdog(30);
    let pool = Pool::new(2).unwrap();
    let long = hangs(&pool);
    let short: Vec<_> = (0..1000).map(|n| pool.call(echo::task(n))).collect();
    for (n, call) in (0..).zip(short) {
        assert_eq!(call.join().unwrap(), n);
    }
    assert!(!long.is_finished(), "all short ones are done before it");
    long.kill().unwrap();
}
