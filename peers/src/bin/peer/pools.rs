//! The pool of `procspawn`, and a message to a live process and back by hand.

use std::{os::fd::OwnedFd, time::Duration};

use ::procspawn::{JoinHandle, Pool};
use anyhow::{Result, bail};
use peers::{
    forked::{echo, fork_with, get, put},
    pools::{
        Kind, Load, Who, flight,
        load::{BYTES, WORKERS},
        serve,
        window::work,
    },
};
use serde::{Serialize, de::DeserializeOwned};

pub(crate) fn answer(name: &str) -> Result<()> {
    if name == Who::Procspawn.name() {
        let pool = Pool::new(WORKERS)?;
        serve("`procspawn::Pool` 1.0.2", |load, length| {
            procspawn_rate(&pool, load, length)
        })
    } else if name == Who::Raw.name() {
        let socket = fork_with(|socket| echo(socket, BYTES))?;
        serve(Who::Raw.title(), |load, length| {
            raw_rate(&socket, load, length)
        })
    } else {
        bail!("not here: {name}")
    }
}

fn procspawn_rate(pool: &Pool, load: Load, length: Duration) -> Result<f64> {
    let many = load.many;
    match load.kind {
        Kind::Number => flight(many, length, |n: u64| Ok(pool.spawn(n, |n| n)), join),
        Kind::Bytes => flight(many, length, |v: Vec<u8>| Ok(pool.spawn(v, |v| v)), join),
        Kind::Work => {
            let worked = |n: u64| work().map_or(u64::MAX, |()| n);
            flight(many, length, |n| Ok(pool.spawn(n, worked)), join)
        }
        // It has no pool of such, but a function.
        Kind::Fresh => flight(
            many,
            length,
            |n: u64| Ok(::procspawn::spawn(n, |n| n)),
            join,
        ),
    }
}

fn join<T: Serialize + DeserializeOwned>(handle: JoinHandle<T>) -> Result<T> {
    Ok(handle.join()?)
}

fn raw_rate(socket: &OwnedFd, load: Load, length: Duration) -> Result<f64> {
    match load.kind {
        Kind::Number => flight(
            load.many,
            length,
            |n: u64| Ok(put(socket, &n.to_ne_bytes())?),
            |()| {
                let mut bytes = [0; 8];
                get(socket, &mut bytes)?;
                Ok(u64::from_ne_bytes(bytes))
            },
        ),
        Kind::Bytes => flight(
            load.many,
            length,
            |bytes: Vec<u8>| {
                put(socket, &bytes)?;
                Ok(bytes)
            },
            |mut bytes| {
                get(socket, &mut bytes)?;
                Ok(bytes)
            },
        ),
        Kind::Work | Kind::Fresh => bail!("not here"),
    }
}
