//! `procspawn`: the program executed again, told a function.

use anyhow::Result;
use peers::way::Way;
use procspawn::JoinHandle;

/// Needs nothing but `procspawn::init()` at the start of `main`.
#[derive(Debug)]
pub(crate) struct Procspawn;

impl Way for Procspawn {
    type Made = Option<JoinHandle<u64>>;

    fn start(&self, value: u64) -> Result<Self::Made> {
        Ok(Some(procspawn::spawn(value, |value| value)))
    }

    /// Waits for the exit as well.
    fn result(&self, made: &mut Self::Made) -> Result<u64> {
        let handle = made.take().ok_or_else(|| anyhow::anyhow!("joined"))?;
        Ok(handle.join()?)
    }

    fn exit(&self, _: Self::Made) -> Result<()> {
        Ok(())
    }
}
