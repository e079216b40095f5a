//! Messages with descriptors on connected `AF_UNIX`, `SOCK_SEQPACKET` sockets.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, shutdown, socketpair},
};

use super::{check, fail, fd::above_standard};

/// `SCM_MAX_FD`: the most descriptors that the kernel takes with one message.
pub(crate) const MAX_FDS: usize = 253;

/// The record of a sender's pidfd, which libc does not have for every C library. It
/// comes with every message if somebody has set `SO_PASSPIDFD`, which the process that
/// made a socket passed here can do.
const SCM_PIDFD: libc::c_int = 4;

/// Makes a connected pair, close-on-exec and blocking. It never has the numbers of the
/// standard streams, even if those were closed: what is written there would come
/// between the frames.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    fail::check("socketpair")?;
    let (a, b) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?;
    Ok((above_standard(a)?, above_standard(b)?))
}

/// Calls `sendmsg(2)`: sends the parts as one message, with copies of at most
/// [`MAX_FDS`] descriptors. Never raises SIGPIPE. With `wait` it blocks until there is
/// room; without, that is `WouldBlock`.
///
/// It is not nix's `sendmsg`, which allocates zeroed memory: a new process pays for
/// that with two page faults.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
    wait: bool,
) -> io::Result<()> {
    fail::check("sendmsg")?;
    let mut control = Control(MaybeUninit::uninit());
    let mut message = empty_message();
    // std promises that an IoSlice is an iovec, and sendmsg only reads them.
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = parts.len() as _;
    if !fds.is_empty() {
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>() as _;
        put_fds(&mut message, fds)?;
    }
    let mut flags = libc::MSG_NOSIGNAL;
    if !wait {
        flags |= libc::MSG_DONTWAIT;
    }
    loop {
        // SAFETY: every pointer in `message` is to live memory of the length
        // beside it.
        let result = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) };
        match check(result) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A message is taken whole or not at all.
            result => return result.map(drop),
        }
    }
}

fn empty_message() -> libc::msghdr {
    // SAFETY: all zeroes is a valid msghdr: null pointers with length zero.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// Puts descriptors into the control data of a message, which has room for
/// [`MAX_FDS`], and makes it as long as they are.
fn put_fds(message: &mut libc::msghdr, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if fds.len() > MAX_FDS {
        return Err(Errno::EINVAL.into());
    }
    #[expect(clippy::cast_possible_truncation, reason = "253 numbers at most")]
    let length = size_of_val(fds) as libc::c_uint;
    // SAFETY: it looks at the length of the control data.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: the control data has room for one header at least, aligned for it.
    let header = unsafe { &mut *header };
    header.cmsg_level = libc::SOL_SOCKET;
    header.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: it computes a length.
    header.cmsg_len = unsafe { libc::CMSG_LEN(length) } as _;
    // SAFETY: the data of this header begins inside the control data.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: a BorrowedFd is its number, std promises, and there is room for
    // so many.
    unsafe { data.copy_from_nonoverlapping(fds.as_ptr().cast(), size_of_val(fds)) };
    // The length is without the padding after the last number, which nobody has
    // written.
    message.msg_controllen = header.cmsg_len as _;
    Ok(())
}

/// Calls `shutdown(SHUT_RD)`: from here on the other end cannot send. What it sent
/// before can still be received.
pub(crate) fn refuse_more(socket: BorrowedFd<'_>) {
    // This fails when the other end is gone, and then it cannot send either.
    let _ = shutdown(socket.as_raw_fd(), Shutdown::Read);
}

/// Calls `shutdown(SHUT_WR)`: the other end receives what was sent by now, and then the
/// end.
pub(crate) fn say_no_more(socket: BorrowedFd<'_>) {
    // This fails when the other end is gone, and then it receives nothing.
    let _ = shutdown(socket.as_raw_fd(), Shutdown::Write);
}

/// Tells whether something that was sent from here has not been received yet.
#[cfg(feature = "exec")]
pub(crate) fn has_unread(socket: BorrowedFd<'_>) -> bool {
    let mut octets: libc::c_int = 0;
    // SAFETY: TIOCOUTQ writes one integer, to a live one.
    let asked = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut octets) };
    asked == 0 && octets > 0
}

/// What [`receive`] got.
#[derive(Debug)]
pub(crate) struct Received {
    /// How many bytes of the message fitted; 0 is the end.
    pub(crate) length: usize,
    /// Whether the message was longer than the room for it.
    pub(crate) cut: bool,
    /// Whether descriptors were lost, because this process has no room for more.
    pub(crate) lost_fds: bool,
    pub(crate) fds: Vec<OwnedFd>,
}

/// Room for the control data of [`MAX_FDS`] descriptors, aligned as `cmsghdr`.
#[repr(C, align(8))]
struct Control(MaybeUninit<[u8; 1040]>);

