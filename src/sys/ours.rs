//! The library's own descriptors in the user's process.
//!
//! A program may close every descriptor it has, as daemons do, and the library's among
//! them. The number is then free for a file of the program. So the library remembers
//! what each of its descriptors is, and looks at it before it writes to it or closes
//! it.

use std::{
    alloc::{self, Layout},
    mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
    ptr,
    sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering},
};

use super::{epoch, single::Single};

/// What is at each descriptor number below 65,536, if it is ours.
///
/// `Process::fork_current` copies the program with all its descriptors and must close
/// those that are ours, while copies of our handles still name them. So this table, not
/// the handle, decides who closes: the one that takes the entry out. It has no lock,
/// because a fork may copy it at any moment.
///
/// It is made when it is first needed and never freed: a process without such
/// descriptors, as most workers are, has no page of it.
static OURS: AtomicPtr<[AtomicU64; LISTED]> = AtomicPtr::new(ptr::null_mut());

/// How many numbers are listed.
const LISTED: usize = 1 << 16;

/// A descriptor in the user's program that belongs to this library.
#[derive(Debug)]
pub(crate) struct Ours {
    fd: Option<OwnedFd>,
    is: u64,
}

impl Ours {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        let is = identity(fd.as_raw_fd());
        let at = usize::try_from(fd.as_raw_fd());
        if let (Some(table), Ok(at)) = (table().or_else(make_table), at)
            && let Some(entry) = table.get(at)
        {
            entry.store(is, Ordering::Relaxed);
        }
        Self { fd: Some(fd), is }
    }

    /// Gives the descriptor, unless the program has closed it behind our back.
    pub(crate) fn still(&self) -> Option<BorrowedFd<'_>> {
        let fd = self.fd.as_ref()?.as_fd();
        (identity(fd.as_raw_fd()) == self.is).then_some(fd)
    }

    /// Takes the descriptor out. What is left must not be used any more.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            fd: self.fd.take(),
            is: self.is,
        }
    }

    /// Does what drop does, but earlier. The descriptor must not be used any more.
    pub(crate) fn close(&mut self) {
        let is_open = self.still().is_some();
        let Some(fd) = self.fd.take() else { return };
        let is_listed = entry(fd.as_raw_fd()).is_none_or(|entry| take_out(entry, self.is));
        if !is_open || !is_listed {
            // The program or `close_ours` has closed it: the number may belong to
            // something else now.
            let _ = fd.into_raw_fd();
        }
    }
}

impl From<OwnedFd> for Ours {
    fn from(fd: OwnedFd) -> Self {
        Self::new(fd)
    }
}

impl AsFd for Ours {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.fd {
            Some(fd) => fd.as_fd(),
            // Only `drop` takes it.
            None => unreachable!("a descriptor is used after it was dropped"),
        }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.close();
    }
}

/// Tells whether this library holds the descriptor of this number.
pub(crate) fn is_ours(fd: RawFd) -> bool {
    let is = entry(fd).map_or(0, |entry| entry.load(Ordering::Relaxed));
    is != 0 && identity(fd) == is
}

fn entry(fd: RawFd) -> Option<&'static AtomicU64> {
    table()?.get(usize::try_from(fd).ok()?)
}

fn table() -> Option<&'static [AtomicU64; LISTED]> {
    // SAFETY: it is null, or what `make_table` has made, which is never freed.
    unsafe { OURS.load(Ordering::Acquire).as_ref() }
}

/// Makes the table; `None` if there is no memory for it, and then nothing is listed.
fn make_table() -> Option<&'static [AtomicU64; LISTED]> {
    let layout = Layout::new::<[AtomicU64; LISTED]>();
    // SAFETY: the layout has a size.
    let new = unsafe { alloc::alloc_zeroed(layout) }.cast::<[AtomicU64; LISTED]>();
    let null = ptr::null_mut();
    let made = OURS.compare_exchange(null, new, Ordering::AcqRel, Ordering::Acquire);
    if made.is_err() && !new.is_null() {
        // Another thread was first.
        // SAFETY: it was made just above, of this layout, and nobody has it.
        unsafe { alloc::dealloc(new.cast(), layout) };
    }
    table()
}

/// Tells whether this is what was listed there, and takes it off the list.
fn take_out(entry: &AtomicU64, is: u64) -> bool {
    entry
        .compare_exchange(is, 0, Ordering::Relaxed, Ordering::Relaxed)
        .is_ok()
}

