//! Limits of time.

use std::{
    future::Future,
    sync::Arc,
    task::{Context, Wake, Waker},
    thread,
    time::Instant,
};

use super::tasks::{
    LONG, begun, builder, echo, hangs, is_late_and_unstarted, log, ms, nap, noted, parent, pid,
    ran, until_cancelled,
};
use crate::util::{is_alive, signal, until, watchdog, within};

#[test]
fn a_timeout_ends_what_waits_and_what_was_given_in_advance_and_no_worker() {
    let _limit = watchdog(30);
    for depth in [1, 16] {
        let (pool, log) = (builder(1).depth(depth).build().unwrap(), log());
        let slow = pool.call(nap::task(600));
        begun(&slow);
        let short = pool.with().timeout(ms(30));
        let task = |n| noted::task(log.try_clone().unwrap(), n, 0);
        let (late, behind) = ([1, 2, 3].map(|n| short.call(task(n))), pool.call(task(4)));
        let start = Instant::now();
        for call in late {
            let error = call.join().unwrap_err();
            assert!(is_late_and_unstarted(&error), "{error:?}");
            assert!(error.to_string().contains("noted"), "{error}");
        }
        assert!(start.elapsed() >= ms(25) && start.elapsed() < ms(550));
        slow.join().unwrap();
        assert_eq!(behind.join().unwrap(), 4);
        assert_eq!(ran(&log), [4]);
        let stats = pool.stats();
        assert_eq!((stats.timed_out, stats.started, stats.done), (3, 1, 2));
    }
}

#[test]
fn a_limit_kills_the_worker_of_its_call_and_what_stands_behind_runs_elsewhere() {
    let _limit = watchdog(30);
    for depth in [1, 16] {
        let (pool, log) = (builder(1).depth(depth).build().unwrap(), log());
        let limited = [
            pool.with().timeout(ms(50)),
            pool.with().time_limit(ms(50)),
            pool.with().time_limit(ms(50)).timeout(LONG).retries(3),
        ];
        for with in limited {
            let hung = with.call(nap::task(3_600_000));
            let task = |n| noted::task(log.try_clone().unwrap(), n, 0);
            let behind = [1, 2, 3].map(|n| pool.call(task(n)));
            let worker = begun(&hung);
            let start = Instant::now();
            let error = hung.join().unwrap_err();
            assert!(start.elapsed() < ms(500), "{:?}", start.elapsed());
            assert!(error.is_timeout() && !error.is_unstarted(), "{error:?}");
            assert_eq!(error.pid(), Some(worker));
            until("it is killed", || !is_alive(worker));
            assert_eq!(behind.map(|call| call.join().unwrap()), [1, 2, 3]);
            assert_ne!(pool.call(pid::task()).join().unwrap(), worker);
        }
        assert_eq!(ran(&log), [1, 2, 3].repeat(3));
        assert_eq!(pool.stats().timed_out, 3);
    }
}

#[test]
fn a_time_limit_counts_from_the_beginning_and_a_timeout_from_the_call() {
    let _limit = watchdog(30);
    for depth in [1, 16] {
        let pool = builder(1).depth(depth).build().unwrap();
        let first = pool.call(nap::task(120));
        begun(&first);
        let [waits, late] = [
            pool.with().time_limit(ms(100)).call(nap::task(1)),
            pool.with().timeout(ms(700)).call(nap::task(3_600_000)),
        ];
        waits.join().unwrap();
        let error = late.join().unwrap_err();
        assert!(error.is_timeout() && !error.is_unstarted(), "{error:?}");
        assert!(first.join().is_ok());
    }
}

#[test]
fn a_soft_limit_tells_the_entry() {
    let _limit = watchdog(30);
    let pool = builder(1).soft_limit(ms(40)).build().unwrap();
    let start = Instant::now();
    assert!(pool.call(until_cancelled::task(5000)).join().unwrap());
    assert!(start.elapsed() >= ms(40) && start.elapsed() < ms(1500));
    let later = pool.with().soft_limit(LONG);
    assert!(!later.call(until_cancelled::task(80)).join().unwrap());
    // Both limits: it is told first, and killed if it does not listen.
    let both = pool.with().time_limit(ms(120));
    assert!(both.call(until_cancelled::task(5000)).join().unwrap());
    let error = both.call(nap::task(3_600_000)).join().unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
}

