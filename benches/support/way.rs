//! The ways to make a process that do not need this library.

use std::{fs::File, process::Child};

use anyhow::{Context, Result, ensure};
use nix::unistd::Pid;

use super::{bare, program};

/// One way to make a process.
pub(crate) trait Way {
    type Made;
    fn start(&self, value: u64) -> Result<Self::Made>;
    fn result(&self, made: &mut Self::Made) -> Result<u64>;
    /// Returns when the process has ended and its status is known.
    fn exit(&self, made: Self::Made) -> Result<()>;
}

impl Way for bare::Template {
    type Made = bare::Child;
    fn start(&self, value: u64) -> Result<bare::Child> {
        Ok(self.spawn(value)?)
    }
    fn result(&self, made: &mut bare::Child) -> Result<u64> {
        Ok(made.result()?)
    }
    fn exit(&self, made: bare::Child) -> Result<()> {
        Ok(self.wait(&made)?)
    }
}

/// A fork of the program.
pub(crate) struct Fork;

impl Way for Fork {
    type Made = (Pid, File);
    fn start(&self, value: u64) -> Result<(Pid, File)> {
        Ok(program::forked(value)?)
    }
    fn result(&self, made: &mut (Pid, File)) -> Result<u64> {
        Ok(program::read(&made.1)?)
    }
    fn exit(&self, made: (Pid, File)) -> Result<()> {
        Ok(program::reap(made.0)?)
    }
}

/// The program executed again.
pub(crate) struct Command;

impl Way for Command {
    type Made = Child;
    fn start(&self, value: u64) -> Result<Child> {
        Ok(program::executed(value)?)
    }
    fn result(&self, made: &mut Child) -> Result<u64> {
        Ok(program::read(made.stdout.as_mut().context("no pipe")?)?)
    }
    fn exit(&self, mut made: Child) -> Result<()> {
        ensure!(made.wait()?.success());
        Ok(())
    }
}
