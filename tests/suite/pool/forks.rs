//! Programs with a pool that fork, or close what is the pool's.

use std::{sync::Arc, thread};

use zygote::{Error, Pool, Process};

use super::tasks::{Bell, LONG, begun, builder, echo, hangs, ms, nap, poll};
use crate::util::{forked, until, watchdog, within};

fn refused(error: &Error) {
    assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
    assert!(error.to_string().contains("fork"), "{error}");
}

/// Every handle there is is an error at once in the copy.
#[zygote::entry]
fn forks() {
    let pool = builder(2).queue(3).build().unwrap();
    let hung = [(); 2].map(|()| hangs(&pool));
    let queue = pool.queue("other");
    let with = pool.with().timeout(LONG).key(1);
    let (bell, mut ready) = (Arc::new(Bell::default()), pool.ready());
    let permit = queue.ready().wait().unwrap();
    let waits: Vec<_> = (0..3).map(|n| pool.call(echo::task(n))).collect();
    assert!(poll(&mut ready, &bell).is_none());
    let other = Pool::new(1).unwrap();
    let mut ordered = other.map((0..).map(echo::task));
    let mut unordered = other.map((0..9).map(echo::task)).unordered();
    assert_eq!(ordered.next().unwrap().unwrap(), 0);
    assert!(unordered.next().unwrap().is_ok());
    let stopped = hangs(&other);
    let mut late = other.map((0..9).map(echo::task)).unordered();
    let late_first = thread::scope(|scope| {
        let first = scope.spawn(|| late.next());
        thread::sleep(ms(20));
        stopped.kill().unwrap();
        first.join().unwrap()
    });
    assert!(late_first.unwrap().is_ok());
    let status = forked(|| {
        within(ms(200), || {
            refused(&pool.call(echo::task(1)).join().unwrap_err());
            refused(&pool.try_call(echo::task(1)).unwrap_err());
            refused(&queue.call(echo::task(1)).join().unwrap_err());
            refused(&with.call(echo::task(1)).join().unwrap_err());
            refused(&pool.ready().wait().unwrap_err());
            refused(&poll(&mut ready, &bell).unwrap().unwrap_err());
            refused(&permit.call(echo::task(1)).join().unwrap_err());
            refused(&pool.shutdown(LONG).unwrap_err());
            refused(&pool.reload(Process::new).unwrap_err());
            refused(&ordered.next().unwrap().unwrap_err());
            assert!(pool.map([echo::task(1)]).all(|result| result.is_err()));
            for map in [&mut unordered, &mut late] {
                assert!(map.by_ref().take(20).all(|result| result.is_err()));
                assert!(map.next().is_none());
            }
            pool.resize(1..=1);
            queue.concurrency(1);
            assert_eq!((queue.len(), pool.stats().workers), (0, 0));
            let _ = pool.queue("third").clone();
            for call in hung {
                assert!(call.is_finished() && !call.cancel());
                refused(&call.kill().unwrap_err());
                refused(&call.join().unwrap_err());
            }
            for mut call in waits {
                refused(&poll(&mut call, &bell).unwrap().unwrap_err());
            }
            drop((pool, other, queue, with, ready, ordered, unordered, late));
        });
        // It can have a pool of its own.
        assert_eq!(Pool::new(1).unwrap().call(echo::task(6)).join().unwrap(), 6);
    });
    assert!(status.success(), "{status}");
}

/// The original goes on, whatever its copy does.
#[zygote::entry]
fn forks_and_goes_on() -> Vec<u64> {
    let pool = builder(2).queue(64).build().unwrap();
    let hung = hangs(&pool);
    let calls: Vec<_> = (0..50).map(|n| pool.call(echo::task(n))).collect();
    for _ in 0..5 {
        let held = &calls;
        let status = forked(|| {
            refused(&held[0].kill().unwrap_err());
            drop(pool.clone());
            refused(&pool.call(echo::task(1)).join().unwrap_err());
        });
        assert!(status.success(), "{status}");
    }
    let results = calls.into_iter().map(|call| call.join().unwrap()).collect();
    assert!(!hung.is_finished());
    hung.kill().unwrap();
    pool.shutdown(LONG).unwrap();
    results
}

#[test]
fn in_a_copy_of_the_program_every_handle_is_an_error_at_once() {
    let _limit = watchdog(30);
    forks::spawn().unwrap().join().unwrap();
    let results = forks_and_goes_on::spawn().unwrap().join().unwrap();
    assert_eq!(results, (0..50).collect::<Vec<_>>());
}

#[zygote::entry]
fn forks_itself_as_a_template() -> String {
    let pool = Pool::new(1).unwrap();
    assert_eq!(pool.call(echo::task(1)).join().unwrap(), 1);
    let error = Process::fork_current().unwrap_err();
    pool.shutdown(LONG).unwrap();
    drop(pool);
    until("its threads have ended", || Process::fork_current().is_ok());
    error.to_string()
}

#[test]
fn a_fork_of_the_program_beside_a_pool_is_refused_by_the_name_of_its_thread() {
    let _limit = watchdog(30);
    let text = forks_itself_as_a_template::spawn().unwrap().join().unwrap();
    assert!(text.contains("zygote-pool"), "{text}");
}

/// `closefrom(3)`.
#[allow(unsafe_code, reason = "there is no safe close_range(2) at hand")]
fn close_all() {
    // SAFETY: it touches no memory, and what is closed is this library's.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    assert_eq!(result, 0);
}

#[zygote::entry]
fn closes_all() {
    for is_busy in [true, false] {
        let status = forked(|| {
            let pool = builder(2).build().unwrap();
            assert_eq!(pool.call(echo::task(1)).join().unwrap(), 1);
            let calls: Vec<_> = match is_busy {
                true => (0..3).map(|_| pool.call(nap::task(3_600_000))).collect(),
                false => Vec::new(),
            };
            for call in calls.iter().take(2) {
                begun(call);
            }
            thread::sleep(ms(30));
            close_all();
            within(ms(3000), || {
                for call in calls {
                    let error = call.join().unwrap_err();
                    assert!(error.to_string().contains("closed"), "{error:?}");
                }
                for n in 0..3 {
                    let error = pool.call(echo::task(n)).join().unwrap_err();
                    assert!(error.is_unstarted(), "{error:?}");
                    pool.try_call(echo::task(n)).unwrap_err();
                }
                pool.ready().wait().map(drop).unwrap_err();
                let _ = pool.shutdown(LONG);
                drop(pool);
            });
        });
        assert!(status.success(), "{is_busy}: {status}");
    }
}

#[test]
fn calls_fail_when_the_program_has_closed_all_descriptors() {
    let _limit = watchdog(30);
    closes_all::spawn().unwrap().join().unwrap();
}
