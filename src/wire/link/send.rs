//! Sends frames.

use std::{
    io::IoSlice,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use once_cell::sync::OnceCell;

use super::{
    super::frame::Head,
    trouble::{Crowd, Trouble},
};
use crate::sys::{
    memory::sealed,
    poll::{Deadline, Want, poll},
    socket::{self, MAX_FDS},
};

/// The longest body inside a message: 64 KiB from the user and what frames them. That
/// is far below the 212,960 bytes that a socket takes by default.
pub(super) const INLINE: usize = 64 * 1024 + 512;

/// The most descriptors directly in a message: two places are kept for the
/// memory file and the carrier.
pub(super) const DIRECT_FDS: usize = MAX_FDS - 2;

/// Where the memory of a long body is kept: it is written the first time the body is
/// sent, and the same memory is sent every time.
pub(crate) type Kept = OnceCell<OwnedFd>;

/// Sends one frame: the body's parts one after the other, and copies of the
/// descriptors. With `wait` it blocks until there is room; without, that is `Busy`.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    head: Head,
    body: &[&[u8]],
    fds: &[BorrowedFd<'_>],
    wait: bool,
) -> Result<(), Trouble> {
    let mut crowd = Crowd::default();
    loop {
        match send_once(socket, head, body, &Kept::new(), fds, wait) {
            Err(trouble) if wait && crowd.waits(&trouble) => {}
            result => return result,
        }
    }
}

/// Does what [`send`] does, but waits for room up to the deadline.
pub(crate) fn send_until(
    socket: BorrowedFd<'_>,
    head: Head,
    body: &[&[u8]],
    fds: &[BorrowedFd<'_>],
    deadline: Deadline,
) -> Result<(), Trouble> {
    send_kept(socket, head, body, &Kept::new(), fds, deadline)
}

/// Does what [`send_until`] does, with a body that may be sent often and is always the
/// same.
pub(crate) fn send_kept(
    socket: BorrowedFd<'_>,
    head: Head,
    body: &[&[u8]],
    kept: &Kept,
    fds: &[BorrowedFd<'_>],
    deadline: Deadline,
) -> Result<(), Trouble> {
    let room = || match poll([Want::Write(socket)], deadline) {
        Ok(_) => Ok(()),
        Err(error) => Err(Trouble::Os("poll", error)),
    };
    send_between(socket, head, body, kept, fds, deadline, room)
}

/// Does what [`send_kept`] does; `room` is what it does while it waits for room.
pub(crate) fn send_between(
    socket: BorrowedFd<'_>,
    head: Head,
    body: &[&[u8]],
    kept: &Kept,
    fds: &[BorrowedFd<'_>],
    deadline: Deadline,
    mut room: impl FnMut() -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let mut crowd = Crowd::default();
    loop {
        match send_once(socket, head, body, kept, fds, false) {
            Err(Trouble::Busy) if !deadline.passed() => {
                room()?;
            }
            Err(trouble) if !deadline.passed() && crowd.waits(&trouble) => {}
            result => return result,
        }
    }
}

/// Does what [`send`] does, with a body that may have been sent before and is always
/// the same.
fn send_once(
    socket: BorrowedFd<'_>,
    mut head: Head,
    body: &[&[u8]],
    kept: &Kept,
    fds: &[BorrowedFd<'_>],
    wait: bool,
) -> Result<(), Trouble> {
    let length: usize = body.iter().map(|part| part.len()).sum();
    head.length = length as u64;
    head.fds = u32::try_from(fds.len()).map_err(|_| Trouble::Foreign("too many descriptors"))?;

    let memory = if length > INLINE {
        head.in_memory = true;
        let memory = kept.get_or_try_init(|| sealed(body));
        Some(memory.map_err(|error| Trouble::Os("memfd_create", error))?)
    } else {
        None
    };
    let carrier = if fds.len() > DIRECT_FDS {
        head.in_carrier = true;
        Some(carry(fds)?)
    } else {
        None
    };
    if memory.is_none() && carrier.is_none() {
        return send_message(socket, &head, body, fds, wait);
    }
    let mut all = if carrier.is_some() {
        Vec::new()
    } else {
        fds.to_vec()
    };
    all.extend(memory.into_iter().chain(&carrier).map(AsFd::as_fd));
    let inline = if memory.is_some() { &[][..] } else { body };
    send_message(socket, &head, inline, &all, wait)
}

fn send_message(
    socket: BorrowedFd<'_>,
    head: &Head,
    body: &[&[u8]],
    fds: &[BorrowedFd<'_>],
    wait: bool,
) -> Result<(), Trouble> {
    let head = head.encode();
    let mut parts = [IoSlice::new(&head), IoSlice::new(&[]), IoSlice::new(&[])];
    let joined;
    match body {
        [] => {}
        [one] => parts[1] = IoSlice::new(one),
        [one, two] => (parts[1], parts[2]) = (IoSlice::new(one), IoSlice::new(two)),
        more => {
            joined = more.concat();
            parts[1] = IoSlice::new(&joined);
        }
    }
    socket::send(socket, &parts, fds, wait).map_err(|error| match error.raw_os_error() {
        Some(libc::EAGAIN) => Trouble::Busy,
        Some(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN) => Trouble::Closed { unread: false },
        _ => Trouble::Os("sendmsg", error),
    })
}

/// Puts descriptors into the queue of a new socket, and gives the end from which they
/// can be received.
fn carry(fds: &[BorrowedFd<'_>]) -> Result<OwnedFd, Trouble> {
    let (near, far) = socket::pair().map_err(|error| Trouble::Os("socketpair", error))?;
    for chunk in fds.chunks(MAX_FDS) {
        socket::send(near.as_fd(), &[IoSlice::new(&[1])], chunk, false)
            .map_err(|error| Trouble::Os("sendmsg of many descriptors", error))?;
    }
    Ok(far)
}
