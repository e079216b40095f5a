//! Measures what large data costs: spawns from a template that has preloaded some MiB,
//! with and without huge pages, and arguments of 32 MiB of several types.
#![allow(clippy::unwrap_used, reason = "a bench stops at what fails")]

use std::hint::black_box;

use criterion::Criterion;
use zygote::{Bytes, Process};

zygote::early!();

/// So many MiB, of which every page is written.
#[zygote::preload]
fn heap(mib: usize) -> Vec<u8> {
    vec![1; mib << 20]
}

#[zygote::preload]
fn shared(mib: usize) -> Bytes {
    Bytes::new(vec![1; mib << 20]).unwrap()
}

#[zygote::entry]
fn first(data: &Vec<u8>) -> Option<u8> {
    data.first().copied()
}

#[zygote::entry]
fn first_shared(data: &Bytes) -> Option<u8> {
    data.first().copied()
}

#[zygote::entry]
fn octets(data: Vec<u8>) -> usize {
    data.len()
}

#[zygote::entry]
fn floats(data: Vec<f64>) -> usize {
    data.len()
}

/// The same as one field of a tuple, which goes by serde.
#[zygote::entry]
fn nested(data: (Vec<f64>, u8)) -> usize {
    data.0.len()
}

fn preloads(c: &mut Criterion) {
    let mut group = c.benchmark_group("spawn and join from a preload");
    group.sample_size(20);
    for mib in [0, 32, 256, 1024] {
        let small = Process::new()
            .unwrap()
            .stock(0)
            .preload(heap::task(mib))
            .unwrap();
        group.bench_function(format!("{mib} MiB"), |b| {
            b.iter(|| first::spawn(&small).unwrap().join().unwrap());
        });
        drop(small);
        let huge = Process::new().unwrap().stock(0).huge_pages();
        let huge = huge.preload(heap::task(mib)).unwrap();
        group.bench_function(format!("{mib} MiB in huge pages"), |b| {
            b.iter(|| first::spawn(&huge).unwrap().join().unwrap());
        });
        drop(huge);
        let shared = Process::new()
            .unwrap()
            .stock(0)
            .preload(shared::task(mib))
            .unwrap();
        group.bench_function(format!("{mib} MiB of Bytes"), |b| {
            b.iter(|| first_shared::spawn(&shared).unwrap().join().unwrap());
        });
    }
    group.finish();
}

fn arguments(c: &mut Criterion) {
    const LENGTH: usize = 32 << 20;
    let mut group = c.benchmark_group("an argument of 32 MiB");
    group.sample_size(10);
    group.bench_function("Vec<u8>", |b| {
        b.iter(|| {
            octets::spawn(black_box(vec![1; LENGTH]))
                .unwrap()
                .join()
                .unwrap()
        });
    });
    group.bench_function("Vec<f64>", |b| {
        b.iter(|| {
            floats::spawn(black_box(vec![1.5; LENGTH / 8]))
                .unwrap()
                .join()
                .unwrap()
        });
    });
    group.bench_function("(Vec<f64>, u8)", |b| {
        b.iter(|| {
            nested::spawn(black_box((vec![1.5; LENGTH / 8], 1)))
                .unwrap()
                .join()
                .unwrap()
        });
    });
    group.finish();
}

fn main() {
    let mut c = Criterion::default().configure_from_args();
    preloads(&mut c);
    arguments(&mut c);
    c.final_summary();
}
