//! A plain fork with a socket, by hand.
#![allow(unsafe_code, reason = "fork")]

use std::{
    convert::Infallible,
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair},
    unistd::{ForkResult, fork},
};

/// Two ends of a socket whose messages are whole.
///
/// # Errors
///
/// No pair can be made.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        flags,
    )?)
}

/// Forks a process that runs `body` with one end of a pair; returns the other.
/// Called before any thread exists.
///
/// # Errors
///
/// No pair or no process can be made.
pub fn fork_with(body: impl FnOnce(&OwnedFd) -> io::Result<Infallible>) -> io::Result<OwnedFd> {
    let (ours, theirs) = pair()?;
    // SAFETY: the caller has one thread, so the copy may do whatever it could.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => Ok(ours),
        ForkResult::Child => {
            drop(ours);
            leave(i32::from(body(&theirs).is_err()))
        }
    }
}

/// `_exit(2)`.
pub fn leave(code: i32) -> ! {
    // SAFETY: no precondition; nothing of the process is looked at again.
    unsafe { libc::_exit(code) }
}

/// Sends one message.
///
/// # Errors
///
/// The other end is gone.
pub fn put(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    send(socket.as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL)?;
    Ok(())
}

/// Receives one message.
///
/// # Errors
///
/// The other end is gone.
pub fn get(socket: &OwnedFd, message: &mut [u8]) -> io::Result<usize> {
    match recv(socket.as_raw_fd(), message, MsgFlags::empty())? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        length => Ok(length),
    }
}

/// Sends back what comes, messages of up to so many bytes, until the end.
///
/// # Errors
///
/// At the end: the other end is gone.
pub fn echo(socket: &OwnedFd, longest: usize) -> io::Result<Infallible> {
    let mut message = vec![0; longest];
    loop {
        let length = get(socket, &mut message)?;
        put(socket, &message[..length])?;
    }
}
