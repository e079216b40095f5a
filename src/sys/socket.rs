//! Messages with descriptors on connected `AF_UNIX`, `SOCK_SEQPACKET` sockets.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, UnixAddr, sendmsg,
        shutdown, socketpair,
    },
};

use super::check;

/// `SCM_MAX_FD`: the most descriptors that the kernel takes with one message.
pub(crate) const MAX_FDS: usize = 253;

/// A connected pair, close-on-exec, blocking.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}

/// `sendmsg(2)`: the parts as one message, with copies of the descriptors.
/// Never raises SIGPIPE. With `wait` it blocks until there is room, else that
/// is `WouldBlock`.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
    wait: bool,
) -> io::Result<()> {
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control = if fds.is_empty() { &[][..] } else { &rights[..] };
    let mut flags = MsgFlags::MSG_NOSIGNAL;
    if !wait {
        flags |= MsgFlags::MSG_DONTWAIT;
    }
    loop {
        match sendmsg::<UnixAddr>(socket.as_raw_fd(), parts, control, flags, None) {
            // A message is taken whole or not at all.
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// `shutdown(SHUT_RD)`: from here on the peer cannot send. What it sent before
/// can still be received.
pub(crate) fn refuse_more(socket: BorrowedFd<'_>) {
    // Fails when the peer is gone: then it cannot send either.
    let _ = shutdown(socket.as_raw_fd(), Shutdown::Read);
}

/// What [`receive`] got.
#[derive(Debug)]
pub(crate) struct Received {
    /// Bytes of the message that fitted; 0 is the end.
    pub(crate) length: usize,
    /// The message was longer than the room for it.
    pub(crate) cut: bool,
    /// Descriptors were lost: this process has no room for more.
    pub(crate) lost_fds: bool,
    pub(crate) fds: Vec<OwnedFd>,
}

/// Room for the control data of [`MAX_FDS`] descriptors, aligned as `cmsghdr`.
#[repr(C, align(8))]
struct Control(MaybeUninit<[u8; 1040]>);

/// `recvmsg(2)`: one message, its first bytes into `head`, the rest into the
/// spare capacity of `body`, whose length becomes what arrived there. The
/// descriptors are close-on-exec. With `wait` it blocks until there is one,
/// else that is `WouldBlock`.
///
/// Not nix's `recvmsg`: that gives no access to the descriptors which did
/// arrive when others were lost, and so leaks them.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    head: &mut [u8],
    body: &mut Vec<u8>,
    wait: bool,
) -> io::Result<Received> {
    body.clear();
    let room = body.spare_capacity_mut();
    let mut parts = [
        libc::iovec {
            iov_base: head.as_mut_ptr().cast(),
            iov_len: head.len(),
        },
        libc::iovec {
            iov_base: room.as_mut_ptr().cast(),
            iov_len: room.len(),
        },
    ];
    let mut control = Control(MaybeUninit::uninit());
    // SAFETY: all zeroes is a valid msghdr: null pointers with length zero.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len() as _;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    let mut flags = libc::MSG_CMSG_CLOEXEC;
    if !wait {
        flags |= libc::MSG_DONTWAIT;
    }
    let length = loop {
        // SAFETY: every pointer in `message` is to live, writable memory of the
        // length beside it.
        let result = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
        match check(result) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?.cast_unsigned(),
        }
    };
    // SAFETY: `message` is as recvmsg left it, and `control` is still alive.
    let fds = unsafe { take_fds(&message) };
    // SAFETY: the kernel filled `head` first, then this many bytes of the spare
    // capacity, of which it had the exact length.
    unsafe { body.set_len(length.saturating_sub(head.len())) };
    Ok(Received {
        length,
        cut: message.msg_flags & libc::MSG_TRUNC != 0,
        lost_fds: message.msg_flags & libc::MSG_CTRUNC != 0,
        fds,
    })
}

/// Takes the descriptors out of received control data.
///
/// # Safety
///
/// `message` must have been filled by a `recvmsg` whose descriptors nobody has
/// taken, and its control buffer must be alive.
unsafe fn take_fds(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: the caller promises a filled header with a live control buffer.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !next.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give null or a whole header
        // inside the control buffer, which is aligned for it.
        let header = unsafe { &*next };
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: the data of this header begins inside the buffer.
            let data = unsafe { libc::CMSG_DATA(next) };
            let head = data.addr() - next.addr();
            let count = (header.cmsg_len as usize).saturating_sub(head) / size_of::<RawFd>();
            for index in 0..count {
                let place = data.cast::<RawFd>().wrapping_add(index);
                // SAFETY: the kernel wrote `count` numbers from `data` on.
                let number = unsafe { place.read_unaligned() };
                // SAFETY: the kernel installed this number for this message and
                // nobody else knows it.
                fds.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        // SAFETY: `next` is a header of this message.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
    fds
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn get(socket: &OwnedFd, head: &mut [u8], body: &mut Vec<u8>) -> Received {
        receive(socket.as_fd(), head, body, false).unwrap()
    }

    #[test]
    fn splits_a_message_into_head_and_body() {
        let (a, b) = pair().unwrap();
        send(a.as_fd(), &[IoSlice::new(b"headbody")], &[a.as_fd()], true).unwrap();
        let (mut head, mut body) = ([0; 4], Vec::with_capacity(16));
        let got = get(&b, &mut head, &mut body);
        assert_eq!((&head, &body[..], got.length), (b"head", &b"body"[..], 8));
        assert_eq!(got.fds.len(), 1);
        assert!(!got.cut && !got.lost_fds);
    }

    #[test]
    fn says_when_a_message_was_cut() {
        let (a, b) = pair().unwrap();
        send(a.as_fd(), &[IoSlice::new(&[7; 100])], &[], true).unwrap();
        let mut body = Vec::with_capacity(8);
        assert!(get(&b, &mut [0; 4], &mut body).cut);
    }

    #[test]
    fn an_empty_queue_would_block_and_a_closed_peer_is_zero_bytes() {
        let (a, b) = pair().unwrap();
        let mut body = Vec::with_capacity(8);
        let error = receive(b.as_fd(), &mut [0; 4], &mut body, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(a);
        assert_eq!(get(&b, &mut [0; 4], &mut body).length, 0);
    }
}
