//! Messages to a live worker and back, next to the same by hand.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use peers::{
    figures::{median, timed},
    forked::{get, put},
    goals::Found,
};
use serde::{Serialize, de::DeserializeOwned};
use zygote::{Receiver, Sender};

use crate::{Baselines, by_turns};

/// Bytes of a large message.
pub(crate) const LARGE: usize = 64 << 10;

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

pub(crate) fn measure(found: &mut Found, baselines: &Baselines, length: Duration) -> Result<()> {
    let (send, requests) = zygote::channel()?;
    let (answers, receive) = zygote::channel()?;
    let worker = echo_number::spawn(requests, answers)?;
    let mut small = [7; 8];
    let [ours, raw] = by_turns(
        length,
        [
            &mut |length| {
                trips(length, || {
                    send.send(7)?;
                    ensure!(receive.recv()? == 7);
                    Ok(())
                })
            },
            &mut |length| trips(length, || raw_trip(&baselines.trip, &mut small)),
        ],
    )?;
    found.ratio("echo:u64", median(ours), median(raw));
    drop(send);
    worker.join()??;

    let (send, requests) = zygote::channel()?;
    let (answers, receive) = zygote::channel()?;
    let worker = echo_bytes::spawn(requests, answers)?;
    let mut bytes = vec![7; LARGE];
    let mut large = vec![7; LARGE];
    let [ours, raw] = by_turns(
        length,
        [
            &mut |length| {
                trips(length, || {
                    send.send(std::mem::take(&mut bytes))?;
                    bytes = receive.recv()?;
                    ensure!(bytes.len() == LARGE && bytes[0] == 7);
                    Ok(())
                })
            },
            &mut |length| trips(length, || raw_trip(&baselines.trip, &mut large)),
        ],
    )?;
    found.ratio("echo:64k", median(ours), median(raw));
    drop(send);
    worker.join()??;
    Ok(())
}

/// The times of as many as there is time for, after a few that do not count.
fn trips(length: Duration, mut trip: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    (0..4).try_for_each(|_| trip())?;
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 4 || begin.elapsed() < length {
        times.push(timed(&mut trip)?);
    }
    Ok(times)
}

fn raw_trip(socket: &OwnedFd, message: &mut [u8]) -> Result<()> {
    put(socket, message)?;
    ensure!(get(socket, message)? == message.len() && message[0] == 7);
    Ok(())
}
