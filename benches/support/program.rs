//! Processes made without a template: a fork of the program, and the program
//! executed again.
#![allow(unsafe_code, reason = "fork")]

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    process::{Command, Stdio},
};

use nix::{
    fcntl::OFlag,
    sys::wait::waitpid,
    unistd::{ForkResult, Pid, fork, pipe2, write},
};

use super::forked::leave;

/// Forks the program, threads, memory and all.
pub(crate) fn forked(value: u64) -> io::Result<(Pid, File)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: the copy makes two system calls and nothing else.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok((child, reader.into())),
        ForkResult::Child => leave(i32::from(
            write(writer.as_fd(), &value.to_ne_bytes()).is_err(),
        )),
    }
}

pub(crate) fn reap(child: Pid) -> io::Result<()> {
    waitpid(child, None)?;
    Ok(())
}

/// Executes the program again; it answers by [`answer`].
pub(crate) fn executed(value: u64) -> io::Result<std::process::Child> {
    Command::new("/proc/self/exe")
        .args(["--own", "--answer", &value.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
}

/// What the program that [`executed`] started does.
pub(crate) fn answer(value: u64) -> io::Result<()> {
    io::stdout().write_all(&value.to_ne_bytes())?;
    io::stdout().flush()
}

pub(crate) fn read(mut from: impl Read) -> io::Result<u64> {
    let mut value = [0; 8];
    from.read_exact(&mut value)?;
    Ok(u64::from_ne_bytes(value))
}
