//! Calls that nobody wants any more.

use std::{fs::File, thread};

use zygote::Pool;

use super::{
    ground::{BYS, SHAPES},
    tasks::{
        LONG, begun, builder, dies, echo, hangs, log, ms, nap, noted, pid, ran, until_cancelled,
    },
};
use crate::util::{is_alive, until, watchdog};

fn task(log: &File, n: u32) -> zygote::Task<u32> {
    noted::task(log.try_clone().unwrap(), n, 0)
}

#[test]
fn what_is_given_up_before_it_began_does_not_run() {
    let _limit = watchdog(30);
    for depth in [1, 16] {
        let (pool, log) = (builder(1).depth(depth).build().unwrap(), log());
        let slow = pool.call(nap::task(100));
        let worker = begun(&slow);
        let [dropped, cancelled, killed, detached, on_drop, kept] =
            [1, 2, 3, 4, 5, 6].map(|n| pool.call(task(&log, n)));
        // Time for those that are given in advance.
        thread::sleep(ms(20));
        drop(dropped);
        drop(on_drop.kill_on_drop(true));
        assert!(cancelled.cancel() && !cancelled.cancel() && cancelled.is_finished());
        killed.kill().unwrap();
        detached.detach();
        for call in [cancelled, killed] {
            assert_eq!(call.pid(), None);
            let error = call.join().unwrap_err();
            assert!(error.is_cancelled() && error.is_unstarted(), "{error:?}");
        }
        assert!(!slow.cancel(), "it has begun");
        assert_eq!(slow.join().unwrap(), worker);
        assert_eq!(kept.join().unwrap(), 6);
        assert_eq!(ran(&log), [4, 6]);
        let stats = pool.stats();
        assert_eq!((stats.cancelled, stats.started, stats.done), (4, 1, 3));
        assert_eq!(stats.waiting + stats.running, 0);
    }
}

#[test]
fn what_runs_is_told_killed_or_goes_on() {
    let _limit = watchdog(30);
    for depth in [1, 16] {
        let (pool, log) = (builder(1).depth(depth).build().unwrap(), log());
        let told = pool.call(until_cancelled::task(10_000));
        begun(&told);
        assert!(!told.cancel() && !told.cancel());
        assert!(told.join().unwrap());
        assert!(!pool.call(until_cancelled::task(3)).join().unwrap());

        let hung = hangs(&pool);
        let worker = begun(&hung);
        let behind = [1, 2].map(|n| pool.call(task(&log, n)));
        hung.kill().unwrap();
        hung.kill().unwrap();
        let error = hung.join().unwrap_err();
        assert!(error.is_cancelled() && !error.is_unstarted(), "{error:?}");
        assert_eq!(error.pid(), Some(worker));
        assert!(error.to_string().contains("nap"), "{error}");
        assert_eq!(behind.map(|call| call.join().unwrap()), [1, 2]);
        until("it ends", || !is_alive(worker));

        let hung = hangs(&pool).kill_on_drop(true);
        let worker = begun(&hung);
        drop(hung);
        until("it ends", || !is_alive(worker));

        // One that is dropped or detached goes on.
        for n in [3, 4] {
            let slow = pool.call(noted::task(log.try_clone().unwrap(), n, 20));
            begun(&slow);
            if n == 3 {
                drop(slow)
            } else {
                slow.detach()
            }
            assert_eq!(pool.call(echo::task(1)).join().unwrap(), 1);
        }
        assert_eq!(ran(&log), [1, 2, 3, 4]);
        assert_eq!(pool.stats().done, 2 + 2 + 2 + 2);
    }
}

#[test]
fn what_has_finished_cannot_be_given_up() {
    let _limit = watchdog(30);
    let pool = builder(1).build().unwrap();
    let worker = pool.call(pid::task()).join().unwrap();
    let mut call = pool.call(pid::task()).kill_on_drop(true);
    until("it is there", || call.is_finished());
    assert_eq!(call.pid(), Some(worker));
    assert!(!call.cancel());
    call.kill().unwrap();
    assert_eq!(call.join_timeout(ms(0)).unwrap(), Some(worker));
    let again = call.join_timeout(ms(0)).unwrap_err();
    assert!(again.is_invalid(), "{again:?}");
    assert!(call.is_finished() && !call.cancel());
    call.kill().unwrap();
    drop(call);
    // One whose worker has died.
    let dead = pool.call(dies::task());
    until("it is over", || dead.is_finished());
    assert!(!dead.cancel());
    dead.kill().unwrap();
    assert!(dead.join().unwrap_err().is_signal());
    let next = pool.call(pid::task()).join().unwrap();
    assert_ne!(next, worker);
    assert_eq!(pool.call(pid::task()).join().unwrap(), next);
}

