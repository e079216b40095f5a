//! The baseline: a template with nothing to it. Each child has a socket of its
//! own, passed to the template, sends 8 bytes on it and leaves; the template
//! reaps it and says so.
#![allow(unsafe_code, reason = "fork")]

use std::{
    cell::Cell,
    convert::Infallible,
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

use nix::{
    cmsg_space,
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::SignalFd,
        socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, fork},
};

use anyhow::Result;

use crate::{
    forked::{fork_with, get, leave, pair, put},
    way::Way,
};

/// A template by hand.
#[derive(Debug)]
pub struct Template {
    socket: OwnedFd,
    started: Cell<usize>,
    reaped: Cell<usize>,
}

/// A child of it.
#[derive(Debug)]
pub struct Child {
    socket: OwnedFd,
    number: usize,
}

impl Template {
    /// Forks the template. Called before any thread exists and any memory is
    /// touched.
    ///
    /// # Errors
    ///
    /// It cannot be forked.
    pub fn start() -> io::Result<Self> {
        Ok(Self {
            socket: fork_with(serve)?,
            started: Cell::new(0),
            reaped: Cell::new(0),
        })
    }
}

impl Way for Template {
    type Made = Child;

    fn start(&self, value: u64) -> Result<Child> {
        let (ours, theirs) = pair()?;
        sendmsg::<UnixAddr>(
            self.socket.as_raw_fd(),
            &[IoSlice::new(&value.to_ne_bytes())],
            &[ControlMessage::ScmRights(&[theirs.as_raw_fd()])],
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        self.started.set(self.started.get() + 1);
        Ok(Child {
            socket: ours,
            number: self.started.get(),
        })
    }

    fn result(&self, made: &mut Child) -> Result<u64> {
        let mut value = [0; 8];
        get(&made.socket, &mut value)?;
        Ok(u64::from_ne_bytes(value))
    }

    /// Returns when as many have been reaped as there were with this one.
    fn exit(&self, made: Child) -> Result<()> {
        while self.reaped.get() < made.number {
            get(&self.socket, &mut [0; 8])?;
            self.reaped.set(self.reaped.get() + 1);
        }
        Ok(())
    }
}

/// The template's loop, which ends with the socket.
fn serve(socket: &OwnedFd) -> io::Result<Infallible> {
    let mut chld = SigSet::empty();
    chld.add(Signal::SIGCHLD);
    chld.thread_block()?;
    let exits = SignalFd::new(&chld)?;
    let mut control = cmsg_space!([i32; 1]);
    loop {
        let mut ready =
            [&socket.as_fd(), &exits.as_fd()].map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
        poll(&mut ready, PollTimeout::NONE)?;
        if ready[1].any() == Some(true) {
            exits.read_signal()?;
            while let Some(pid) = reap()? {
                put(socket, &i64::from(pid).to_ne_bytes())?;
            }
        }
        if ready[0].any() == Some(true) {
            let (value, end) = receive(socket, &mut control)?;
            // SAFETY: the template has one thread.
            if let ForkResult::Child = unsafe { fork() }? {
                leave(i32::from(put(&end, &value).is_err()));
            }
        }
    }
}

fn reap() -> io::Result<Option<i32>> {
    match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => Ok(None),
        Ok(status) => Ok(status.pid().map(nix::unistd::Pid::as_raw)),
        Err(error) => Err(error.into()),
    }
}

fn receive(socket: &OwnedFd, control: &mut [u8]) -> io::Result<([u8; 8], OwnedFd)> {
    let mut value = [0; 8];
    let mut parts = [IoSliceMut::new(&mut value)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut parts, Some(control), flags)?;
    let end = message.cmsgs()?.find_map(|rights| match rights {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
    // SAFETY: the kernel has just made it for us, and nothing else owns it.
    Ok((value, unsafe { OwnedFd::from_raw_fd(end) }))
}
