//! This crate's ways to make a process.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use peers::{
    way::{Measured, Way},
    ways::Name,
};
use zygote::{Process, Worker};

/// What all ways run.
#[zygote::entry]
pub(crate) fn number(value: u64) -> u64 {
    value
}

pub(crate) fn by_name(name: Name) -> Result<Box<dyn Measured>> {
    Ok(match name {
        Name::Ours => Box::new(Stock),
        Name::OursNoStock => Box::new(Template::without_stock()?),
        Name::OursExecuted => Box::new(Template(Process::fresh()?)),
        _ => bail!("not here: {name:?}"),
    })
}

/// The early template, as `spawn` uses it.
#[derive(Debug)]
pub(crate) struct Stock;

/// A template of one's own.
#[derive(Debug)]
pub(crate) struct Template(pub(crate) Process);

impl Template {
    /// One that forks when it is asked, and not before.
    pub(crate) fn without_stock() -> Result<Self> {
        Ok(Self(Process::new()?.stock(0)))
    }
}

impl Way for Stock {
    type Made = Worker<u64>;

    fn start(&self, value: u64) -> Result<Worker<u64>> {
        Ok(number::spawn(value)?)
    }

    fn result(&self, made: &mut Worker<u64>) -> Result<u64> {
        made.join_timeout(Duration::MAX)?.context("no result")
    }

    fn exit(&self, made: Worker<u64>) -> Result<()> {
        ensure!(made.wait()?.success());
        Ok(())
    }
}

impl Way for Template {
    type Made = Worker<u64>;

    fn start(&self, value: u64) -> Result<Worker<u64>> {
        Ok(self.0.fork()?.run(number::task(value))?)
    }

    fn result(&self, made: &mut Worker<u64>) -> Result<u64> {
        Stock.result(made)
    }

    fn exit(&self, made: Worker<u64>) -> Result<()> {
        Stock.exit(made)
    }
}
