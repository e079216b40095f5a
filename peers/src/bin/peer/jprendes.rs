//! `zygote` of crates.io: a template forked at the start of `main`, whose
//! siblings run one function each, and are killed and reaped when dropped.

use anyhow::Result;
use peers::way::Way;
use zygote_jprendes::Zygote;

/// The template.
#[derive(Debug)]
pub(crate) struct Jprendes;

impl Jprendes {
    pub(crate) fn start() -> Self {
        Zygote::init();
        Self
    }
}

impl Way for Jprendes {
    type Made = (Option<Zygote>, u64);

    fn start(&self, value: u64) -> Result<Self::Made> {
        Ok((Some(Zygote::global().spawn()), value))
    }

    /// A call there is one that waits.
    fn result(&self, made: &mut Self::Made) -> Result<u64> {
        let zygote = made.0.as_ref().ok_or_else(|| anyhow::anyhow!("ended"))?;
        Ok(zygote.try_run(|value: u64| value, made.1)?)
    }

    fn exit(&self, made: Self::Made) -> Result<()> {
        drop(made);
        Ok(())
    }
}
