//! This executable once more.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn},
    sys::{
        signal::SigSet,
        socket::{
            AddressFamily, SockType, SockaddrLike, SockaddrStorage, getpeername, getsockopt,
            sockopt,
        },
        wait::waitpid,
    },
    unistd::{Pid, geteuid},
};

/// Executes `/proc/self/exe` with the program's own arguments and environment,
/// and with `variable` set to what `value` makes of the number that `socket`
/// has there. Every signal is blocked in it. By `posix_spawn(3)`: safe from any
/// thread, and the cost does not grow with the program.
pub(crate) fn respawn(
    socket: OwnedFd,
    variable: &str,
    value: impl FnOnce(i32) -> String,
) -> io::Result<i32> {
    let number = socket.as_raw_fd() + 1;
    let mut actions = PosixSpawnFileActions::init()?;
    // Another number, so that close-on-exec is off at every C library's age.
    actions.add_dup2(socket.as_raw_fd(), number)?;
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK)?;
    attributes.set_sigmask(&SigSet::all())?;
    let mut arguments: Vec<CString> = std::env::args_os()
        .filter_map(|argument| CString::new(argument.into_vec()).ok())
        .collect();
    if arguments.is_empty() {
        arguments.push(c"zygote".to_owned());
    }
    let pid = posix_spawn(
        c"/proc/self/exe",
        &actions,
        &attributes,
        &arguments,
        &environment(variable, &value(number)),
    )?;
    Ok(pid.as_raw())
}

fn environment(variable: &str, value: &str) -> Vec<CString> {
    let mut list: Vec<CString> = std::env::vars_os()
        .filter(|(name, _)| name != variable)
        .filter_map(|(name, content)| {
            let mut line = name.into_vec();
            line.push(b'=');
            line.extend(content.into_vec());
            CString::new(line).ok()
        })
        .collect();
    list.extend(CString::new(format!("{variable}={value}")));
    list
}

/// Waits for a child that is about to exit. Somebody else in the program may
/// have waited for it already.
pub(crate) fn wait_for(pid: i32) {
    while waitpid(Pid::from_raw(pid), None) == Err(Errno::EINTR) {}
}

/// The inherited descriptor of this number, if it is what a program gives to a
/// server of its own: a connected, unnamed `SOCK_SEQPACKET` socket of the same
/// user. With the process that made it.
pub(crate) fn inherited_socket(number: i32) -> Option<(BorrowedFd<'static>, i32)> {
    if number < 3 {
        return None;
    }
    let socket = super::fd::lend(number).ok()?;
    let is_ours = getsockopt(&socket, sockopt::SockType).ok()? == SockType::SeqPacket
        && is_unnamed_unix(socket);
    let peer = getsockopt(&socket, sockopt::PeerCredentials).ok()?;
    (is_ours && peer.uid() == geteuid().as_raw()).then_some((socket, peer.pid()))
}

/// Makes an inherited descriptor this library's own.
pub(crate) fn take_inherited(socket: BorrowedFd<'static>) -> io::Result<OwnedFd> {
    fcntl(socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: it came through an exec and was meant for this library (the
    // token has been seen), so nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(socket.as_raw_fd()) })
}

fn is_unnamed_unix(socket: BorrowedFd<'_>) -> bool {
    let Ok(peer) = getpeername::<SockaddrStorage>(socket.as_raw_fd()) else {
        return false;
    };
    peer.family() == Some(AddressFamily::Unix)
        && peer
            .as_unix_addr()
            .is_some_and(|address| address.path().is_none() && address.as_abstract().is_none())
}

/// A number that nobody can guess: from the kernel, through std.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
