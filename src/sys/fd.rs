//! Descriptors: our own, and closing everything else.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
    sync::atomic::{AtomicI32, AtomicU64, Ordering},
};

use nix::{
    fcntl::{FcntlArg, fcntl},
    sys::resource::{RLIM_INFINITY, Resource, getrlimit},
};

use super::{check, epoch};

/// Which descriptor numbers below 65,536 this library holds in this process.
///
/// `Process::fork_current` copies the program with all its descriptors and must
/// close those that are ours, while copies of our handles still name them. So
/// this table, not the handle, decides who closes: whoever takes the bit out.
/// Lock-free, because a fork may copy it at any moment.
static OURS: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

/// A descriptor of this library's own in the user's program.
#[derive(Debug)]
pub(crate) struct Ours(Option<OwnedFd>);

impl Ours {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        if let Some((word, bit)) = place(fd.as_raw_fd()) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Self(Some(fd))
    }
}

impl From<OwnedFd> for Ours {
    fn from(fd: OwnedFd) -> Self {
        Self::new(fd)
    }
}

impl AsFd for Ours {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Some(fd) => fd.as_fd(),
            // Only `drop` takes it.
            None => unreachable!("a descriptor is used after it was dropped"),
        }
    }
}

impl Ours {
    /// What drop does, earlier. It must not be used any more.
    pub(crate) fn close(&mut self) {
        let Some(fd) = self.0.take() else { return };
        let Some((word, bit)) = place(fd.as_raw_fd()) else {
            return;
        };
        if word.fetch_and(!bit, Ordering::Relaxed) & bit == 0 {
            // Closed by `close_ours`: the number may be somebody else's now.
            let _ = fd.into_raw_fd();
        }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.close();
    }
}

fn place(fd: RawFd) -> Option<(&'static AtomicU64, u64)> {
    let fd = usize::try_from(fd).ok()?;
    Some((OURS.get(fd / 64)?, 1 << (fd % 64)))
}

/// Whether this library holds the descriptor of this number.
pub(crate) fn is_ours(fd: RawFd) -> bool {
    place(fd).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
}

/// In a fork that does not have this descriptor: whoever held it closes nothing.
pub(crate) fn disown(fd: RawFd) {
    if let Some((word, bit)) = place(fd) {
        word.fetch_and(!bit, Ordering::Relaxed);
    }
}

