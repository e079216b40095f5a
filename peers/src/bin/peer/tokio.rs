//! `tokio::process::Command`, on a runtime of one thread.

use std::{env, path::PathBuf, process::Stdio};

use anyhow::{Context, Result, ensure};
use peers::{program::ANSWER, way::Way};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    runtime::{Builder, Runtime},
};

/// The runtime, and the program to execute.
#[derive(Debug)]
pub(crate) struct Tokio {
    runtime: Runtime,
    program: PathBuf,
}

impl Tokio {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self {
            runtime: Builder::new_current_thread().enable_all().build()?,
            program: env::current_exe()?,
        })
    }
}

impl Way for Tokio {
    type Made = Child;

    fn start(&self, value: u64) -> Result<Child> {
        let _inside = self.runtime.enter();
        Ok(Command::new(&self.program)
            .args([ANSWER, &value.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?)
    }

    fn result(&self, made: &mut Child) -> Result<u64> {
        let out = made.stdout.as_mut().context("no pipe")?;
        let mut value = [0; 8];
        self.runtime.block_on(out.read_exact(&mut value))?;
        Ok(u64::from_ne_bytes(value))
    }

    fn exit(&self, mut made: Child) -> Result<()> {
        ensure!(self.runtime.block_on(made.wait())?.success());
        Ok(())
    }
}
