//! `crossmist`: the program executed again, told a function.

use anyhow::Result;
use crossmist::Child;
use peers::way::Way;

/// Needs nothing but `crossmist::init()` at the start of `main`.
#[derive(Debug)]
pub(crate) struct Crossmist;

#[crossmist::func]
fn same(value: u64) -> u64 {
    value
}

impl Way for Crossmist {
    type Made = Option<Child<u64>>;

    fn start(&self, value: u64) -> Result<Self::Made> {
        Ok(Some(same.spawn(value)?))
    }

    /// Waits for the exit as well.
    fn result(&self, made: &mut Self::Made) -> Result<u64> {
        let child = made.take().ok_or_else(|| anyhow::anyhow!("joined"))?;
        Ok(child.join()?)
    }

    fn exit(&self, _: Self::Made) -> Result<()> {
        Ok(())
    }
}