#[test]
fn who_gives_up_and_who_begins_never_both_win() {
    let _limit = watchdog(60);
    for depth in [1, 16] {
        let (pool, log) = (builder(1).depth(depth).build().unwrap(), log());
        for n in 0..150 {
            let before = pool.call(echo::task(1));
            let call = pool.call(task(&log, n));
            if n % 2 == 0 {
                before.join().unwrap();
            }
            (0..n * 20).for_each(|_| std::hint::spin_loop());
            let is_withdrawn = call.cancel();
            let outcome = call.join();
            assert_eq!(is_withdrawn, outcome.is_err(), "{outcome:?}");
            let n = u8::try_from(n).unwrap();
            assert_eq!(ran(&log).contains(&n), !is_withdrawn);
        }
    }
}

/// Has one thread kill a call for which another one waits, among others.
fn race(pool: &Pool, round: u64) {
    let call = pool.call(echo::task(round));
    let strangers = [1, 2, 3].map(|n| pool.call(echo::task(n)));
    thread::scope(|scope| {
        let call = &call;
        let killer = scope.spawn(move || {
            (0..round * 17 % 3000).for_each(|_| std::hint::spin_loop());
            call.kill().unwrap();
        });
        until("it is over", || call.is_finished());
        killer.join().unwrap();
    });
    match call.join() {
        Ok(n) => assert_eq!(n, round),
        Err(error) => assert!(error.is_cancelled(), "{error:?}"),
    }
    for (n, stranger) in (1..).zip(strangers) {
        assert_eq!(stranger.join().unwrap(), n, "a stranger was killed");
    }
}

#[test]
fn a_call_is_killed_at_any_time_and_no_stranger_with_it() {
    let _limit = watchdog(60);
    let pool = builder(2).build().unwrap();
    for round in 0..200 {
        race(&pool, round);
    }
    let stats = pool.stats();
    assert_eq!(stats.lost, 0);
    assert_eq!(stats.done + stats.cancelled, 800);
}

#[test]
fn a_call_that_waits_and_is_dropped_leaves_room_and_never_runs() {
    let _limit = watchdog(30);
    let (pool, log) = (builder(1).queue(2).build().unwrap(), log());
    let hung = hangs(&pool);
    for n in 0..20 {
        let call = pool.try_call(task(&log, n)).unwrap();
        let other = pool.try_call(task(&log, n)).unwrap();
        assert!(pool.try_call(task(&log, n)).unwrap_err().is_full());
        drop((call, other));
    }
    hung.kill().unwrap();
    let mut last = pool.call(task(&log, 99));
    assert_eq!(last.join_timeout(LONG).unwrap(), Some(99));
    assert_eq!(ran(&log), [99]);
}

#[test]
fn in_every_shape_and_however_it_is_waited_for_what_is_given_up_has_one_outcome() {
    let _limit = watchdog(60);
    let ways = SHAPES
        .into_iter()
        .flat_map(|shape| BYS.map(|by| (shape, by)));
    for (shape, by) in ways {
        let what = format!("{shape:?}, {by:?}");
        let log = log();
        let pool = shape.of(builder(1)).build().unwrap();
        let slow = pool.call(nap::task(60));
        begun(&slow);
        let [dropped, cancelled, killed, kept] = [1, 2, 3, 4].map(|n| pool.call(task(&log, n)));
        thread::sleep(ms(10));
        drop(dropped);
        assert!(cancelled.cancel(), "{what}");
        killed.kill().unwrap();
        for call in [cancelled, killed] {
            let error = by.outcome(call).unwrap_err();
            assert!(
                error.is_cancelled() && error.is_unstarted(),
                "{what}: {error:?}"
            );
        }
        assert!(!slow.cancel(), "{what}: it has begun");
        by.outcome(slow).unwrap();
        assert_eq!(by.outcome(kept).unwrap(), 4, "{what}");
        let hung = hangs(&pool);
        begun(&hung);
        hung.kill().unwrap();
        let error = by.outcome(hung).unwrap_err();
        assert!(
            error.is_cancelled() && !error.is_unstarted(),
            "{what}: {error:?}"
        );
        let done = pool.call(task(&log, 5));
        until("it is there", || done.is_finished());
        assert!(!done.cancel(), "{what}");
        done.kill().unwrap();
        assert_eq!(by.outcome(done).unwrap(), 5, "{what}");
        assert_eq!(ran(&log), [4, 5], "{what}");
        pool.shutdown(LONG).unwrap();
    }
}
