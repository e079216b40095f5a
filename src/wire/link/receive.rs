//! Receives frames.

use std::{
    cell::Cell,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use super::{
    super::frame::{Frame, Head, Kind},
    send::INLINE,
    trouble::Trouble,
};
use crate::{
    error::Error,
    sys::{memory::read_sealed, socket},
};

thread_local! {
    /// Room for one long body. It is kept so that a receive costs no allocation, and
    /// its pages are touched only as far as bodies reach. It is given away with a long
    /// body.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A body up to this length is received on the stack, which is in use anyway. Most
/// bodies are no longer.
const START: usize = 512;

/// Bodies from this length on keep the buffer they were received into; shorter
/// ones are copied out of it.
pub(super) const KEEP: usize = 16 * 1024;

/// Receives one frame. With `wait` it blocks until there is one; without, that is
/// `Busy`.
pub(crate) fn receive(socket: BorrowedFd<'_>, wait: bool) -> Result<Frame, Trouble> {
    receive_within(socket, wait, u64::MAX)
}

/// Does what [`receive`] does, but does not take in a result that is longer than this.
pub(crate) fn receive_within(
    socket: BorrowedFd<'_>,
    wait: bool,
    limit: u64,
) -> Result<Frame, Trouble> {
    let mut room = ROOM.take();
    room.clear();
    room.reserve(INLINE);
    let (mut head, mut start) = ([0; Head::LENGTH], [0; START]);
    let got = match socket::receive(socket, &mut head, &mut start, &mut room, wait) {
        Ok(got) if got.length > 0 => got,
        other => {
            ROOM.set(room);
            return Err(match other {
                Ok(_) => Trouble::Closed { unread: false },
                Err(error) => trouble_of_receive(error),
            });
        }
    };
    let body = if room.len() >= KEEP {
        room
    } else {
        let body = match room.is_empty() {
            true => start[..got.length.saturating_sub(Head::LENGTH)].to_vec(),
            false => room.clone(),
        };
        ROOM.set(room);
        body
    };
    let head = match Head::decode(&head) {
        Some(head) if !got.cut && got.length >= Head::LENGTH => head,
        _ => return Err(Trouble::Foreign("its head")),
    };
    if got.lost_fds {
        return Err(no_room(head));
    }
    if head.kind == Kind::Value && head.length > limit {
        return Err(too_long(head, limit));
    }
    complete(head, body, got.fds)
}

fn too_long(head: Head, limit: u64) -> Trouble {
    let text = format!("the result has {} bytes, the limit is {limit}", head.length);
    Trouble::Lost {
        number: head.number,
        error: Error::invalid(text),
    }
}

fn no_room(head: Head) -> Trouble {
    Trouble::NoRoom {
        kind: head.kind,
        number: head.number,
    }
}

fn trouble_of_receive(error: io::Error) -> Trouble {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => Trouble::Busy,
        // The other end was closed with something from here unread.
        Some(libc::ECONNRESET) => Trouble::Closed { unread: true },
        _ => Trouble::Os("recvmsg", error),
    }
}

/// Brings in what did not fit into the message.
fn complete(head: Head, mut body: Vec<u8>, mut fds: Vec<OwnedFd>) -> Result<Frame, Trouble> {
    if !head.kind.is_parcel() && (head.in_memory || head.in_carrier || head.fds > 1) {
        return Err(Trouble::Foreign("more than its kind has"));
    }
    let count = usize::try_from(head.fds).unwrap_or(usize::MAX);
    if head.in_carrier {
        let Some(carrier) = fds.pop() else {
            return Err(Trouble::Foreign("its carrier is missing"));
        };
        let mut carried = unpack(&carrier, count, head)?;
        // The memory file, if there is one, stays last.
        carried.append(&mut fds);
        fds = carried;
    }
    if head.in_memory {
        let Some(memory) = fds.pop() else {
            return Err(Trouble::Foreign("its memory is missing"));
        };
        body = read_sealed(memory, head.length)
            .map_err(|error| Trouble::Lost {
                number: head.number,
                error: Error::os("reading sealed memory failed", error),
            })?
            .ok_or(Trouble::Foreign("its memory is not sealed or not whole"))?;
    }
    if fds.len() != count {
        return Err(Trouble::Foreign("its number of descriptors"));
    }
    if body.len() as u64 != head.length {
        return Err(Trouble::Foreign("its length"));
    }
    Ok(Frame {
        kind: head.kind,
        number: head.number,
        body,
        fds,
    })
}

/// Takes descriptors out of the queue of a socket that was passed along.
fn unpack(carrier: &OwnedFd, count: usize, head: Head) -> Result<Vec<OwnedFd>, Trouble> {
    let mut fds = Vec::new();
    while fds.len() < count {
        let got = socket::receive(
            carrier.as_fd(),
            &mut [0; 1],
            &mut [],
            &mut Vec::new(),
            false,
        )
        .map_err(|_| Trouble::Foreign("descriptors are missing"))?;
        if got.lost_fds {
            return Err(no_room(head));
        }
        if got.length == 0 || got.fds.is_empty() {
            return Err(Trouble::Foreign("descriptors are missing"));
        }
        fds.extend(got.fds);
    }
    Ok(fds)
}
