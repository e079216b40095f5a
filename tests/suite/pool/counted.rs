//! No call is lost and none runs twice, whoever crashes.

use std::{fs::File, os::unix::process::ExitStatusExt};

use zygote::{Call, Pool};

use super::ground::{BYS, Log, SHAPES, Shape, end, note};
use crate::util::{Census, alone, watchdog};

/// So many calls in flight. Forks are a hundred times as slow, and the depth is nothing
/// to them.
fn calls(shape: Shape) -> u32 {
    match (shape.depth, shape.is_fresh) {
        (1, true) => 600,
        _ => 2000,
    }
}

/// Fewer than one in a hundred crash. Eight of them stand one behind the other: what
/// stands behind those sees more workers end than a call may.
fn crashes(n: u32) -> bool {
    n % 200 == 7 || (500..508).contains(&n)
}

#[zygote::entry]
fn noted(log: &File, n: u32) -> u32 {
    note(log, n);
    if crashes(n) {
        std::process::abort();
    }
    n
}

#[test]
fn a_crash_costs_the_call_that_ran_and_each_call_runs_once() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        for shape in SHAPES {
            let (log, all) = (Log::new(), calls(shape));
            let builder = Pool::builder(log.maker()).workers(2..=2);
            let pool = shape.of(builder).build().unwrap();
            let calls: Vec<Call<u32>> = (0..all).map(|n| pool.call(noted::task(n))).collect();
            // Joined in their order, by each way in turn.
            for ((n, call), by) in (0..).zip(calls).zip(BYS.into_iter().cycle()) {
                match by.outcome(call) {
                    Ok(got) => assert!(got == n && !crashes(n), "{shape:?}, {by:?}: {n}"),
                    Err(error) => {
                        assert!(crashes(n), "{shape:?}, {by:?}: {n}: {error:?}");
                        assert!(error.is_signal() && !error.is_unstarted(), "{error:?}");
                        let status = error.exit().unwrap().status().unwrap();
                        assert_eq!(status.signal(), Some(libc::SIGABRT));
                        assert!(error.pid().is_some());
                    }
                }
            }
            let stats = pool.stats();
            let crashed = (0..all).filter(|n| crashes(*n)).count() as u64;
            let expected = [u64::from(all), u64::from(all) - crashed, crashed];
            assert_eq!([stats.calls, stats.done, stats.lost], expected, "{shape:?}");
            end(pool);
            let ran = log.ran();
            let twice: Vec<_> = ran.iter().filter(|(_, times)| **times != 1).collect();
            assert!(twice.is_empty(), "{shape:?}: {twice:?}");
            assert_eq!(ran.len(), all as usize, "{shape:?}");
        }
        before.check();
    });
}
