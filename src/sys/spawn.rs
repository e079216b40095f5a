//! This executable once more.

use std::{
    ffi::CString,
    fs::{self, File},
    io::{self, Read},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn},
    sys::{
        signal::{SigSet, Signal, kill},
        socket::{
            AddressFamily, SockType, SockaddrLike, SockaddrStorage, getpeername, getsockopt,
            sockopt,
        },
        wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid},
    },
    unistd::{Pid, geteuid},
};

use super::{
    image::BeforeMain,
    pidfd,
    poll::{Deadline, Want, poll},
};

/// Executes `/proc/self/exe` with the program's own arguments and environment, and with
/// `socket` in the place of `other_end` there. `variable` is set to `value`. Every
/// signal is blocked in it. It uses `posix_spawn(3)`, which is safe from any thread,
/// and the cost does not grow with the program.
pub(crate) fn respawn(
    socket: OwnedFd,
    other_end: BorrowedFd<'_>,
    variable: &str,
    value: &str,
) -> io::Result<i32> {
    super::fail::check("posix_spawn")?;
    let mut actions = PosixSpawnFileActions::init()?;
    // The socket gets another number, so that close-on-exec is off whatever the age of
    // the C library. That number is below the limit, and nobody misses what is there.
    actions.add_dup2(socket.as_raw_fd(), other_end.as_raw_fd())?;
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
        &environment(variable, value),
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

/// Tells whether this thread's next child would be the first of a new pid namespace,
/// whose end is the end of all others in it.
pub(crate) fn next_is_first_of_namespace() -> bool {
    let own = fs::read_link("/proc/thread-self/ns/pid");
    let next = fs::read_link("/proc/thread-self/ns/pid_for_children");
    own.is_ok() && next.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// How a program that was executed came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It ended by itself, with this wait status; `None` if other code in the program
    /// has taken it.
    Own(Option<i32>),
    /// It was killed here, because it went on.
    Killed,
    /// It was killed here, but it could not go on: it was stopped, or waited for a
    /// disk.
    KilledAsleep,
}

/// Ends a child that should be about to exit, and reaps it. It has the time `patience`
/// to exit by itself. `handle` is the child's, if there was room for one.
pub(crate) fn end(pid: i32, handle: Option<BorrowedFd<'_>>, patience: Duration) -> End {
    let limit = Deadline::after(patience);
    let has_ended = |it| matches!(poll([Want::Read(it)], limit), Ok([true]));
    if handle.is_some_and(has_ended) {
        return End::Own(wait_for(pid).or_else(|| handle.and_then(pidfd::exit_status)));
    }
    let state = state(pid);
    match handle {
        Some(handle) => drop(pidfd::signal(handle, libc::SIGKILL)),
        // The number is the child's until it is reaped, which nobody has done yet.
        None if is_living_child(pid) => drop(kill(Pid::from_raw(pid), Signal::SIGKILL)),
        None => {}
    }
    match (wait_for(pid), state) {
        (_, Some('T' | 't' | 'D')) => End::KilledAsleep,
        (Some(libc::SIGKILL) | None, _) => End::Killed,
        // It ended just before the signal.
        (status, _) => End::Own(status),
    }
}

fn is_living_child(pid: i32) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::Pid(Pid::from_raw(pid)), flags) == Ok(WaitStatus::StillAlive)
}

/// Gives the state of a child, as a letter; `None` when it cannot be found out.
fn state(child: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
    // The name is in parentheses and may have any character.
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    let (state, parent) = (words.next()?, words.next()?);
    (parent == std::process::id().to_string()).then(|| state.chars().next())?
}

/// Waits for a child that is at its end, and gives its wait status.
fn wait_for(pid: i32) -> Option<i32> {
    loop {
        match waitpid(Pid::from_raw(pid), None) {
            Err(Errno::EINTR) => {}
            Ok(WaitStatus::Exited(_, code)) => return Some(code << 8),
            Ok(WaitStatus::Signaled(_, signal, core)) => {
                return Some(signal as i32 | if core { 0x80 } else { 0 });
            }
            _ => return None,
        }
    }
}

/// A socket that seems to have come through the exec.
#[derive(Debug)]
pub(crate) struct Inherited<'before> {
    socket: BorrowedFd<'before>,
    /// The process that made it.
    peer: i32,
}

/// Gives the inherited descriptor with this number, if it is what a program gives to
/// its own server: a connected, unnamed `SOCK_SEQPACKET` socket of the same user.
///
/// # Errors
///
/// The descriptor is open and may be such a socket, but the kernel does not say so, or
/// another user has made it.
pub(crate) fn inherited_socket(_: &BeforeMain, number: i32) -> io::Result<Option<Inherited<'_>>> {
    if number < 3 {
        return Ok(None);
    }
    match super::fd::check_open(number) {
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => return Ok(None),
        open => open?,
    }
    // SAFETY: it is open. It came through the exec, or a constructor has opened
    // it and is over: before `main` nobody closes it.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    match getsockopt(&socket, sockopt::SockType) {
        Ok(SockType::SeqPacket) => {}
        Ok(_) | Err(Errno::ENOTSOCK) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let peer = getsockopt(&socket, sockopt::PeerCredentials)?;
    if !is_unnamed_unix(socket)? {
        return Ok(None);
    }
    match peer.uid() == geteuid().as_raw() {
        true => Ok(Some(Inherited {
            socket,
            peer: peer.pid(),
        })),
        false => Err(io::Error::other("another user has made it")),
    }
}

impl Inherited<'_> {
    pub(crate) fn peer(&self) -> i32 {
        self.peer
    }

    /// Takes the socket over for this library. A process can do that once.
    pub(crate) fn take(self) -> io::Result<OwnedFd> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Err(Errno::EBADF.into());
        }
        fcntl(self.socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        // SAFETY: it came through an exec, nothing has taken it over yet, and before
        // `main` this library has made no other socket that it could be.
        Ok(unsafe { OwnedFd::from_raw_fd(self.socket.as_raw_fd()) })
    }
}

impl AsFd for Inherited<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket
    }
}

fn is_unnamed_unix(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let peer = match getpeername::<SockaddrStorage>(socket.as_raw_fd()) {
        Err(Errno::ENOTCONN) => return Ok(false),
        peer => peer?,
    };
    let is_unnamed = peer
        .as_unix_addr()
        .is_some_and(|address| address.path().is_none() && address.as_abstract().is_none());
    Ok(peer.family() == Some(AddressFamily::Unix) && is_unnamed)
}

/// Gives a number that nobody can guess. It does not use std's `RandomState`, which
/// panics when the kernel gives none. It makes the system call itself, because std has
/// the function as a weak symbol, and with LTO a static program may be without it.
pub(crate) fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the pointer and the length are those of `bytes`.
    let got = unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), bytes.len(), 0) };
    if got != 8 {
        // A filter denies the call.
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    }
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd;

    use super::*;
    use crate::sys::socket;

    #[test]
    fn an_inherited_socket_is_taken_over_once() {
        let (near, _far) = socket::pair().unwrap();
        let number = near.into_raw_fd();
        let before = BeforeMain::assumed();
        let of = |number| inherited_socket(&before, number).unwrap();
        let taken = of(number).unwrap().take().unwrap();
        assert_eq!(taken.as_raw_fd(), number);
        let error = of(number).unwrap().take().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        assert!(of(0).is_none());
    }
}
