//! Descriptors that code before `main` opened, and that a template does not have.
//!
//! A library that opens its log in a constructor keeps the number, also in the memory
//! of every fork. There the number must not come to name another file. So it stays
//! taken, by something that can neither be read from nor written to (EBADF).

use std::{
    fs::{self, File},
    os::{
        fd::{AsRawFd, RawFd},
        unix::fs::OpenOptionsExt,
    },
};

use super::fd;

/// Takes these numbers. If that fails, they stay free.
pub(crate) fn take(numbers: &[RawFd]) {
    if numbers.is_empty() {
        return;
    }
    // This is a file and not a directory, from which other files could be opened.
    let nothing = File::options()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open("/dev/null");
    let Ok(nothing) = nothing else { return };
    for &number in numbers.iter().filter(|it| **it != nothing.as_raw_fd()) {
        // SAFETY: dup3 touches no memory. If somebody owns this number, it stays open
        // and theirs: only what it names changes.
        unsafe { libc::dup3(nothing.as_raw_fd(), number, libc::O_CLOEXEC) };
    }
    if numbers.contains(&nothing.as_raw_fd()) {
        // This one already has one of the numbers to be taken, and stays there.
        std::mem::forget(nothing);
    }
}

/// Gives the numbers above 2 that are open, except for these.
pub(crate) fn others(own: &[RawFd]) -> Vec<RawFd> {
    let mut open = fd::open_numbers();
    open.retain(|number| !own.contains(number));
    open
}

/// Gives those of [`others`] that code of this program has opened and that did not come
/// through its exec. `parent` is the process that the exec came from.
pub(crate) fn opened(own: &[RawFd], parent: i32) -> Vec<RawFd> {
    let mut opened = others(own);
    opened.retain(|number| !is_inherited(*number, parent));
    opened
}

/// Tells whether the descriptor came through the exec. A constructor may have opened it
/// without close-on-exec; then its parent has nothing at that number that could have
/// come.
fn is_inherited(number: RawFd, parent: i32) -> bool {
    // SAFETY: F_GETFD reads a flag and touches no memory.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } & libc::FD_CLOEXEC != 0 {
        return false;
    }
    let list = format!("/proc/{parent}/fdinfo");
    match fs::read_to_string(format!("{list}/{number}")) {
        Ok(info) => !is_close_on_exec(&info),
        // Nothing is there. If the list may not be read, the descriptor counts as
        // inherited.
        Err(_) => File::open(list).is_err(),
    }
}

fn is_close_on_exec(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & libc::O_CLOEXEC != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_number_that_is_taken_can_neither_be_read_nor_written() {
        let mut file = tempfile::tempfile().unwrap();
        let second = tempfile::tempfile().unwrap();
        take(&[file.as_raw_fd(), second.as_raw_fd()]);
        let error = file.write(b"x").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        let error = file.read(&mut [0]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        assert!(others(&[]).contains(&second.as_raw_fd()));
        assert!(!others(&[second.as_raw_fd()]).contains(&second.as_raw_fd()));
    }

    #[test]
    fn what_is_close_on_exec_does_not_come_through() {
        let file = tempfile::tempfile().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(!is_inherited(file.as_raw_fd(), own));
        assert!(is_close_on_exec("pos:\t0\nflags:\t02100002\nmnt_id:\t1\n"));
        assert!(!is_close_on_exec("pos:\t0\nflags:\t0100002\nmnt_id:\t1\n"));
    }
}