#[test]
fn limits_of_the_pool_hold_unless_a_call_has_its_own() {
    let _limit = watchdog(30);
    let pool = builder(1)
        .time_limit(ms(60))
        .timeout(ms(400))
        .build()
        .unwrap();
    let error = pool.call(nap::task(3_600_000)).join().unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("time limit"));
    let longer = pool.with().time_limit(LONG);
    assert!(longer.clone().call(nap::task(150)).join().is_ok());
    let error = longer
        .clone()
        .call(nap::task(3_600_000))
        .join()
        .unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("timeout"));
    let queue = pool.queue("other").with().time_limit(LONG).timeout(LONG);
    assert!(queue.call(nap::task(450)).join().is_ok());
    // A limit that is over at once, and one that never is.
    let error = pool.with().timeout(ms(0)).call(echo::task(1)).join();
    assert!(error.is_err_and(|error| is_late_and_unstarted(&error)));
    let never = std::time::Duration::MAX;
    let never = pool
        .with()
        .timeout(never)
        .time_limit(never)
        .soft_limit(never);
    assert_eq!(never.call(echo::task(1)).join().unwrap(), 1);
}

#[test]
fn an_answer_that_is_there_counts_more_than_a_limit() {
    /// Keeps the thread of the pool for this long.
    struct Slow(std::time::Duration);
    impl Wake for Slow {
        fn wake(self: Arc<Self>) {
            thread::sleep(self.0);
        }
    }
    let _limit = watchdog(30);
    for depth in [1, 16] {
        let pool = builder(2).depth(depth).build().unwrap();
        let mut holds = Box::pin(pool.call(nap::task(20)));
        let waker = Waker::from(Arc::new(Slow(ms(200))));
        let poll = holds.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
        let calls = [
            pool.with().time_limit(ms(100)).call(nap::task(60)),
            pool.with().timeout(ms(100)).call(pid::task()),
        ];
        for call in calls {
            assert!(call.join().is_ok());
        }
        assert_eq!(pool.stats().timed_out, 0);
    }
}

#[test]
fn a_worker_that_is_stopped_costs_time_or_its_call_runs_elsewhere() {
    let _limit = watchdog(30);
    for depth in [1, 16] {
        let pool = builder(1).depth(depth).build().unwrap();
        let worker = pool.call(pid::task()).join().unwrap();
        signal(worker, libc::SIGSTOP);
        let mut call = pool.call(pid::task());
        assert_eq!(call.join_timeout(ms(40)).unwrap(), None);
        assert!(!call.is_finished() && call.pid().is_none());
        signal(worker, libc::SIGCONT);
        assert_eq!(call.join_timeout(LONG).unwrap(), Some(worker));

        signal(worker, libc::SIGSTOP);
        let waits = pool.with().timeout(ms(40)).call(pid::task());
        let error = waits.join().unwrap_err();
        assert!(is_late_and_unstarted(&error), "{error:?}");
        let worker = pool.call(pid::task()).join().unwrap();
        signal(worker, libc::SIGSTOP);
        // It never began, so that it may run elsewhere.
        let runs = pool.with().time_limit(ms(40)).call(pid::task());
        let behind = pool.call(pid::task());
        let other = runs.join().unwrap();
        assert!(other != worker && behind.join().unwrap() == other);

        let stopped = pool.with().time_limit(ms(60)).call(nap::task(3_600_000));
        signal(begun(&stopped), libc::SIGSTOP);
        let error = stopped.join().unwrap_err();
        assert!(error.is_timeout() && !error.is_unstarted(), "{error:?}");
        within(ms(1500), || pool.shutdown(LONG).unwrap());
    }
}

#[test]
fn a_template_that_is_stopped_holds_up_no_other_call_and_no_limit() {
    let _limit = watchdog(30);
    let pool = builder(1).build().unwrap();
    pool.resize(1..=2);
    let template = pool.call(parent::task()).join().unwrap();
    signal(template, libc::SIGSTOP);
    let busy = pool.call(nap::task(200));
    begun(&busy);
    // A second worker is wanted now, and cannot be started.
    let late = pool.with().timeout(ms(50)).call(echo::task(1));
    let error = within(ms(170), || late.join().unwrap_err());
    assert!(is_late_and_unstarted(&error), "{error:?}");
    assert!(busy.join().is_ok());
    assert!((0..50).all(|n| pool.call(echo::task(n)).join().unwrap() == n));
    let limited = pool.with().time_limit(ms(50)).call(nap::task(3_600_000));
    let error = within(ms(500), || limited.join().unwrap_err());
    assert!(error.is_timeout(), "{error:?}");
    let waits = pool.call(echo::task(7));
    thread::sleep(ms(20));
    assert!(!waits.is_finished());
    signal(template, libc::SIGCONT);
    assert_eq!(waits.join().unwrap(), 7);
    let hung = hangs(&pool);
    assert_eq!(pool.call(echo::task(8)).join().unwrap(), 8);
    hung.kill().unwrap();
}
