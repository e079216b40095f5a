//! Descriptors: closing what is not kept, 0 to 2, and higher numbers.

use std::{
    ffi::CStr,
    fs::File,
    io, mem,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    panic::{AssertUnwindSafe, catch_unwind},
};

use nix::{
    fcntl::{FcntlArg, fcntl},
    sys::resource::{RLIM_INFINITY, Resource, getrlimit},
};

use super::{check, fork, single::Single};

/// Closes every descriptor above 2 whose number is not in `keep`.
///
/// # Safety
///
/// No live object may own a descriptor that is not in `keep`, or it must never
/// be used or dropped again.
pub(crate) unsafe fn close_others(keep: &mut [RawFd]) {
    keep.sort_unstable();
    let mut first: libc::c_uint = 3;
    for &fd in keep.iter().filter(|fd| **fd > 2) {
        let fd = fd.cast_unsigned();
        if fd > first {
            // SAFETY: these are not in `keep`, so the caller answers for them.
            unsafe { close_from_to(first, fd - 1) };
        }
        first = first.max(fd + 1);
    }
    // SAFETY: as above.
    unsafe { close_from_to(first, libc::c_uint::MAX) };
}

/// Calls `close_range(first, last, 0)`, or closes one by one if the kernel lacks the
/// call (before 5.9) or a filter denies it.
///
/// # Safety
///
/// As for [`close_others`], for the numbers from `first` to `last`.
unsafe fn close_from_to(first: libc::c_uint, last: libc::c_uint) {
    // SAFETY: close_range reads no memory; the caller answers for the descriptors.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == 0 {
        return;
    }
    let end = match listed() {
        // The end is one more than the highest open number.
        Some(open) => open
            .into_iter()
            .max()
            .map_or(first, |highest| highest.cast_unsigned().saturating_add(1)),
        None => libc::c_uint::try_from(limit_of(Resource::RLIMIT_NOFILE)).unwrap_or(1 << 20),
    };
    for fd in first..end.min(last.saturating_add(1)) {
        // SAFETY: as above, the caller answers for the descriptors.
        unsafe { libc::close(fd.cast_signed()) };
    }
}

/// Closes every descriptor but one, 0 to 2 as well, runs `body` with it, and ends this
/// process. `body` holds only what can be copied.
pub(crate) fn alone_with<F>(_: &Single, fd: &OwnedFd, body: F) -> !
where
    F: FnOnce(&OwnedFd) + Copy + 'static,
{
    let own = fd.as_raw_fd();
    // SAFETY: this is the only thread, and what it holds is never used or dropped: it
    // ends here.
    unsafe { close_others(&mut [own]) };
    for standard in (0..3).filter(|number| *number != own) {
        // SAFETY: as above.
        unsafe { libc::close(standard) };
    }
    mem::forget(catch_unwind(AssertUnwindSafe(|| body(fd))));
    fork::exit(1)
}

/// Gives the soft limit of a resource.
pub(super) fn limit_of(resource: Resource) -> u64 {
    // This fails for a resource that does not exist.
    getrlimit(resource).map_or(RLIM_INFINITY, |(soft, _)| soft)
}

/// Gives a descriptor a higher number, if the limit allows it.
pub(crate) fn move_up(fd: &mut OwnedFd) {
    const FROM: RawFd = 16;
    if let Ok(Some(higher)) = not_below(fd, FROM) {
        *fd = higher;
    }
}

/// Gives the descriptor a number that is none of 0, 1 and 2.
pub(crate) fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    Ok(not_below(&fd, 3)?.unwrap_or(fd))
}

/// Makes a copy with this number or a higher one; `None` if the descriptor has such a
/// number.
fn not_below(fd: &OwnedFd, from: RawFd) -> io::Result<Option<OwnedFd>> {
    if fd.as_raw_fd() >= from {
        return Ok(None);
    }
    let number = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(from))?;
    // SAFETY: fcntl made this number for this call.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(number) }))
}

/// Gives the numbers above 2 that are open, from /proc or by asking for each.
pub(crate) fn open_numbers() -> Vec<RawFd> {
    let is_open = |fd: &RawFd| {
        // SAFETY: F_GETFD reads a flag and touches no memory.
        unsafe { libc::fcntl(*fd, libc::F_GETFD) >= 0 }
    };
    match listed() {
        // The directory itself was open only while it was read.
        Some(mut all) => {
            all.retain(|fd| *fd > 2 && is_open(fd));
            all
        }
        None => (3..4096).filter(is_open).collect(),
    }
}

