//! Becoming another program.

use std::{
    ffi::{CString, OsStr, c_char},
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    ptr,
};

use super::{check, fd, ours, signal};

/// Makes each number a copy of its descriptor, which the program inherits.
pub(crate) fn place(fds: &[(RawFd, OwnedFd)]) -> io::Result<()> {
    fds.iter().try_for_each(|(number, fd)| fd::put(*number, fd))
}

/// A program, and everything that is made before a process can become it.
#[derive(Debug)]
pub(crate) struct Program {
    /// Looked for in `PATH` when it has no slash.
    name: CString,
    /// Pointers to `_args`, then null.
    argv: Vec<*const c_char>,
    _args: Vec<CString>,
    /// Which descriptors it finds at which numbers. They are above all of these
    /// numbers, so that placing one does not overwrite another.
    fds: Vec<(RawFd, OwnedFd)>,
}

impl Program {
    pub(crate) fn new(
        name: CString,
        args: Vec<CString>,
        fds: &[(RawFd, OwnedFd)],
    ) -> io::Result<Self> {
        let above = fds.iter().map(|(number, _)| *number).max();
        let above = above.unwrap_or(2).checked_add(1).unwrap_or(RawFd::MAX);
        let copy =
            |(number, fd): &(RawFd, OwnedFd)| Ok((*number, copy_above(fd.as_raw_fd(), above)?));
        let mut argv: Vec<_> = args.iter().map(|arg| arg.as_ptr()).collect();
        argv.push(ptr::null());
        Ok(Self {
            name,
            argv,
            _args: args,
            fds: fds.iter().map(copy).collect::<io::Result<_>>()?,
        })
    }

    pub(crate) fn name(&self) -> &OsStr {
        OsStr::from_bytes(self.name.as_bytes())
    }

    /// Replaces this process by the program. Returns only with the reason why
    /// that cannot be; then this process is as it was, but for the numbers of
    /// the descriptors. Allocates nothing.
    pub(crate) fn replace_this(&self) -> io::Error {
        match place_beside_socket(&self.fds) {
            Ok(socket) => {
                signal::for_program();
                // SAFETY: the name ends in NUL; the list ends in null and its
                // strings, which `self` owns, in NUL.
                unsafe { libc::execvp(self.name.as_ptr(), self.argv.as_ptr()) };
                let error = io::Error::last_os_error();
                socket.restore();
                error
            }
            Err(error) => error,
        }
    }
}

fn copy_above(fd: RawFd, above: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes numbers and touches no memory.
    let copy = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, above) })?;
    // SAFETY: fcntl made this number for this call.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// This process's socket, at its number and in a copy: another descriptor may
/// be placed there, and an error must still be told.
struct Socket(Option<(RawFd, OwnedFd)>);

fn place_beside_socket(fds: &[(RawFd, OwnedFd)]) -> io::Result<Socket> {
    let number = ours::main_socket().map(|socket| socket.as_raw_fd());
    let is_taken = |number: &RawFd| fds.iter().any(|(other, _)| other == number);
    let saved = match number.filter(is_taken) {
        Some(number) => {
            let above = fds.iter().map(|(number, _)| number + 1).max().unwrap_or(3);
            Some((number, copy_above(number, above)?))
        }
        None => None,
    };
    let socket = Socket(saved);
    match place(fds) {
        Ok(()) => Ok(socket),
        Err(error) => {
            socket.restore();
            Err(error)
        }
    }
}

impl Socket {
    fn restore(self) {
        if let Some((number, copy)) = self.0 {
            // Both are open, so it cannot fail.
            let _ = fd::put(number, &copy);
        }
    }
}
