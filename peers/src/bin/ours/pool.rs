//! Calls a second of this crate's `Pool`.

use std::time::Duration;

use anyhow::{Result, bail};
use peers::pools::{Kind, Load, Who, flight, load::WORKERS, serve};
use zygote::{Pool, Process};

use crate::{
    pools::{bytes, worked},
    ways::number,
};

pub(crate) fn answer(name: &str) -> Result<()> {
    let who = [Who::Pool, Who::DeepPool];
    let Some(who) = who.into_iter().find(|who| who.name() == name) else {
        bail!("not here: {name}");
    };
    let builder = || Pool::builder(Process::new).workers(WORKERS..=WORKERS);
    let pool = match who {
        Who::DeepPool => builder().depth(16).build()?,
        _ => Pool::new(WORKERS)?,
    };
    let fresh = builder().calls(1).build()?;
    serve(who.title(), |load, length| match load.kind {
        Kind::Fresh => rate(&fresh, load, length),
        _ => rate(&pool, load, length),
    })
}

fn rate(pool: &Pool, load: Load, length: Duration) -> Result<f64> {
    match load.kind {
        Kind::Number | Kind::Fresh => flight(
            load.many,
            length,
            |n| Ok(pool.call(number::task(n))),
            |call| Ok(call.join()?),
        ),
        Kind::Work => flight(
            load.many,
            length,
            |n| Ok(pool.call(worked::task(n))),
            |call| call.join()?.map_err(anyhow::Error::msg),
        ),
        Kind::Bytes => flight(
            load.many,
            length,
            |value| Ok(pool.call(bytes::task(value))),
            |call| Ok(call.join()?),
        ),
    }
}