/// Gives the numbers in `/proc/self/fd`. It does not use std's `read_dir`, which panics
/// when a directory cannot be closed: before `main` that is an abort.
fn listed() -> Option<Vec<RawFd>> {
    let mut numbers = Vec::new();
    // SAFETY: the path is a string that ends in NUL.
    let directory = unsafe { libc::opendir(c"/proc/self/fd".as_ptr()) };
    if directory.is_null() {
        return None;
    }
    loop {
        // SAFETY: the directory is open, and nobody else reads from it.
        let entry = unsafe { libc::readdir(directory) };
        if entry.is_null() {
            break;
        }
        // SAFETY: it is an entry, and stays one up to the next call.
        let name = unsafe { &(*entry).d_name };
        // SAFETY: the name of an entry ends in NUL.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) };
        numbers.extend(
            name.to_str()
                .ok()
                .and_then(|name| name.parse::<RawFd>().ok()),
        );
    }
    // SAFETY: it was opened above, and is not used any more.
    unsafe { libc::closedir(directory) };
    Some(numbers)
}

/// Opens `/dev/null` on each of 0, 1 and 2 that is closed, as the Rust runtime does
/// before `main`. If that cannot be opened, the end of a pipe takes its place.
pub(crate) fn fill_standard() {
    for fd in 0..3 {
        // SAFETY: F_GETFD reads a flag and touches no memory.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0 {
            continue;
        }
        // The lowest free number is `fd`, because those below are open by now.
        // SAFETY: the path is a string literal that ends in NUL.
        let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
        if null < 0 {
            let mut ends = [0; 2];
            // SAFETY: pipe writes two numbers into the array it is given.
            if unsafe { libc::pipe(ends.as_mut_ptr()) } == 0 && ends[1] > 2 {
                // SAFETY: this end was made just above and nobody has it.
                unsafe { libc::close(ends[1]) };
            }
        }
    }
}

/// Lets go of 0, 1 and 2: they become `/dev/null`, or, if that cannot be opened, the
/// end of a pipe whose other end is closed.
pub(crate) fn let_go_of_standard() -> io::Result<()> {
    let null = open_null().or_else(|_| Ok::<_, io::Error>(io::pipe()?.0.into()))?;
    (0..3).try_for_each(|number| put(number, &null))
}

/// Makes a standard stream a copy of a descriptor. A program that is executed next
/// inherits it.
pub(crate) fn put(stream: RawFd, fd: &OwnedFd) -> io::Result<()> {
    if !(0..3).contains(&stream) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: nobody owns 0 to 2: std's handles of them never close them.
    unsafe { put_at(stream, fd) }
}

/// Does what [`put`] does, at any number.
///
/// # Safety
///
/// No live object may own what stands at this number, or it must never be used or
/// dropped again.
pub(super) unsafe fn put_at(number: RawFd, fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: dup2 touches no memory; the caller answers for the number.
    check(unsafe { libc::dup2(fd.as_raw_fd(), number) })?;
    Ok(())
}

/// Makes a standard stream `/dev/null`.
pub(crate) fn put_null(stream: RawFd) -> io::Result<()> {
    put(stream, &open_null()?)
}

fn open_null() -> io::Result<OwnedFd> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    Ok(null.into())
}

/// Gives the descriptor of a standard stream, if that is open.
pub(crate) fn standard(stream: RawFd) -> io::Result<BorrowedFd<'static>> {
    if !(0..3).contains(&stream) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    check_open(stream)?;
    // SAFETY: it is open, and nobody owns 0 to 2, so nobody closes them by drop:
    // std lends its own handles of them for as long.
    Ok(unsafe { BorrowedFd::borrow_raw(stream) })
}

/// Lends the descriptors of these numbers to `act`, and no longer. It is meant for
/// traits that speak in numbers, whose callers guarantee that these stay open
/// meanwhile.
#[cfg(any(feature = "exec", feature = "serde"))]
pub(crate) fn lend<T>(
    numbers: &[RawFd],
    act: impl FnOnce(&[BorrowedFd<'_>]) -> T,
) -> io::Result<T> {
    let lend = |number: &RawFd| {
        check_open(*number)?;
        // SAFETY: the number is open, and is not used when `act` is over.
        Ok(unsafe { BorrowedFd::borrow_raw(*number) })
    };
    let lent = numbers.iter().map(lend).collect::<io::Result<Vec<_>>>()?;
    Ok(act(&lent))
}

pub(super) fn check_open(number: RawFd) -> io::Result<()> {
    // SAFETY: F_GETFD reads a flag and touches no memory.
    check(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    Ok(())
}
