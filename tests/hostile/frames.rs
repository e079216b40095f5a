//! Messages that nobody should send.

use std::{
    fs::File,
    io::{self, IoSlice, Write},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::{
        memfd::{MFdFlags, memfd_create},
        socket::{
            AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg,
            socketpair,
        },
    },
    unistd::{ftruncate, pipe},
};

pub(crate) const FORK: u8 = 1;
pub(crate) const OWNER: u8 = 9;
pub(crate) const CALL: u8 = 16;
pub(crate) const HELLO: u8 = 32;
pub(crate) const DONE: u8 = 33;
pub(crate) const FAILED: u8 = 34;
pub(crate) const VALUE: u8 = 35;
pub(crate) const EXITS: u8 = 37;
pub(crate) const READY: u8 = 38;
pub(crate) const STARVED: u8 = 40;

pub(crate) const IN_MEMORY: u8 = 1;
pub(crate) const IN_CARRIER: u8 = 2;

/// The first bytes of a frame, as `src/wire/frame/head.rs` has them.
pub(crate) fn head(kind: u8, flags: u8, fds: u32, number: u64, length: u64) -> Vec<u8> {
    let mut bytes = b"zyg1".to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(&fds.to_le_bytes()[2..]);
    bytes.extend(number.to_le_bytes());
    bytes.extend(&length.to_le_bytes()[..6]);
    bytes.extend(&fds.to_le_bytes()[..2]);
    bytes
}

/// Numbers that look random and are the same for the same seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.number() >> 11) % end
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn byte(&mut self) -> u8 {
        self.number().to_le_bytes()[6]
    }

    fn bytes(&mut self, end: u64) -> Vec<u8> {
        (0..self.below(end)).map(|_| self.byte()).collect()
    }
}

pub(crate) fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .unwrap()
}

pub(crate) fn null() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

/// Memory of this length of which these bytes are written.
pub(crate) fn memory(bytes: &[u8], length: i64, sealed: bool) -> OwnedFd {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create(c"evil", flags).unwrap());
    file.write_all(bytes).unwrap();
    ftruncate(&file, length).unwrap();
    if sealed {
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    }
    file.into()
}

/// A socket with so many descriptors in its queue, in messages of so many. The
/// kernel adds a pidfd to each where it can.
pub(crate) fn carrier(fds: usize, each: usize) -> OwnedFd {
    const SO_PASSPIDFD: libc::c_int = 76;
    let (near, far) = pair();
    let on: libc::c_int = 1;
    // SAFETY: the pointer is to a number of the length beside it.
    unsafe {
        libc::setsockopt(
            far.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PASSPIDFD,
            (&raw const on).cast(),
            4,
        )
    };
    let null = null();
    for _ in 0..fds.div_ceil(each.max(1)) {
        let _ = send(near.as_fd(), b"x", &vec![null.as_fd(); each]);
    }
    far
}

pub(crate) fn pidfd(of: u32) -> OwnedFd {
    // SAFETY: pidfd_open touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, of, 0) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: it was made just above.
    unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) }
}

/// One message. Does not wait, and is not killed.
pub(crate) fn send(to: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> nix::Result<()> {
    let numbers: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control = if fds.is_empty() { &[][..] } else { &rights };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    sendmsg::<UnixAddr>(to.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None).map(drop)
}

/// A descriptor of any kind.
fn any_descriptor(dice: &mut Dice) -> OwnedFd {
    match dice.below(12) {
        0 => pipe().unwrap().0,
        1 => pair().0,
        2 => memory(b"bytes", 5, true),
        3 => memory(b"bytes", 5, false),
        4 => memory(b"", 1 << 40, true),
        5 => memory(b"byte", 4, true),
        6 => carrier(3, 1),
        7 => carrier(3, 0),
        8 => carrier(600, 253),
        9 => pidfd(std::process::id()),
        10 => std::os::unix::net::UnixStream::pair().unwrap().0.into(),
        _ => null(),
    }
}

/// A frame that looks right, and then is changed or not; its descriptors.
pub(crate) fn made_up(dice: &mut Dice) -> (Vec<u8>, Vec<OwnedFd>) {
    const KINDS: [u8; 19] = [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 32, 33, 34, 35, 36, 37, STARVED, 64,
    ];
    // Arguments, forks and questions keep a process alive, for more to come.
    let kind = match dice.below(4) {
        0 => dice.one(&KINDS),
        _ => dice.one(&[1, 3, 4, 6, 7, 8]),
    };
    let (mut fds, mut body) = (Vec::new(), dice.bytes(40));
    if [FORK, 4, OWNER, HELLO].contains(&kind) {
        fds.push(if kind == FORK {
            pair().0
        } else {
            pipe().unwrap().0
        });
    }
    let (mut flags, mut count, mut length) = (0, fds.len(), body.len() as u64);
    match dice.below(16) {
        0 => flags = dice.byte(),
        1 => count = usize::try_from(dice.one(&[0, 1, 253, 254, 1 << 16, u32::MAX])).unwrap(),
        2 => length = dice.one(&[0_u64, 1, 1 << 20, 1 << 30, 1 << 40, (1 << 48) - 1]),
        3 => fds.push(any_descriptor(dice)),
        4 => (flags, body, length) = (IN_MEMORY, Vec::new(), 5),
        5 => (flags, count) = (IN_CARRIER, 3),
        6 => fds = (0..253).map(|_| null()).collect(),
        _ => {}
    }
    if flags & (IN_MEMORY | IN_CARRIER) != 0 {
        fds.push(any_descriptor(dice));
    }
    let mut bytes = head(
        kind,
        flags,
        u32::try_from(count).unwrap(),
        dice.below(9),
        length,
    );
    bytes.append(&mut body);
    match dice.below(20) {
        0 => bytes.truncate(usize::try_from(dice.below(25)).unwrap()),
        1 => bytes.extend(dice.bytes(40)),
        2 => {
            let at = usize::try_from(dice.below(bytes.len() as u64)).unwrap();
            bytes[at] ^= dice.byte();
        }
        3 => bytes = dice.bytes(80),
        _ => {}
    }
    (bytes, fds)
}
