//! What a round trip to a live worker costs, next to one by hand.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod support {
    pub(crate) mod figures;
    pub(crate) mod forked;
    pub(crate) mod plan;
}

use std::{
    convert::Infallible,
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use support::{
    figures::{goal, median, micros, percentile},
    forked::{fork_with, get, put},
    plan::{Plan, allowed_cpus, plan},
};
use zygote::{Receiver, Sender};

zygote::early!();

const LARGE: usize = 64 << 10;

/// Sends back what it receives, until there is no more.
#[zygote::entry]
fn echo(requests: Receiver<u64>, answers: Sender<u64>) -> zygote::Result<()> {
    for value in requests {
        answers.send(value?)?;
    }
    Ok(())
}

#[zygote::entry]
fn echo_bytes(requests: Receiver<Vec<u8>>, answers: Sender<Vec<u8>>) -> zygote::Result<()> {
    for bytes in requests {
        answers.send(bytes?)?;
    }
    Ok(())
}

/// The same by hand.
fn echo_raw(socket: &OwnedFd) -> io::Result<Infallible> {
    let mut message = vec![0; LARGE];
    loop {
        let length = get(socket, &mut message)?;
        put(socket, &message[..length])?;
    }
}

/// The median, and the 99th percentile, in µs.
fn time(length: Duration, mut trip: impl FnMut(u8) -> Result<()>) -> Result<[f64; 2]> {
    (0..4).try_for_each(&mut trip)?;
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 8 || begin.elapsed() < length {
        let start = Instant::now();
        trip(7)?;
        times.push(micros(start.elapsed()));
    }
    Ok([50, 99].map(|percent| percentile(&mut times, percent)))
}

fn measure(raw: &OwnedFd, thorough: bool) -> Result<()> {
    let (send, requests) = zygote::channel::<u64>()?;
    let (answers, receive) = zygote::channel::<u64>()?;
    let worker = echo::spawn(requests, answers)?;
    let (send_bytes, requests) = zygote::channel::<Vec<u8>>()?;
    let (answers, receive_bytes) = zygote::channel::<Vec<u8>>()?;
    let worker_bytes = echo_bytes::spawn(requests, answers)?;

    let (rounds, length) = match thorough {
        true => (15, Duration::from_millis(100)),
        false => (1, Duration::ZERO),
    };
    let mut buffer = vec![0; LARGE];
    let mut bytes = vec![1; LARGE];
    let mut figures = [(); 4].map(|()| Vec::new());
    for _ in 0..rounds {
        figures[0].push(time(length, |value| {
            put(raw, &u64::from(value).to_ne_bytes())?;
            ensure!(get(raw, &mut buffer)? == 8 && buffer[..8] == u64::from(value).to_ne_bytes());
            Ok(())
        })?);
        figures[1].push(time(length, |value| {
            send.send(value.into())?;
            ensure!(receive.recv()? == u64::from(value));
            Ok(())
        })?);
        figures[2].push(time(length, |value| {
            bytes[0] = value;
            put(raw, &bytes)?;
            ensure!(get(raw, &mut buffer)? == LARGE && buffer[0] == value);
            Ok(())
        })?);
        figures[3].push(time(length, |value| {
            let mut request = std::mem::take(&mut bytes);
            request[0] = value;
            send_bytes.send(request)?;
            bytes = receive_bytes.recv()?;
            ensure!(bytes.len() == LARGE && bytes[0] == value);
            Ok(())
        })?);
    }
    drop((send, send_bytes));
    worker.join()??;
    worker_bytes.join()??;

    println!(
        "\nround trips on CPUs {}: µs, medians of {rounds} rounds",
        allowed_cpus()?
    );
    println!("  {:<26}{:>8}{:>8}", "", "p50", "p99");
    let names = ["raw u64", "channel u64", "raw 64 KiB", "channel 64 KiB"];
    for (name, rounds) in names.iter().zip(&figures) {
        let [p50, p99] = [0, 1].map(|at| median(rounds.iter().map(|figures| figures[at])));
        println!("  {name:<26}{p50:>8.1}{p99:>8.1}");
    }
    if !thorough {
        return Ok(());
    }
    let ratio = |over: usize, under: usize| {
        median(
            figures[over]
                .iter()
                .zip(&figures[under])
                .map(|(over, under)| over[0] / under[0]),
        )
    };
    goal("channel / raw, u64", ratio(1, 0), 1.3, "");
    goal("channel / raw, 64 KiB", ratio(3, 2), 1.5, "");
    Ok(())
}

fn main() -> Result<()> {
    match plan()? {
        Plan::Measure(thorough) => measure(&fork_with(echo_raw)?, thorough),
        Plan::Other(args) => anyhow::bail!("unknown arguments: {args:?}"),
        Plan::Done => Ok(()),
    }
}
