//! Queues that are full.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use zygote::{Pool, pool::Queue};

use super::tasks::{Bell, LONG, await_it, builder, echo, hangs, ms, poll};
use crate::util::{until, watchdog, within};

/// A pool with a queue of which nothing runs, and which has this much room.
fn still(room: usize) -> (Pool, Queue) {
    let pool = builder(1).queue(room).build().unwrap();
    let queue = pool.queue("still");
    queue.concurrency(0);
    (pool, queue)
}

#[test]
fn a_hundred_producers_never_exceed_the_bound() {
    let _limit = watchdog(60);
    let pool = builder(1).queue(8).build().unwrap();
    let hung = hangs(&pool);
    let calls = thread::scope(|scope| {
        let try_it = || pool.try_call(echo::task(1));
        let threads: Vec<_> = (0..100).map(|_| scope.spawn(try_it)).collect();
        threads
            .into_iter()
            .map(|it| it.join().unwrap())
            .collect::<Vec<_>>()
    });
    let (taken, refused): (Vec<_>, Vec<_>) = calls.into_iter().partition(Result::is_ok);
    assert_eq!((taken.len(), refused.len()), (8, 92));
    for error in refused.into_iter().map(Result::unwrap_err) {
        assert!(error.is_full() && error.is_unstarted(), "{error:?}");
        assert!(error.to_string().contains("echo"), "{error}");
    }
    let stats = pool.stats();
    assert_eq!((stats.waiting, stats.refused, stats.calls), (8, 92, 9));
    // `call` takes them in any case.
    let more = [2, 3].map(|n| pool.call(echo::task(n)));
    hung.kill().unwrap();
    assert!(
        taken
            .into_iter()
            .all(|call| call.unwrap().join().unwrap() == 1)
    );
    assert_eq!(more.map(|call| call.join().unwrap()), [2, 3]);
}

