//! Workers that do with their socket what they should not, and workers that fork.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    process::id,
    thread,
    time::{Duration, Instant},
};

use zygote::{Call, Pool, Process};

use super::ground::{BYS, LONG, SHAPES, Shape, end};
use crate::util::{Census, STOCK, alone, is_alive, signal, until, watchdog, within};

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

#[zygote::entry]
fn pid() -> u32 {
    id()
}

/// Forks. The child sleeps, and holds what its parent had.
#[allow(unsafe_code, reason = "what an entry may do")]
fn leave_child(millis: u64) -> u32 {
    // SAFETY: the child only sleeps and leaves.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        thread::sleep(Duration::from_millis(millis));
        // SAFETY: it ends this process.
        unsafe { libc::_exit(0) };
    }
    u32::try_from(pid).unwrap()
}

#[zygote::entry]
fn leaves_a_child_and_dies() {
    leave_child(4000);
    std::process::abort();
}

#[zygote::entry]
fn leaves_a_child(millis: u64) -> u32 {
    leave_child(millis)
}

fn pool(shape: Shape) -> Pool {
    let builder = Pool::builder(Process::new).workers(1..=1);
    shape.of(builder).build().unwrap()
}

#[test]
fn a_child_that_holds_the_socket_of_a_dead_worker_hides_nothing() {
    let _limit = watchdog(30);
    for shape in SHAPES {
        let pool = pool(shape);
        let dies = [(); 6].map(|()| pool.call(leaves_a_child_and_dies::task()));
        let behind = [1, 2].map(|n| pool.call(echo::task(n)));
        within(Duration::from_secs(3), || {
            for (call, by) in dies.into_iter().zip(BYS.into_iter().cycle()) {
                let error = by.outcome(call).unwrap_err();
                assert!(error.is_signal() && !error.is_unstarted(), "{error:?}");
            }
            // Six workers died in front of them.
            assert_eq!(behind.map(|call| call.join().unwrap()), [1, 2], "{shape:?}");
        });
        within(Duration::from_secs(3), || pool.shutdown(LONG).unwrap());
    }
}

#[test]
fn a_worker_may_fork_and_its_child_outlives_it() {
    let _limit = watchdog(30);
    alone(|| {
        // The default template has in stock as many as were in use at the same time.
        let many: Vec<_> = (0..=STOCK).map(|_| Process::new().unwrap()).collect();
        drop(many);
        let before = Census::take();
        for shape in SHAPES {
            let pool = pool(shape);
            let calls = [4000, 20, 0].map(|millis| pool.call(leaves_a_child::task(millis)));
            let children = calls.map(|call| call.join().unwrap());
            assert_eq!(pool.call(echo::task(3)).join().unwrap(), 3);
            until("the other children end", || {
                children[1..].iter().all(|child| !is_alive(*child))
            });
            assert_eq!(pool.call(echo::task(4)).join().unwrap(), 4);
            within(Duration::from_secs(3), || end(pool));
            assert!(is_alive(children[0]), "nobody has asked for its end");
            signal(children[0], libc::SIGKILL);
        }
        before.check();
    });
}

/// Forks, and the child does not leave: it goes on as if it were the worker.
#[allow(unsafe_code, reason = "what an entry should not do")]
#[zygote::entry]
fn is_two() -> u32 {
    let own = id();
    // SAFETY: a worker has one thread.
    unsafe { libc::fork() };
    thread::sleep(Duration::from_millis(u64::from(id() == own) * 20));
    id()
}

#[test]
fn a_fork_that_goes_on_as_the_worker_costs_no_other_call() {
    let _limit = watchdog(30);
    for shape in SHAPES {
        let pool = pool(shape);
        let before = pool.call(pid::task()).join().unwrap();
        let calls = [(); 3].map(|()| pool.call(is_two::task()));
        let behind = [1, 2, 3].map(|n| pool.call(echo::task(n)));
        for mut call in calls {
            // Either of the two may have answered first.
            match call.join_timeout(LONG) {
                Ok(got) => assert!(got.is_some(), "{shape:?}: no outcome"),
                Err(error) => assert!(!error.is_unstarted(), "{shape:?}: {error:?}"),
            }
        }
        for (n, mut call) in (1..).zip(behind) {
            match call.join_timeout(LONG) {
                Ok(got) => assert_eq!(got, Some(n), "{shape:?}: no outcome"),
                Err(error) => panic!("{shape:?}: {error:?}"),
            }
        }
        assert!(before > 0 && pool.call(echo::task(9)).join().unwrap() == 9);
        pool.shutdown(LONG).unwrap();
    }
}

/// The sockets of this process.
fn sockets() -> Vec<i32> {
    let is_socket = |fd: &i32| {
        fs::read_link(format!("/proc/self/fd/{fd}"))
            .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    (3..256).filter(is_socket).collect()
}

#[allow(unsafe_code, reason = "what an entry should not do")]
#[zygote::entry]
fn closes_its_socket(lives: Duration) -> u32 {
    for socket in sockets() {
        // SAFETY: the worker finds out when it uses it.
        unsafe { libc::close(socket) };
    }
    thread::sleep(lives);
    id()
}

#[test]
fn a_worker_that_closes_its_socket_costs_its_own_call() {
    let _limit = watchdog(30);
    for shape in SHAPES {
        let pool = pool(shape);
        let first = pool.call(pid::task()).join().unwrap();
        let calls = [0, 30].map(|ms| {
            let lives = Duration::from_millis(ms);
            pool.call(closes_its_socket::task(lives))
        });
        let behind = [1, 2].map(|n| pool.call(echo::task(n)));
        for error in calls.map(|call| call.join().unwrap_err()) {
            assert!(error.is_exit() && !error.is_unstarted(), "{error:?}");
            let status = error.exit().unwrap().status().unwrap();
            assert_eq!((status.code(), status.signal()), (Some(1), None));
        }
        assert_eq!(behind.map(|call| call.join().unwrap()), [1, 2], "{shape:?}");
        assert_ne!(pool.call(pid::task()).join().unwrap(), first);
        pool.shutdown(LONG).unwrap();
    }
}

/// The others need not wait for it: it is killed when it has had time to end.
#[test]
fn a_worker_that_closes_its_socket_and_lives_is_killed_and_the_others_go_on() {
    let _limit = watchdog(30);
    let started = Instant::now();
    let pools: Vec<Pool> = SHAPES.into_iter().map(pool).collect();
    let hour = Duration::from_secs(3600);
    let calls = pools.iter().map(|pool| {
        let bad = pool.call(closes_its_socket::task(hour));
        let limited = pool.with().time_limit(Duration::from_millis(50));
        (bad, limited.call(echo::task(1)))
    });
    let calls: Vec<(Call<u32>, Call<u32>)> = calls.collect();
    for (bad, behind) in calls {
        let error = bad.join().unwrap_err();
        assert!(error.is_signal() && !error.is_unstarted(), "{error:?}");
        assert_eq!(behind.join().unwrap(), 1);
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    for pool in pools {
        pool.shutdown(LONG).unwrap();
    }
}
