//! A worker as a future.

use std::{thread, time::Duration};

use ::tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use zygote::Worker;

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
