//! Calls a second of this crate's: services, and a process for each call.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use peers::pools::{Kind, Load, Who, flight, load::WORKERS, serve, window::work};
use zygote::{Process, Service};

use crate::{pool, ways::number};

#[zygote::entry]
pub(crate) fn worked(value: u64) -> std::result::Result<u64, String> {
    work().map_err(|error| error.to_string())?;
    Ok(value)
}

#[zygote::entry]
pub(crate) fn bytes(value: Vec<u8>) -> Vec<u8> {
    value
}

pub(crate) fn answer(name: &str) -> Result<()> {
    if name == Who::Services.name() {
        let services = (0..WORKERS).map(|_| Process::new()?.serve());
        let services = services.collect::<zygote::Result<Vec<_>>>()?;
        serve(Who::Services.title(), |load, length| {
            services_rate(&services, load, length)
        })
    } else if name == Who::Spawn.name() {
        serve(Who::Spawn.title(), spawn_rate)
    } else {
        pool::answer(name)
    }
}

fn services_rate(services: &[Service], load: Load, length: Duration) -> Result<f64> {
    let mut turns = services.iter().cycle();
    let mut next = || turns.next().context("no service");
    match load.kind {
        Kind::Number => flight(
            load.many,
            length,
            |n| Ok(next()?.call(number::task(n))),
            |call| Ok(call.join()?),
        ),
        Kind::Work => flight(
            load.many,
            length,
            |n| Ok(next()?.call(worked::task(n))),
            |call| call.join()?.map_err(anyhow::Error::msg),
        ),
        Kind::Bytes => flight(
            load.many,
            length,
            |value| Ok(next()?.call(bytes::task(value))),
            |call| Ok(call.join()?),
        ),
        Kind::Fresh => bail!("not here"),
    }
}

fn spawn_rate(load: Load, length: Duration) -> Result<f64> {
    flight(
        load.many,
        length,
        |n| Ok(number::spawn(n)?),
        |worker| Ok(worker.join()?),
    )
}
