//! Processes made without a template: a fork of the program, and the program
//! executed again.
#![allow(unsafe_code, reason = "fork")]

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use nix::{
    fcntl::OFlag,
    sys::wait::waitpid,
    unistd::{ForkResult, Pid, fork, pipe2, write},
};

use crate::{forked::leave, way::Way};

/// A fork of the program, threads, memory and all.
#[derive(Debug)]
pub struct Fork;

impl Way for Fork {
    type Made = (Pid, File);

    fn start(&self, value: u64) -> Result<(Pid, File)> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        // SAFETY: the copy makes two system calls and nothing else.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok((child, reader.into())),
            ForkResult::Child => leave(i32::from(
                write(writer.as_fd(), &value.to_ne_bytes()).is_err(),
            )),
        }
    }

    fn result(&self, made: &mut (Pid, File)) -> Result<u64> {
        Ok(read(&made.1)?)
    }

    fn exit(&self, made: (Pid, File)) -> Result<()> {
        waitpid(made.0, None)?;
        Ok(())
    }
}

/// A program executed by `std::process::Command`; it answers by [`answer`].
#[derive(Debug)]
pub struct Executed(pub PathBuf);

/// The first argument of a program that is to [`answer`] the second.
pub const ANSWER: &str = "answer";

impl Way for Executed {
    type Made = Child;

    fn start(&self, value: u64) -> Result<Child> {
        Ok(Command::new(&self.0)
            .args([ANSWER, &value.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?)
    }

    fn result(&self, made: &mut Child) -> Result<u64> {
        Ok(read(made.stdout.as_mut().context("no pipe")?)?)
    }

    fn exit(&self, mut made: Child) -> Result<()> {
        ensure!(made.wait()?.success());
        Ok(())
    }
}

/// The first argument of a program that is to be [`idle`].
pub const IDLE: &str = "idle";

/// Says that it is there, and waits until its input ends.
///
/// # Errors
///
/// There is no input or output.
pub fn idle() -> Result<()> {
    let mut out = io::stdout();
    out.write_all(b"!")?;
    out.flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// What a program that [`Executed`] started does. It does not return.
///
/// # Errors
///
/// The value is not a number, or nobody reads it.
pub fn answer(value: &str) -> Result<()> {
    let value: u64 = value.parse()?;
    let mut out = io::stdout();
    out.write_all(&value.to_ne_bytes())?;
    out.flush()?;
    leave(0)
}

fn read(mut from: impl Read) -> io::Result<u64> {
    let mut value = [0; 8];
    from.read_exact(&mut value)?;
    Ok(u64::from_ne_bytes(value))
}
