//! Calls as futures.

use std::{sync::Arc, thread, time::Duration};

use ::tokio::{
    runtime::{Builder, Runtime},
    time::{sleep, timeout},
};

use super::{LONG, echo, log, nap, noted, ran, service};
use crate::util::{Census, alone, fds, signal, until, watchdog};

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn calls_can_be_awaited_in_any_order() {
    let _limit = watchdog(30);
    let service = service();
    runtime().block_on(async {
        let calls: Vec<_> = (0..100).map(|n| service.call(echo::task(n))).collect();
        for (n, call) in calls.into_iter().enumerate().rev() {
            let n = u64::try_from(n).unwrap();
            assert_eq!(call.await.unwrap(), n);
        }
        let (slow, behind) = (
            service.call(nap::task(3_600_000)),
            service.call(echo::task(1)),
        );
        assert!(timeout(Duration::from_millis(20), behind).await.is_err());
        signal(service.id(), libc::SIGKILL);
        let error = slow.await.unwrap_err();
        assert!(error.is_signal() && !error.is_unstarted(), "{error:?}");
        let error = service.call(echo::task(2)).await.unwrap_err();
        assert!(error.is_signal() && error.is_unstarted(), "{error:?}");
    });
}

#[test]
fn a_future_that_is_dropped_before_its_call_began_runs_nothing() {
    let _limit = watchdog(30);
    let (service, log) = (service(), log());
    runtime().block_on(async {
        let slow = service.call(nap::task(200));
        let dropped = service.call(noted::task(log.try_clone().unwrap(), 1));
        assert!(timeout(Duration::from_millis(20), dropped).await.is_err());
        assert_eq!(slow.await.unwrap(), 200);
        let kept = service.call(noted::task(log.try_clone().unwrap(), 2));
        assert_eq!(kept.await.unwrap(), 2);
    });
    assert_eq!(ran(&log), [2]);
}

#[test]
fn futures_and_threads_that_wait_for_one_service_all_get_their_answers() {
    let _limit = watchdog(120);
    let service = Arc::new(service());
    let runtime = runtime();
    thread::scope(|scope| {
        for thread in 0..3 {
            let service = &service;
            scope.spawn(move || {
                for n in 0..500 {
                    let n = thread * 1000 + n;
                    assert_eq!(service.call(echo::task(n)).join().unwrap(), n);
                }
            });
        }
        runtime.block_on(async {
            let tasks: Vec<_> = (0..8)
                .map(|task| {
                    let service = Arc::clone(&service);
                    ::tokio::spawn(async move {
                        for n in 0..200 {
                            let n = task * 1000 + n;
                            let call = service.call(echo::task(n));
                            assert_eq!(timeout(LONG, call).await.unwrap().unwrap(), n);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
}

#[test]
fn futures_leave_no_descriptors() {
    let _limit = watchdog(60);
    alone(|| {
        let runtime = runtime();
        runtime.block_on(async { sleep(Duration::ZERO).await });
        let before = Census::take();
        let service = service();
        let at_first = fds(std::process::id());
        runtime.block_on(async {
            for n in 0..200 {
                let calls = [n, n + 1].map(|n| service.call(echo::task(n)));
                let [first, second] = calls;
                let _ = timeout(Duration::ZERO, second).await;
                assert_eq!(first.await.unwrap(), n);
            }
        });
        until("all are closed", || fds(std::process::id()) == at_first);
        drop(service);
        before.check();
    });
}
