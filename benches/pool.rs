//! What a pool costs: calls one at a time and many, and what a killed worker costs.
//!
//! `cargo bench -p benches --bench pool`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its figures, and stops at what fails"
)]

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use zygote::{Pool, Process};

zygote::early!();

#[zygote::entry]
fn echo(n: u64) -> u64 {
    n
}

#[zygote::entry]
fn hang() {
    std::thread::sleep(Duration::from_secs(3600));
}

/// How long one run takes.
const RUN: Duration = Duration::from_millis(200);

/// Gives the median of the runs: calls a second.
fn rate(mut call: impl FnMut()) -> f64 {
    let mut runs: Vec<f64> = (0..5)
        .map(|_| {
            let (begin, mut calls) = (Instant::now(), 0);
            while begin.elapsed() < RUN {
                call();
                calls += 1;
            }
            f64::from(calls) / begin.elapsed().as_secs_f64()
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

fn flight(pool: &Pool, many: usize) -> f64 {
    let mut calls: VecDeque<_> = (0..many).map(|_| pool.call(echo::task(7))).collect();
    rate(|| {
        let first = calls.pop_front().map(|call| call.join().unwrap());
        assert!(first.is_none_or(|first| first == 7));
        calls.push_back(pool.call(echo::task(7)));
    })
}

/// Gives the median of 101 times.
fn median(mut time: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<_> = (0..101).map(|_| time()).collect();
    times.sort();
    times[50]
}

fn main() -> zygote::Result<()> {
    let process = Process::new()?;
    let builder = || Pool::builder(Process::new).workers(2..=2);
    let live = builder().build()?;
    for many in [1, 16, 256] {
        println!("live, {many} in flight: {:.0}/s", flight(&live, many));
    }
    let fresh = builder().calls(1).build()?;
    for many in [1, 16] {
        println!("calls(1), {many} in flight: {:.0}/s", flight(&fresh, many));
    }
    let spawn = || {
        process
            .spawn(echo::task(7))
            .and_then(|worker| worker.join())
    };
    println!(
        "spawn and join: {:.0}/s",
        rate(|| assert_eq!(spawn().unwrap(), 7))
    );

    // From the kill to the answer of the next call in the same place.
    let one = Pool::builder(Process::new).workers(1..=1).build()?;
    let killed = median(|| {
        let call = one.call(hang::task());
        while call.pid().is_none() {
            std::hint::spin_loop();
        }
        let begin = Instant::now();
        call.kill().unwrap();
        assert_eq!(one.call(echo::task(7)).join().unwrap(), 7);
        begin.elapsed()
    });
    let spawned = median(|| {
        let begin = Instant::now();
        assert_eq!(spawn().unwrap(), 7);
        begin.elapsed()
    });
    let spawns = killed.as_secs_f64() / spawned.as_secs_f64();
    println!("a killed worker answers again after {killed:?}, {spawns:.1} spawns");
    Ok(())
}
