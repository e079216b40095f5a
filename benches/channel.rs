//! What it costs to send values to a worker and back.
#![allow(clippy::unwrap_used, reason = "a bench stops at what fails")]

use criterion::{BatchSize, Criterion, Throughput};
use serde::{Serialize, de::DeserializeOwned};
use zygote::{Receiver, Sender};

zygote::early!();

const LARGE: usize = 64 << 10;
const ARGUMENT: usize = 64 << 20;

#[zygote::entry]
fn echo_number(requests: Receiver<u64>, answers: Sender<u64>) -> zygote::Result<()> {
    echo(requests, &answers)
}

#[zygote::entry]
fn echo_bytes(requests: Receiver<Vec<u8>>, answers: Sender<Vec<u8>>) -> zygote::Result<()> {
    echo(requests, &answers)
}

/// Sends back what it receives, until there is no more.
fn echo<T: Serialize + DeserializeOwned + 'static>(
    requests: Receiver<T>,
    answers: &Sender<T>,
) -> zygote::Result<()> {
    for value in requests {
        answers.send(value?)?;
    }
    Ok(())
}

#[zygote::entry]
fn length(bytes: Vec<u8>) -> usize {
    bytes.len()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();

    let (send, requests) = zygote::channel().unwrap();
    let (answers, receive) = zygote::channel().unwrap();
    let worker = echo_number::spawn(requests, answers).unwrap();
    criterion.bench_function("channel: u64 and back", |bench| {
        bench.iter(|| {
            send.send(7).unwrap();
            assert_eq!(receive.recv().unwrap(), 7);
        });
    });
    drop(send);
    worker.join().unwrap().unwrap();

    let (send, requests) = zygote::channel().unwrap();
    let (answers, receive) = zygote::channel().unwrap();
    let worker = echo_bytes::spawn(requests, answers).unwrap();
    let mut bytes = vec![7; LARGE];
    criterion.bench_function("channel: 64 KiB and back", |bench| {
        bench.iter(|| {
            send.send(std::mem::take(&mut bytes)).unwrap();
            bytes = receive.recv().unwrap();
            assert_eq!(bytes.len(), LARGE);
        });
    });
    drop(send);
    worker.join().unwrap().unwrap();

    let mut group = criterion.benchmark_group("argument");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(ARGUMENT as u64));
    group.bench_function("64 MiB", |bench| {
        bench.iter_batched(
            || vec![7; ARGUMENT],
            |bytes| assert_eq!(length::spawn(bytes).unwrap().join().unwrap(), ARGUMENT),
            BatchSize::PerIteration,
        );
    });
    group.finish();
    criterion.final_summary();
}
