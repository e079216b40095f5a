//! Workers of a pool that send what they like.

use std::time::{Duration, Instant};

use zygote::{Call, Pool, Process, pool::Builder};

use crate::{
    hello,
    service::{self, Evil},
    util::{Census, alone, until, watchdog, within},
    worker,
};

const LONG: Duration = Duration::from_secs(20);

/// How many calls a worker has at once, and how many it runs.
const SHAPES: [(usize, u64); 4] = [(1, u64::MAX), (16, u64::MAX), (1, 1), (16, 1)];

fn builder((depth, calls): (usize, u64)) -> Builder {
    let builder = Pool::builder(Process::new).workers(1..=1);
    builder.depth(depth).calls(calls)
}

fn outcome<R>(mut call: Call<R>) -> zygote::Result<R> {
    let got = call.join_timeout(LONG).transpose();
    let got = got.expect("an outcome, whatever it does");
    assert!(call.join_timeout(LONG).is_err_and(|it| it.is_invalid()));
    got
}

#[test]
fn what_a_worker_sends_costs_its_own_call_and_the_pool_goes_on() {
    let _limit = watchdog(120);
    alone(|| {
        let before = Census::take();
        for shape in SHAPES {
            let pool = builder(shape).build().unwrap();
            for what in service::ALL {
                renew(&pool);
                let ended = pool.stats().ended;
                // Number 1 at its worker, which is a new one.
                let bad = pool.call(service::evil::task(what));
                let behind = [(); 3].map(|()| pool.call(hello::task()));
                match outcome(bad) {
                    Ok(got) if what == Evil::Twice => assert_eq!(got, "early"),
                    Ok(got) => assert!(got == "in time", "{shape:?}, {what:?}: {got}"),
                    Err(error) => {
                        let harmless = matches!(what, Evil::Ready | Evil::Zeroes | Evil::Ones);
                        assert!(!harmless, "{shape:?}, {what:?}: {error:?}");
                        assert!(!error.is_unstarted() && error.pid().is_some(), "{error:?}");
                    }
                }
                let mut lost = 0;
                for (n, call) in (2..).zip(behind) {
                    // What a worker has been given, it can answer falsely.
                    let is_early = what == Evil::Early && n == 2 && shape == SHAPES[1];
                    match outcome(call) {
                        Ok(got) if is_early => assert!(["early", "hello"].contains(&&*got)),
                        Ok(got) => assert_eq!(got, "hello", "{shape:?}, {what:?}, {n}"),
                        // It ran when its worker was killed.
                        Err(error) => {
                            let ran = shape == SHAPES[1] && !error.is_unstarted();
                            assert!(ran, "{shape:?}, {what:?}, {n}: {error:?}");
                            lost += 1;
                        }
                    }
                }
                assert!(lost <= 2, "{shape:?}, {what:?}: {lost} lost");
                let pages = [Evil::Ready, Evil::Zeroes, Evil::Ones, Evil::Numbers];
                if !pages.contains(&what) {
                    until("a worker that makes no sense is replaced", || {
                        pool.stats().ended > ended
                    });
                }
            }
            pool.shutdown(LONG).unwrap();
        }
        before.check();
    });
}

/// Has the worker end, and waits for the one that takes over.
fn renew(pool: &Pool) {
    assert!(outcome(pool.call(dies::task())).unwrap_err().is_exit());
    until("another one takes over", || {
        let stats = pool.stats();
        stats.workers == 1 && stats.idle == 1 && stats.started == stats.ended + 1
    });
}

#[zygote::entry]
#[allow(clippy::exit, reason = "what the test is about")]
fn dies() {
    std::process::exit(4);
}

#[zygote::entry]
fn sends(what: worker::Evil) {
    worker::act(what);
}

#[test]
fn rubbish_of_any_kind_hangs_nothing() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        for shape in SHAPES {
            let pool = builder(shape).build().unwrap();
            for seed in 1..15 {
                let bad = pool.call(sends::task(worker::Evil::Random(seed)));
                let behind = pool.call(hello::task());
                for error in [outcome(bad).err(), outcome(behind).err()] {
                    assert!(error.is_none_or(|it| !it.to_string().is_empty()));
                }
                assert!(outcome(pool.call(hello::task())).is_ok());
            }
            pool.shutdown(LONG).unwrap();
        }
        before.check();
    });
}

#[test]
fn limits_hold_and_others_are_served_whatever_a_worker_sends() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        for what in [worker::Evil::Flood, worker::Evil::Results] {
            let builder = Pool::builder(Process::new).workers(2..=2).depth(2);
            let pool = builder.build().unwrap();
            let limit = Duration::from_millis(300);
            let started = Instant::now();
            let bad = pool.with().time_limit(limit).call(sends::task(what));
            while started.elapsed() < limit / 2 {
                // Not in the queue behind it.
                let hello = pool.with().priority(1).call(hello::task());
                within(Duration::from_secs(3), || outcome(hello).unwrap());
            }
            match within(Duration::from_secs(6), || outcome(bad)) {
                Ok(()) => assert_ne!(what, worker::Evil::Flood),
                Err(error) => assert!(!error.is_unstarted(), "{error:?}"),
            }
            assert_eq!(outcome(pool.call(hello::task())).unwrap(), "hello");
            pool.shutdown(LONG).unwrap();
        }
        before.check();
    });
}

#[zygote::entry]
fn long(length: usize) -> Vec<u8> {
    vec![7; length]
}

#[zygote::entry]
fn pid() -> u32 {
    std::process::id()
}

#[test]
fn a_result_beyond_the_limit_costs_its_own_call_and_not_the_worker() {
    let _limit = watchdog(60);
    for (depth, calls) in SHAPES {
        let limited = || Ok(Process::new()?.result_limit(100_000));
        let builder = Pool::builder(limited).workers(1..=1);
        let pool = builder.depth(depth).calls(calls).build().unwrap();
        let first = outcome(pool.call(pid::task())).unwrap();
        let lengths = [10, 32 << 20, 99_000, 100_001, 11];
        let calls = lengths.map(|length| pool.call(long::task(length)));
        for (length, call) in lengths.into_iter().zip(calls) {
            match outcome(call) {
                Ok(got) => assert!(got.len() == length && length < 100_000),
                Err(error) => {
                    assert!(length > 100_000 && error.is_invalid(), "{error:?}");
                    assert!(!error.is_unstarted(), "{error:?}");
                }
            }
        }
        let last = outcome(pool.call(pid::task())).unwrap();
        assert_eq!(first == last, pool.stats().ended == 0);
        pool.shutdown(LONG).unwrap();
    }
}