/// Closes every descriptor that this library holds.
pub(crate) fn close_ours() {
    for (index, word) in OURS.iter().enumerate() {
        let mut bits = word.load(Ordering::Relaxed);
        while bits != 0 {
            let bit = bits.trailing_zeros();
            bits &= bits - 1;
            let number = index * 64 + bit as usize;
            let Ok(fd) = RawFd::try_from(number) else {
                continue;
            };
            if word.fetch_and(!(1 << bit), Ordering::Relaxed) & (1 << bit) != 0 {
                // SAFETY: the bit said that an `Ours` holds this number, and
                // taking the bit out keeps that `Ours` from closing it again.
                drop(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
}

/// The socket of this process, for code that is called from anywhere: a panic
/// hook, a signal handler. 0 is none.
static MAIN_SOCKET: AtomicI32 = AtomicI32::new(0);

/// Makes this the process's socket, for as long as the process lives. A copy that
/// code of the user's forks has none.
pub(crate) fn set_main_socket(socket: BorrowedFd<'_>) {
    epoch::claim();
    MAIN_SOCKET.store(socket.as_raw_fd(), Ordering::Relaxed);
}

/// The process's socket; `None` in the program, and in a copy that code of the
/// user's has forked.
pub(crate) fn main_socket() -> Option<BorrowedFd<'static>> {
    if epoch::is_copy() {
        return None;
    }
    let fd = MAIN_SOCKET.load(Ordering::Relaxed);
    // SAFETY: a process keeps its socket open until its end; before it moves
    // it, it says so.
    (fd > 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

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
            close_from_to(first, fd - 1);
        }
        first = first.max(fd + 1);
    }
    close_from_to(first, libc::c_uint::MAX);
}

/// `close_range(first, last, 0)`, by hand where the kernel has none (before
/// 5.9) or a filter denies it.
fn close_from_to(first: libc::c_uint, last: libc::c_uint) {
    // SAFETY: close_range reads no memory; `close_others`' caller answers for
    // the descriptors.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == 0 {
        return;
    }
    let end = match std::fs::read_dir("/proc/self/fd") {
        // One more than the highest open number.
        Ok(open) => open
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .max()
            .map_or(first, |highest: libc::c_uint| highest.saturating_add(1)),
        Err(_) => libc::c_uint::try_from(limit_of(Resource::RLIMIT_NOFILE)).unwrap_or(1 << 20),
    };
    for fd in first..end.min(last.saturating_add(1)) {
        // SAFETY: as above, the caller answers for the descriptors.
        unsafe { libc::close(fd.cast_signed()) };
    }
}

/// The soft limit of a resource.
pub(super) fn limit_of(resource: Resource) -> u64 {
    // Fails for a resource that there is not.
    getrlimit(resource).map_or(RLIM_INFINITY, |(soft, _)| soft)
}

/// Gives a descriptor a higher number, where the limit allows it.
pub(crate) fn move_up(fd: &mut OwnedFd) {
    const FROM: RawFd = 16;
    if let Ok(Some(higher)) = not_below(fd, FROM) {
        *fd = higher;
    }
}

/// A descriptor that is none of 0, 1 and 2.
pub(crate) fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    Ok(not_below(&fd, 3)?.unwrap_or(fd))
}

/// A copy with this number or a higher one; `None` where it has one.
fn not_below(fd: &OwnedFd, from: RawFd) -> io::Result<Option<OwnedFd>> {
    if fd.as_raw_fd() >= from {
        return Ok(None);
    }
    let number = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(from))?;
    // SAFETY: fcntl made this number for this call.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(number) }))
}

/// The numbers above 2 that are open, from /proc or by asking for each.
pub(crate) fn open_numbers() -> Vec<RawFd> {
    let is_open = |fd: &RawFd| {
        // SAFETY: F_GETFD reads a flag and touches no memory.
        unsafe { libc::fcntl(*fd, libc::F_GETFD) >= 0 }
    };
    match std::fs::read_dir("/proc/self/fd") {
        Ok(open) => open
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect::<Vec<RawFd>>()
            .into_iter()
            // The directory itself was open only while it was read.
            .filter(|fd| *fd > 2 && is_open(fd))
            .collect(),
        Err(_) => (3..4096).filter(is_open).collect(),
    }
}

/// Opens `/dev/null` on each of 0, 1 and 2 that is closed, as the Rust runtime
/// does before `main`. Where it cannot be opened, a pipe's end stands there.
pub(crate) fn fill_standard() {
    for fd in 0..3 {
        // SAFETY: F_GETFD reads a flag and touches no memory.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0 {
            continue;
        }
        // The lowest free number is `fd`: those below are open by now.
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

/// Makes `number` a copy of a descriptor, which another program that is executed
/// inherits.
pub(crate) fn put(number: RawFd, fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: dup2 touches no memory. What stood at this number, 0 to 2, is
    // owned by nobody.
    check(unsafe { libc::dup2(fd.as_raw_fd(), number) })?;
    Ok(())
}

/// Makes `number` `/dev/null`.
pub(crate) fn put_null(number: RawFd) -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    put(number, &null.into())
}

/// Lends a descriptor of a number that a caller vouches for by contract of a
/// trait that speaks in numbers.
pub(crate) fn lend<'fd>(fd: RawFd) -> io::Result<BorrowedFd<'fd>> {
    // SAFETY: F_GETFD reads a flag and touches no memory.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    // SAFETY: the number is open, as the line above has seen; it is used for
    // one call of sendmsg before the caller gets control back.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}