/// Closes every descriptor that this library holds. No other thread has borrowed one.
pub(crate) fn close_ours(_: &Single) {
    for (fd, entry) in (0..).zip(table().into_iter().flatten()) {
        let is = entry.load(Ordering::Relaxed);
        if is_ours(fd) && take_out(entry, is) {
            // SAFETY: an `Ours` holds this number, and without its entry that
            // `Ours` does not close it again.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
}

/// Tells what the descriptor is, as a number that no other open one has, made from
/// inode and device. (Before Linux 6.9 all pidfds have the same inode.) It is never 0,
/// and the same for all that are not open.
fn identity(fd: RawFd) -> u64 {
    // SAFETY: an all-zero status is one.
    let mut status: libc::stat = unsafe { mem::zeroed() };
    // This is the system call itself: glibc's function asks for an empty path, which
    // costs more and which a filter may refuse.
    // SAFETY: the pointer is to a status, which is what the call writes.
    let result = unsafe { libc::syscall(libc::SYS_fstat, fd, &raw mut status) };
    if result != 0 {
        return u64::MAX;
    }
    (status.st_ino ^ status.st_dev.rotate_right(16)).max(1)
}

/// The socket of this process, for code that is called from anywhere: a panic
/// hook, a signal handler. 0 is none.
static MAIN_SOCKET: AtomicI32 = AtomicI32::new(0);

/// What that socket is, see `identity`.
static MAIN_IS: AtomicU64 = AtomicU64::new(0);

/// Makes this the process's socket, for as long as the process lives. A copy that user
/// code forks has none.
pub(crate) fn set_main_socket(socket: BorrowedFd<'_>) {
    epoch::claim();
    MAIN_SOCKET.store(socket.as_raw_fd(), Ordering::Relaxed);
    MAIN_IS.store(identity(socket.as_raw_fd()), Ordering::Relaxed);
}

/// Lends the process's socket to `act`, and no longer; `None` in the program, in a copy
/// that user code has forked, and when such code has closed it.
pub(crate) fn with_main_socket<T>(act: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
    let fd = MAIN_SOCKET.load(Ordering::Relaxed);
    if epoch::is_copy() || fd <= 0 || identity(fd) != MAIN_IS.load(Ordering::Relaxed) {
        return None;
    }
    // SAFETY: it is open, and is not used when `act` is over.
    Some(act(unsafe { BorrowedFd::borrow_raw(fd) }))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, os::unix::net::UnixStream};

    use super::*;

    /// Closes the descriptor behind its owner's back, and gives its number to
    /// another.
    fn steal(ours: &Ours, other: impl AsFd) {
        let number = ours.as_fd().as_raw_fd();
        // SAFETY: dup3 touches no memory; the number is the test's own.
        let got = unsafe { libc::dup3(other.as_fd().as_raw_fd(), number, libc::O_CLOEXEC) };
        assert_eq!(got, number);
    }

    fn close(number: RawFd) {
        // SAFETY: closes what `steal` has put there.
        assert_eq!(unsafe { libc::close(number) }, 0);
    }

    #[test]
    fn what_has_another_number_is_still_ours() {
        let (near, _far) = UnixStream::pair().unwrap();
        let ours = Ours::new(near.into());
        assert!(ours.still().is_some());
    }

    #[test]
    fn what_the_program_has_put_in_its_place_is_not_closed() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let (users, mut other) = UnixStream::pair().unwrap();
        let ours = Ours::new(near.into());
        let number = ours.as_fd().as_raw_fd();
        steal(&ours, &users);
        drop(users);
        assert_eq!(far.read(&mut [0; 9]).unwrap(), 0, "ours is closed");
        assert!(ours.still().is_none());
        drop(ours);
        other.set_nonblocking(true).unwrap();
        let error = other.read(&mut [0; 9]).unwrap_err();
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::WouldBlock,
            "theirs is not"
        );
        close(number);
    }

    #[test]
    fn two_of_ours_after_each_other_at_one_number_are_told_apart() {
        let (near, _far) = UnixStream::pair().unwrap();
        let (next, mut next_far) = UnixStream::pair().unwrap();
        let first = Ours::new(near.into());
        steal(&first, &next);
        drop(next);
        // SAFETY: the number is what `steal` has made, and nobody owns it.
        let second = unsafe { OwnedFd::from_raw_fd(first.as_fd().as_raw_fd()) };
        let second = Ours::new(second);
        drop(first);
        assert!(second.still().is_some(), "the first has closed the second");
        drop(second);
        assert_eq!(next_far.read(&mut [0; 9]).unwrap(), 0);
    }

    #[test]
    fn what_is_no_longer_open_is_not_ours() {
        let ours = Ours::new(File::open("/dev/null").unwrap().into());
        let number = ours.as_fd().as_raw_fd();
        steal(&ours, File::open("/proc/self/stat").unwrap());
        close(number);
        assert!(ours.still().is_none());
    }
}
