//! Becoming another executable.

use std::{
    ffi::{CStr, CString, OsStr, c_char},
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    ptr,
};

use super::{check, fd, ours, signal};

/// Makes each standard stream a copy of its descriptor, which the program inherits.
pub(crate) fn place(streams: &[(RawFd, OwnedFd)]) -> io::Result<()> {
    streams
        .iter()
        .try_for_each(|(stream, fd)| fd::put(*stream, fd))
}

/// An executable, and everything that is made before a process can become it.
#[derive(Debug)]
pub(crate) struct Exec {
    /// Its name, which is looked for in `PATH` when it has no slash.
    name: CString,
    /// Pointers to `_args`, then null.
    argv: Vec<*const c_char>,
    _args: Vec<CString>,
    /// Which descriptors it finds at which numbers. The descriptors are above
    /// all of these numbers, so that placing one does not overwrite another.
    fds: Vec<(RawFd, OwnedFd)>,
}

impl Exec {
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

    /// Replaces this process by the executable. Returns only when that is not possible,
    /// with the reason; then this process is as it was, except for the numbers of the
    /// descriptors and its signals. Allocates nothing.
    pub(crate) fn replace_this(&self, blocked: u64) -> io::Error {
        match place_beside_socket(&self.fds) {
            Ok(socket) => {
                signal::for_launch(blocked);
                let error = self.execute_found();
                socket.restore();
                error
            }
            Err(error) => error,
        }
    }
}

/// Does what `execvp(3)` does, except that a file that is not a program is an error, as
/// with `posix_spawn`: glibc's function would give it to a shell, even a broken
/// executable.
impl Exec {
    fn execute_found(&self) -> io::Error {
        let name = self.name.as_bytes_with_nul();
        if name.contains(&b'/') || name == [0] {
            return self.execute(&self.name);
        }
        if name.len() > NAME_MAX {
            return io::Error::from_raw_os_error(libc::ENAMETOOLONG);
        }
        let mut is_denied = false;
        let mut path = [0; libc::PATH_MAX as usize];
        // SAFETY: it is used up to the exec, before which this thread changes no
        // variable.
        let places = unsafe { search_path() };
        for place in places.to_bytes().split(|byte| *byte == b':') {
            // An empty place means the directory that this process is in.
            let slash: &[u8] = if place.is_empty() { b"" } else { b"/" };
            let Some(path) = join(&mut path, [place, slash, name]) else {
                continue;
            };
            let error = self.execute(path);
            match error.raw_os_error() {
                Some(libc::EACCES) => is_denied = true,
                Some(
                    libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT,
                ) => {}
                _ => return error,
            }
        }
        io::Error::from_raw_os_error(match is_denied {
            true => libc::EACCES,
            false => libc::ENOENT,
        })
    }

    /// Calls `execv(3)`.
    fn execute(&self, path: &CStr) -> io::Error {
        // SAFETY: the path ends in NUL; the list ends in null and its strings,
        // which `self` owns, in NUL. For the variables see `search_path`.
        unsafe { libc::execv(path.as_ptr(), self.argv.as_ptr()) };
        io::Error::last_os_error()
    }
}

/// The longest name that a file may have, with its NUL.
const NAME_MAX: usize = 256;

/// Gives `PATH`, or what the C library takes when there is none. It is not a copy,
/// because nothing may be allocated here.
///
/// # Safety
///
/// It must not be used any more when this thread changes a variable.
unsafe fn search_path<'a>() -> &'a CStr {
    // SAFETY: the name ends in NUL. Code that changes a variable has to answer for
    // the threads that read any, as `std::env::set_var` says.
    let path = unsafe { libc::getenv(c"PATH".as_ptr()) };
    if path.is_null() {
        return match cfg!(target_env = "musl") {
            true => c"/usr/local/bin:/bin:/usr/bin",
            false => c"/bin:/usr/bin",
        };
    }
    // SAFETY: what `getenv` gives ends in NUL; the caller answers for its life.
    unsafe { CStr::from_ptr(path) }
}

/// Joins the parts one after the other; `None` when there is no room for them.
fn join<'a>(room: &'a mut [u8], parts: [&[u8]; 3]) -> Option<&'a CStr> {
    let mut end = 0;
    for part in parts {
        room.get_mut(end..end + part.len())?.copy_from_slice(part);
        end += part.len();
    }
    CStr::from_bytes_with_nul(&room[..end]).ok()
}

fn copy_above(fd: RawFd, above: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes numbers and touches no memory.
    let copy = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, above) })?;
    // SAFETY: fcntl made this number for this call.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// This process's socket, with its number and a copy: another descriptor may be placed
/// at the number, and an error must still be reported.
struct Socket(Option<(RawFd, OwnedFd)>);

fn place_beside_socket(fds: &[(RawFd, OwnedFd)]) -> io::Result<Socket> {
    let number = ours::with_main_socket(|socket| socket.as_raw_fd());
    let is_taken = |number: &RawFd| fds.iter().any(|(other, _)| other == number);
    let saved = match number.filter(is_taken) {
        Some(number) => {
            let above = fds.iter().map(|(number, _)| number + 1).max().unwrap_or(3);
            Some((number, copy_above(number, above)?))
        }
        None => None,
    };
    let socket = Socket(saved);
    let placed = fds.iter().try_for_each(|(number, fd)| {
        // SAFETY: this process becomes the program, or puts its socket back to say why
        // not. Another owner of the number goes on owning it: it names another file.
        unsafe { fd::put_at(*number, fd) }
    });
    match placed {
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
            // Both are open, so this cannot fail.
            // SAFETY: what was placed there was the program's, and this is what
            // the owner of the number has.
            let _ = unsafe { fd::put_at(number, &copy) };
        }
    }
}