#[test]
fn none_of_a_hundred_who_wait_starves_and_the_bound_holds() {
    let _limit = watchdog(60);
    let pool = builder(2).queue(8).build().unwrap();
    let (is_over, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(SeqCst) {
                most.fetch_max(pool.stats().waiting, SeqCst);
            }
        });
        let threads: Vec<_> = (0..100_u64)
            .map(|thread| {
                let pool = &pool;
                scope.spawn(move || {
                    for n in 0..10 {
                        let n = thread * 100 + n;
                        let permit = match n % 3 {
                            0 => pool.ready().wait().unwrap(),
                            1 => pool.ready().wait_timeout(LONG).unwrap().unwrap(),
                            _ => await_it(pool.ready()).unwrap(),
                        };
                        assert_eq!(permit.call(echo::task(n)).join().unwrap(), n);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|it| it.join().unwrap());
        is_over.store(true, SeqCst);
    });
    assert!(most.load(SeqCst) <= 8, "{most:?}");
    assert_eq!(pool.stats().done, 1000);
}

#[test]
fn those_who_wait_have_room_in_their_order() {
    let _limit = watchdog(30);
    let (_pool, queue) = still(1);
    let mut held = Some(queue.try_call(echo::task(0)).unwrap());
    let mut all: Vec<_> = (0..5)
        .map(|_| (queue.ready(), Arc::new(Bell::default())))
        .collect();
    for (ready, bell) in &mut all {
        assert!(poll(ready, bell).is_none());
    }
    assert!(queue.ready().wait_timeout(ms(5)).unwrap().is_none());
    for at in 0..5 {
        let rung = || all.iter().map(|(_, bell)| bell.rung()).collect::<Vec<_>>();
        let expected: Vec<_> = (0..5).map(|other| usize::from(other < at)).collect();
        assert_eq!(rung(), expected);
        drop(held.take());
        until("one has room", || rung()[at] == 1);
        // Nobody takes it away.
        assert!(queue.try_call(echo::task(9)).unwrap_err().is_full());
        let (ready, bell) = &mut all[at];
        let permit = poll(ready, bell).unwrap().unwrap();
        held = Some(permit.call(echo::task(1)));
        assert_eq!(queue.len(), 1);
    }
    queue.concurrency(1);
    assert_eq!(held.unwrap().join().unwrap(), 1);
}

#[test]
fn room_that_is_not_used_is_given_back() {
    let _limit = watchdog(30);
    let (_pool, queue) = still(1);
    let is_full = || {
        queue
            .try_call(echo::task(0))
            .is_err_and(|error| error.is_full())
    };
    let permit = queue.ready().wait().unwrap();
    assert!(is_full());
    drop(permit);
    assert!(!is_full(), "the call was dropped, and leaves room too");

    // One that waited for room, has it, and is dropped.
    let held = queue.try_call(echo::task(0)).unwrap();
    let bells = [(); 3].map(|()| Arc::new(Bell::default()));
    let [mut leaves, mut unused, mut last] = [(); 3].map(|()| queue.ready());
    assert!(poll(&mut leaves, &bells[0]).is_none());
    assert!(poll(&mut unused, &bells[1]).is_none());
    assert!(poll(&mut last, &bells[2]).is_none());
    drop(leaves);
    drop(held);
    until("the second has room", || bells[1].rung() == 1);
    assert_eq!((bells[0].rung(), bells[2].rung()), (0, 0));
    drop(unused);
    until("the last has room", || bells[2].rung() == 1);
    drop(poll(&mut last, &bells[2]).unwrap().unwrap());
    drop(last);
    assert!(!is_full());
}

#[test]
fn a_shutdown_wakes_all_who_wait() {
    let _limit = watchdog(30);
    let (pool, queue) = still(1);
    let held = queue.try_call(echo::task(0)).unwrap();
    let bell = Arc::new(Bell::default());
    let mut ready = queue.ready();
    assert!(poll(&mut ready, &bell).is_none());
    thread::scope(|scope| {
        let waits = [
            scope.spawn(|| queue.ready().wait().map(|_| ()).unwrap_err()),
            scope.spawn(|| queue.ready().wait_timeout(LONG).map(|_| ()).unwrap_err()),
            scope.spawn(|| await_it(queue.ready()).map(|_| ()).unwrap_err()),
            scope.spawn(|| queue.map([echo::task(1)]).next().unwrap().unwrap_err()),
        ];
        thread::sleep(ms(20));
        within(LONG, || pool.shutdown(ms(0)).unwrap());
        for wait in waits {
            let error = wait.join().unwrap();
            assert!(error.is_closed() && error.is_unstarted(), "{error:?}");
        }
    });
    assert_eq!(bell.rung(), 1);
    let error = poll(&mut ready, &bell).unwrap().unwrap_err();
    assert!(error.is_closed(), "{error:?}");
    let error = queue.ready().wait().unwrap_err();
    assert!(error.is_closed(), "{error:?}");
    assert!(held.join().unwrap_err().is_closed());
}

/// Cannot be encoded.
#[derive(Debug)]
struct Stays;

impl serde::Serialize for Stays {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it stays here"))
    }
}

impl<'de> serde::Deserialize<'de> for Stays {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

#[zygote::entry]
fn takes(_it: Stays) {}

#[test]
fn what_cannot_be_encoded_uses_no_room() {
    let _limit = watchdog(30);
    let (pool, queue) = still(1);
    for _ in 0..3 {
        let error = queue.try_call(takes::task(Stays)).unwrap_err();
        assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
        let call = queue.ready().wait().unwrap().call(takes::task(Stays));
        assert!(call.is_finished() && call.pid().is_none());
        let error = call.join().unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains("it stays here"));
        let refused = pool.call(takes::task(Stays));
        refused.kill().unwrap();
        assert!(refused.join().unwrap_err().is_unstarted());
    }
    let call = queue.try_call(echo::task(4)).unwrap();
    queue.concurrency(1);
    assert_eq!(call.join().unwrap(), 4);
    assert_eq!(pool.stats().calls, 1);
}
