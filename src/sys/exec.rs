//! Becoming another program.

use std::{
    ffi::{CString, c_char},
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use super::{check, fd, signal};

/// Makes each number a copy of its descriptor, which the program inherits.
pub(crate) fn place(fds: &[(RawFd, OwnedFd)]) -> io::Result<()> {
    fds.iter().try_for_each(|(number, fd)| fd::put(*number, fd))
}

/// Replaces this process by a program, which is looked for in `PATH` when its
/// name has no slash, and which finds these descriptors at these numbers.
/// Returns only with the reason why that cannot be; then this process is as it
/// was, but for these numbers.
pub(crate) fn replace(program: &CString, args: &[CString], fds: &[(RawFd, OwnedFd)]) -> io::Error {
    match moved_up(fds).and_then(|fds| place_beside_socket(&fds)) {
        Ok(socket) => {
            signal::for_program();
            let error = execute(program, args);
            socket.restore();
            error
        }
        Err(error) => error,
    }
}

fn execute(program: &CString, args: &[CString]) -> io::Error {
    let mut argv: Vec<*const c_char> = args.iter().map(|arg| arg.as_ptr()).collect();
    argv.push(ptr::null());
    // SAFETY: the name ends in NUL; the list ends in null and its strings,
    // which `args` owns, in NUL.
    unsafe { libc::execvp(program.as_ptr(), argv.as_ptr()) };
    io::Error::last_os_error()
}

/// Copies of the descriptors above all numbers that are to be theirs, so that
/// placing one does not overwrite another.
fn moved_up(fds: &[(RawFd, OwnedFd)]) -> io::Result<Vec<(RawFd, OwnedFd)>> {
    let above = fds.iter().map(|(number, _)| *number).max();
    let above = above.unwrap_or(2).checked_add(1).unwrap_or(RawFd::MAX);
    let copy = |(number, fd): &(RawFd, OwnedFd)| Ok((*number, copy_above(fd.as_raw_fd(), above)?));
    fds.iter().map(copy).collect()
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
    let number = fd::main_socket().map(|socket| socket.as_raw_fd());
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
