//! What a process costs this program: from stock, without, several at a time,
//! and as a fork of a process with something in it.
#![allow(clippy::unwrap_used, reason = "a bench stops at what fails")]

use std::{
    collections::VecDeque,
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput};
use zygote::{Process, Task, Worker};

zygote::early!();

#[zygote::entry]
fn number(value: u64) -> u64 {
    value
}

/// Works for so many microseconds.
#[zygote::entry]
fn work(micros: u64) -> u64 {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_micros(micros) {}
    7
}

/// As much as a program that loads something has.
#[zygote::preload]
fn table(pages: usize) -> Vec<u8> {
    vec![1; pages << 12]
}

#[zygote::entry]
fn sum(table: &Vec<u8>) -> u64 {
    table
        .iter()
        .step_by(1 << 12)
        .map(|octet| u64::from(*octet))
        .sum()
}

/// A template that forks when it is asked, and not before.
fn without_stock() -> Process {
    Process::new().unwrap().stock(0)
}

fn start(template: &Process) -> Worker<u64> {
    template.fork().unwrap().run(number::task(7)).unwrap()
}

/// Takes the result, and sees the exit.
fn end(mut worker: Worker<u64>) {
    assert_eq!(worker.join_timeout(Duration::MAX).unwrap(), Some(7));
    assert!(worker.wait().unwrap().success());
}

/// So many, of which 16 are always unjoined, each from the template whose turn it
/// is.
fn in_flight(templates: &[Process], task: &Task<u64>, many: u64) -> Duration {
    let mut turns = templates.iter().cycle();
    let mut next = || {
        let template = turns.next().unwrap();
        template.fork().unwrap().run(task.clone()).unwrap()
    };
    let mut window: VecDeque<_> = (0..16).map(|_| next()).collect();
    let begin = Instant::now();
    for _ in 0..many {
        window.pop_front().map(end).unwrap();
        window.push_back(next());
    }
    let taken = begin.elapsed();
    window.into_iter().for_each(end);
    taken
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("spawn");
    group.throughput(Throughput::Elements(1));
    group.bench_function("and join, from stock", |bench| {
        bench.iter(|| number::spawn(black_box(7)).unwrap().join().unwrap());
    });
    let template = without_stock();
    group.bench_function("join and wait, without stock", |bench| {
        bench.iter(|| end(start(&template)));
    });
    // What another template side by side gains, for workers that work.
    for (name, templates) in [
        ("one template", &[template][..]),
        ("two templates", &[without_stock(), without_stock()]),
    ] {
        for micros in [0, 200, 1000] {
            let name = format!("join and wait, 16 in flight, {micros} µs of work, {name}");
            let task = work::task(micros);
            group.bench_function(name, |bench| {
                bench.iter_custom(|many| in_flight(templates, &task, many));
            });
        }
    }
    let preloaded = Process::new().unwrap().preload(table::task(256)).unwrap();
    group.bench_function("and join, with 1 MiB preloaded", |bench| {
        bench.iter(|| assert_eq!(sum::spawn(&preloaded).unwrap().join().unwrap(), 256));
    });
    group.finish();
    criterion.final_summary();
}