/// Calls `recvmsg(2)`: receives one message. Its first bytes go into `head`. The others
/// go into `start` if they fit there; if not, all of them go into the spare capacity of
/// `body`, whose length they become. The descriptors are close-on-exec. With `wait` it
/// blocks until there is a message; without, that is `WouldBlock`.
///
/// It is not nix's `recvmsg`, which gives no access to the descriptors that did arrive
/// when others were lost, and so leaks them.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    head: &mut [u8],
    start: &mut [u8],
    body: &mut Vec<u8>,
    wait: bool,
) -> io::Result<Received> {
    fail::check("recvmsg")?;
    body.clear();
    // What goes into `start` at first is copied into the gap when there is more.
    let (gap, room) = body.spare_capacity_mut().split_at_mut(start.len());
    let mut parts = [
        libc::iovec {
            iov_base: head.as_mut_ptr().cast(),
            iov_len: head.len(),
        },
        libc::iovec {
            iov_base: start.as_mut_ptr().cast(),
            iov_len: start.len(),
        },
        libc::iovec {
            iov_base: room.as_mut_ptr().cast(),
            iov_len: room.len(),
        },
    ];
    let mut control = Control(MaybeUninit::uninit());
    let mut message = empty_message();
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len() as _;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: every pointer in `message` is to live, writable memory of the length
    // beside it.
    let length = unsafe { recvmsg(socket, &mut message, wait) }?;
    // SAFETY: `message` is as recvmsg left it, and `control` is still alive.
    let fds = unsafe { take_fds(&message) }?;
    if length > head.len() + start.len() {
        for (place, byte) in gap.iter_mut().zip(&*start) {
            place.write(*byte);
        }
        // SAFETY: the gap is filled, and behind it the kernel has filled as many
        // bytes of the spare capacity, of which it had the exact length, as are
        // not in `head` and `start`.
        unsafe { body.set_len(length - head.len()) };
    }
    Ok(Received {
        length,
        cut: message.msg_flags & libc::MSG_TRUNC != 0,
        lost_fds: message.msg_flags & libc::MSG_CTRUNC != 0,
        fds,
    })
}

/// Calls `recvmsg(2)` until no signal interrupts it, and gives the length.
///
/// # Safety
///
/// Every pointer in `message` is to live, writable memory of the length beside it.
unsafe fn recvmsg(
    socket: BorrowedFd<'_>,
    message: &mut libc::msghdr,
    wait: bool,
) -> io::Result<usize> {
    let mut flags = libc::MSG_CMSG_CLOEXEC;
    if !wait {
        flags |= libc::MSG_DONTWAIT;
    }
    loop {
        // SAFETY: as the caller promises.
        let result = unsafe { libc::recvmsg(socket.as_raw_fd(), message, flags) };
        match check(result) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Ok(result?.cast_unsigned()),
        }
    }
}

/// Takes the descriptors out of received control data.
///
/// # Safety
///
/// `message` must have been filled by a `recvmsg` whose descriptors nobody has
/// taken, and its control buffer must be alive.
unsafe fn take_fds(message: &libc::msghdr) -> io::Result<Vec<OwnedFd>> {
    let mut fds = Vec::new();
    // SAFETY: the caller promises a filled header with a live control buffer.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !next.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give null or a whole header
        // inside the control buffer, which is aligned for it.
        let header = unsafe { &*next };
        let is_right = header.cmsg_type == libc::SCM_RIGHTS;
        if header.cmsg_level == libc::SOL_SOCKET && (is_right || header.cmsg_type == SCM_PIDFD) {
            // SAFETY: the data of this header begins inside the buffer.
            let data = unsafe { libc::CMSG_DATA(next) };
            let head = data.addr() - next.addr();
            let count = (header.cmsg_len as usize).saturating_sub(head) / size_of::<RawFd>();
            for index in 0..count {
                let place = data.cast::<RawFd>().wrapping_add(index);
                // SAFETY: the kernel wrote `count` numbers from `data` on.
                let number = unsafe { place.read_unaligned() };
                if number < 0 {
                    // This is the errno of a pidfd that could not be made.
                    continue;
                }
                // SAFETY: the kernel installed this number for this message and
                // nobody else knows it.
                let fd = unsafe { OwnedFd::from_raw_fd(number) };
                // A pidfd that nobody asked for is closed here. When a standard stream
                // is closed, nothing of ours may take its place.
                fds.extend(is_right.then_some(fd).map(above_standard).transpose()?);
            }
        }
        // SAFETY: `next` is a header of this message.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
    Ok(fds)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn get(socket: &OwnedFd, head: &mut [u8], body: &mut Vec<u8>) -> Received {
        receive(socket.as_fd(), head, &mut [], body, false).unwrap()
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
    fn a_pidfd_that_nobody_asked_for_is_closed() {
        const SO_PASSPIDFD: libc::c_int = 76;
        let (a, b) = pair().unwrap();
        let on: libc::c_int = 1;
        // SAFETY: the pointer is to a number of the length beside it.
        let set = unsafe {
            libc::setsockopt(
                b.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_PASSPIDFD,
                (&raw const on).cast(),
                4,
            )
        };
        if set != 0 {
            assert_eq!(Errno::last(), Errno::ENOPROTOOPT, "older than Linux 6.5");
            return;
        }
        for sent in [&[][..], &[a.as_fd()]] {
            // It is repeated more often than there are descriptors.
            for _ in 0..30_000 {
                send(a.as_fd(), &[IoSlice::new(b"x")], sent, true).unwrap();
                let got = get(&b, &mut [0; 4], &mut Vec::new());
                assert_eq!(got.fds.len(), sent.len());
                assert!(!got.lost_fds);
            }
        }
    }

    #[test]
    fn an_empty_queue_would_block_and_a_closed_peer_is_zero_bytes() {
        let (a, b) = pair().unwrap();
        let mut body = Vec::with_capacity(8);
        let error = receive(b.as_fd(), &mut [0; 4], &mut [], &mut body, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(a);
        assert_eq!(get(&b, &mut [0; 4], &mut body).length, 0);
    }
}
