//! One socket: a frame and its descriptors, whole or an error.
//!
//! A frame is always one message, whatever its size: a body that is too long
//! for a message stands in a sealed memory file, and descriptors that are too
//! many stand in the queue of a socket that is itself passed along. So several
//! receivers can share one queue, and no receiver ever holds half a frame.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use once_cell::sync::OnceCell;

use super::frame::{Frame, Head, Kind};
use crate::{
    error::{Error, Kind as ErrorKind},
    sys::{
        memory::{read_sealed, sealed},
        poll::{Deadline, Want, poll},
        socket::{self, MAX_FDS},
    },
};

/// The longest body inside a message: 64 KiB of the user's and what frames
/// them. Far below the 212,960 bytes that a socket takes by default.
const INLINE: usize = 64 * 1024 + 512;

/// The most descriptors directly in a message: two places are kept for the
/// memory file and the carrier.
const DIRECT_FDS: usize = MAX_FDS - 2;

/// Why nothing was sent or received.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It would have to wait.
    Busy,
    /// The other end is closed. `unread`: with something from here still in its
    /// queue, which nobody has seen.
    Closed { unread: bool },
    /// This process had no room for the descriptors of a frame, which is lost.
    NoRoom { kind: Kind, number: u64 },
    /// What arrived is not a frame of ours.
    Foreign(&'static str),
    /// A system call failed; which.
    Os(&'static str, io::Error),
}

impl Trouble {
    /// `Trouble` at a place in the user's program.
    pub(crate) fn into_error(self, tried: &str) -> Error {
        match self {
            Self::Busy => Error::timeout(format!("{tried}: the other side does not read")),
            Self::Closed { .. } => Error::new(
                ErrorKind::Disconnected,
                format!("{tried}: the other end is closed"),
            ),
            Self::NoRoom { .. } => Error::os(
                format!(
                    "{tried}: no room for the descriptors that arrived, raise the limit \
                     (RLIMIT_NOFILE) or close some"
                ),
                io::Error::from_raw_os_error(libc::EMFILE),
            ),
            Self::Foreign(what) => Error::new(
                ErrorKind::Protocol,
                format!("{tried}: what arrived is not a frame of this library: {what}"),
            ),
            Self::Os(call, error) => Error::os(format!("{tried}: {call} failed"), error),
        }
    }
}

/// What to do about a user that has as many descriptors in messages which nobody
/// has received as the kernel allows (RLIMIT_NOFILE).
#[derive(Default)]
struct Crowd(Option<Deadline>);

impl Crowd {
    /// New processes receive theirs in a moment. When they have, nothing tells.
    const PATIENCE: Duration = Duration::from_millis(100);

    /// If that is the trouble, waits a moment; whether to try again.
    fn waits(&mut self, trouble: &Trouble) -> bool {
        let Trouble::Os(_, error) = trouble else {
            return false;
        };
        let until = self.0.get_or_insert(Deadline::after(Self::PATIENCE));
        if error.raw_os_error() != Some(libc::ETOOMANYREFS) || until.passed() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
        true
    }
}

/// Where the memory of a long body is kept: it is written at the first time that
/// the body is sent, and the same is sent every time.
pub(crate) type Kept = OnceCell<OwnedFd>;

/// Sends one frame: the body's parts one after the other, and copies of the
/// descriptors. With `wait` it blocks until there is room, else that is `Busy`.
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

/// [`send`] with a body that may have been sent before: always the same.
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

/// Puts descriptors into the queue of a new socket; gives the end that they can
/// be received from.
fn carry(fds: &[BorrowedFd<'_>]) -> Result<OwnedFd, Trouble> {
    let (near, far) = socket::pair().map_err(|error| Trouble::Os("socketpair", error))?;
    for chunk in fds.chunks(MAX_FDS) {
        socket::send(near.as_fd(), &[IoSlice::new(&[1])], chunk, false)
            .map_err(|error| Trouble::Os("sendmsg of many descriptors", error))?;
    }
    Ok(far)
}

/// Takes them out again.
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

/// [`send`] that waits for room up to the deadline.
pub(crate) fn send_until(
    socket: BorrowedFd<'_>,
    head: Head,
    body: &[&[u8]],
    fds: &[BorrowedFd<'_>],
    deadline: Deadline,
) -> Result<(), Trouble> {
    send_kept(socket, head, body, &Kept::new(), fds, deadline)
}

/// [`send_until`] with a body that may be sent often: always the same.
pub(crate) fn send_kept(
    socket: BorrowedFd<'_>,
    head: Head,
    body: &[&[u8]],
    kept: &Kept,
    fds: &[BorrowedFd<'_>],
    deadline: Deadline,
) -> Result<(), Trouble> {
    let mut crowd = Crowd::default();
    loop {
        match send_once(socket, head, body, kept, fds, false) {
            Err(Trouble::Busy) if !deadline.passed() => {
                poll([Want::Write(socket)], deadline)
                    .map_err(|error| Trouble::Os("poll", error))?;
            }
            Err(trouble) if !deadline.passed() && crowd.waits(&trouble) => {}
            result => return result,
        }
    }
}

thread_local! {
    /// Room for one long body. Kept, so that a receive costs no allocation; its
    /// pages are touched as far as bodies reach. Given away with a long body.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// So long a body is received on the stack, which is in use anyway: most are no
/// longer.
const START: usize = 512;

/// Bodies from this length on keep the buffer they were received into; shorter
/// ones are copied out of it.
const KEEP: usize = 16 * 1024;

/// Receives one frame. With `wait` it blocks until there is one, else that is
/// `Busy`.
pub(crate) fn receive(socket: BorrowedFd<'_>, wait: bool) -> Result<Frame, Trouble> {
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
    complete(head, body, got.fds)
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
        // The peer closed with something from here unread.
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
        // The memory file, if any, stays behind them.
        carried.append(&mut fds);
        fds = carried;
    }
    if head.in_memory {
        let Some(memory) = fds.pop() else {
            return Err(Trouble::Foreign("its memory is missing"));
        };
        body = read_sealed(memory, head.length)
            .map_err(|error| Trouble::Os("reading sealed memory", error))?
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

/// The head of an empty frame, for a place that can only send bytes.
pub(crate) fn empty(kind: Kind) -> [u8; Head::LENGTH] {
    Head::new(kind, 0).encode()
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::MetadataExt};

    use super::*;

    fn round_trip(length: usize, count: usize) {
        let (a, b) = socket::pair().unwrap();
        let file = File::open("/dev/null").unwrap();
        let body: Vec<u8> = (0..=250).cycle().take(length).collect();
        let fds = vec![file.as_fd(); count];
        let head = Head::new(Kind::Message, 9);
        let (first, second) = body.split_at(length / 2);
        send(a.as_fd(), head, &[first, second], &fds, false).unwrap();
        let frame = receive(b.as_fd(), false).unwrap();
        assert_eq!((frame.kind, frame.number), (Kind::Message, 9));
        assert!(frame.body == body, "{length} bytes differ");
        assert_eq!(frame.fds.len(), count);
        let inode = file.metadata().unwrap().ino();
        for fd in frame.fds {
            assert_eq!(File::from(fd).metadata().unwrap().ino(), inode);
        }
    }

    #[test]
    fn bodies_of_every_size_arrive_whole() {
        for length in [0, 1, KEEP - 1, KEEP, INLINE, INLINE + 1, 300_000, 64 << 20] {
            round_trip(length, 0);
        }
    }

    #[test]
    fn a_body_that_is_kept_is_written_once() {
        let (a, b) = socket::pair().unwrap();
        let kept = Kept::new();
        let head = Head::new(Kind::Message, 0);
        let now = Deadline::after(Duration::ZERO);
        let send = |body| send_kept(a.as_fd(), head, &[body], &kept, &[], now).unwrap();
        send(&[7; INLINE][..]);
        assert!(kept.get().is_none(), "it went inside of the message");
        receive(b.as_fd(), false).unwrap();
        let inodes = [(); 3].map(|()| {
            send(&[7; INLINE + 1]);
            let mut head = [0; Head::LENGTH];
            let got = socket::receive(b.as_fd(), &mut head, &mut [], &mut Vec::new(), false);
            let [memory] = <[OwnedFd; 1]>::try_from(got.unwrap().fds).unwrap();
            File::from(memory).metadata().unwrap().ino()
        });
        let own = kept.into_inner().map(File::from).unwrap();
        assert_eq!(inodes, [own.metadata().unwrap().ino(); 3]);
    }

    #[test]
    fn descriptors_of_every_number_arrive_whole() {
        for count in [1, DIRECT_FDS, DIRECT_FDS + 1, 253, 254, 1_000] {
            round_trip(10, count);
            round_trip(100_000, count);
        }
    }

    #[test]
    fn what_is_not_a_frame_is_refused() {
        let (a, b) = socket::pair().unwrap();
        let mut lies = Head::new(Kind::Message, 0);
        lies.length = 5;
        let mut memory = Head::new(Kind::Message, 0);
        memory.in_memory = true;
        let mut carrier = Head::new(Kind::Message, 0);
        carrier.in_carrier = true;
        carrier.fds = 3;
        for bytes in [
            &lies.encode()[..],
            &memory.encode(),
            &carrier.encode(),
            b"x",
            &[0; 100],
        ] {
            socket::send(a.as_fd(), &[IoSlice::new(bytes)], &[], false).unwrap();
            assert!(matches!(
                receive(b.as_fd(), false),
                Err(Trouble::Foreign(_))
            ));
        }
        let file = File::open("/dev/null").unwrap();
        let parts = [IoSlice::new(&memory.encode())].map(|part| part.to_vec());
        socket::send(
            a.as_fd(),
            &[IoSlice::new(&parts[0])],
            &[file.as_fd()],
            false,
        )
        .unwrap();
        assert!(receive(b.as_fd(), false).is_err(), "unsealed memory");
    }

    #[test]
    fn no_kind_has_more_than_it_needs() {
        let (a, b) = socket::pair().unwrap();
        for (kind, count, is_taken) in [
            (Kind::Hello, 1, true),
            (Kind::Hello, 2, false),
            (Kind::Exits, 300, false),
            (Kind::Value, 2, true),
        ] {
            let fds = vec![a.as_fd(); count];
            send(a.as_fd(), Head::new(kind, 1), &[], &fds, false).unwrap();
            assert_eq!(receive(b.as_fd(), false).is_ok(), is_taken, "{kind:?}");
        }
        let long = vec![0; INLINE + 1];
        send(a.as_fd(), Head::new(Kind::Exits, 1), &[&long], &[], false).unwrap();
        assert!(matches!(
            receive(b.as_fd(), false),
            Err(Trouble::Foreign(_))
        ));
    }

    #[test]
    fn what_was_said_before_the_end_comes_after_the_reset() {
        let (a, b) = socket::pair().unwrap();
        send(a.as_fd(), Head::new(Kind::Run, 0), &[], &[], false).unwrap();
        send(b.as_fd(), Head::new(Kind::Failed, 5), &[], &[], false).unwrap();
        drop(b);
        let reset = receive(a.as_fd(), false);
        assert!(matches!(reset, Err(Trouble::Closed { unread: true })));
        assert_eq!(receive(a.as_fd(), false).unwrap().number, 5);
        let end = receive(a.as_fd(), false);
        assert!(matches!(end, Err(Trouble::Closed { unread: false })));
    }

    #[test]
    fn a_closed_end_says_whether_something_was_unread() {
        let (a, b) = socket::pair().unwrap();
        send(a.as_fd(), Head::new(Kind::Close, 0), &[], &[], false).unwrap();
        drop(b);
        assert!(matches!(
            receive(a.as_fd(), false),
            Err(Trouble::Closed { unread: true })
        ));
        assert!(matches!(
            receive(a.as_fd(), false),
            Err(Trouble::Closed { unread: false })
        ));
    }
}
