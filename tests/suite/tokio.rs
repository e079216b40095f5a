//! A worker as a future.

use std::{future::IntoFuture, thread, time::Duration};

use ::tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};
use serde::{Deserialize, Serialize};
use zygote::{Process, Worker};

use crate::util::{self, Census, alone, watchdog};

#[zygote::entry]
fn nap(ms: u64) -> u64 {
    thread::sleep(Duration::from_millis(ms));
    ms
}

#[zygote::entry]
fn panics() {
    panic!("in a future");
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_worker_can_be_awaited() {
    let _limit = watchdog(30);
    runtime().block_on(async {
        assert_eq!(nap::spawn(20).unwrap().await.unwrap(), 20);
        let error = panics::spawn().unwrap().await.unwrap_err();
        assert!(error.is_panic(), "{error:?}");
        let workers: Vec<Worker<u64>> = (0..10).map(|n| nap::spawn(n).unwrap()).collect();
        for (n, worker) in (0..).zip(workers) {
            assert_eq!(worker.await.unwrap(), n);
        }
        let killed = nap::spawn(3_600_000).unwrap();
        killed.kill().unwrap();
        assert!(killed.await.unwrap_err().is_signal());
    });
}

#[test]
fn a_worker_that_is_awaited_can_be_killed_beside() {
    let _limit = watchdog(30);
    runtime().block_on(async {
        let mut join = nap::spawn(3_600_000).unwrap().into_future();
        assert!(
            timeout(Duration::from_millis(20), &mut join).await.is_err(),
            "it goes on"
        );
        assert!(util::is_alive(join.worker().id()));
        join.worker().kill().unwrap();
        assert!(join.await.unwrap_err().is_signal());
    });
}

#[test]
fn a_future_that_is_dropped_leaves_the_runtime_and_the_worker_alone() {
    let _limit = watchdog(60);
    alone(|| {
        let runtime = runtime();
        runtime.block_on(async { nap::spawn(0).unwrap().await.unwrap() });
        let before = Census::take();
        runtime.block_on(async {
            let worker = nap::spawn(3_600_000).unwrap();
            let pid = worker.id();
            let waited = timeout(Duration::from_millis(20), worker).await;
            assert!(waited.is_err());
            assert!(util::is_alive(pid));
            util::signal(pid, libc::SIGKILL);
            let worker = nap::spawn(3_600_000).unwrap().kill_on_drop(true);
            let pid = worker.id();
            assert!(timeout(Duration::from_millis(20), worker).await.is_err());
            util::until("it is killed", || !util::is_alive(pid));
        });
        before.check();
    });
}

/// What a preload does before its workers use runtimes of their own.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Before {
    /// A runtime with all drivers, which listens for the signal.
    Listens,
    /// The same, in a worker: nothing but its result is left.
    Elsewhere,
    /// A runtime without the drivers that need descriptors.
    TimeAlone,
}

#[zygote::entry]
fn computes() -> u32 {
    let everything = Builder::new_current_thread().enable_all().build().unwrap();
    everything.block_on(async {
        drop(signal(SignalKind::user_defined1()).unwrap());
        sleep(Duration::from_millis(1)).await;
        7
    })
}

#[zygote::preload]
fn warm(before: Before) -> u32 {
    match before {
        Before::Listens => computes(),
        Before::Elsewhere => computes::spawn().unwrap().join().unwrap(),
        Before::TimeAlone => {
            let time = Builder::new_current_thread().enable_time().build().unwrap();
            time.block_on(async {
                sleep(Duration::from_millis(1)).await;
                7
            })
        }
    }
}

/// How many of three signals came.
#[zygote::entry]
fn hears(value: &u32, ready: zygote::Sender<()>, limit: Duration) -> usize {
    assert_eq!(*value, 7);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut signals = signal(SignalKind::user_defined1()).unwrap();
        let mut count = 0;
        for _ in 0..3 {
            ready.send(()).unwrap();
            count += usize::from(timeout(limit, signals.recv()).await.is_ok());
        }
        count
    })
}

fn heard(before: Before, limit: Duration) -> Vec<usize> {
    let process = Process::new().unwrap().preload(warm::task(before)).unwrap();
    let start = |_| {
        let (ready, told) = zygote::channel().unwrap();
        let worker = hears::spawn(&process, ready, limit).unwrap();
        (worker, told)
    };
    let workers: Vec<_> = (0..4).map(start).collect();
    for _ in 0..3 {
        for (worker, told) in &workers {
            told.recv().unwrap();
            worker.signal(libc::SIGUSR1).unwrap();
        }
    }
    let join = |(worker, _): (Worker<usize>, _)| worker.join().unwrap();
    workers.into_iter().map(join).collect()
}

#[test]
fn workers_hear_signals_when_a_preload_used_no_runtime_of_its_own_process() {
    let _limit = watchdog(60);
    for before in [Before::Elsewhere, Before::TimeAlone] {
        assert_eq!(heard(before, util::PATIENCE), [3; 4], "{before:?}");
    }
}

/// What a signal wakes is one pair of sockets in all of them: it may be missed.
#[test]
fn no_worker_is_killed_by_a_signal_that_a_preload_listened_for() {
    let _limit = watchdog(60);
    let counts = heard(Before::Listens, Duration::from_millis(200));
    assert_eq!(counts.len(), 4);
}
