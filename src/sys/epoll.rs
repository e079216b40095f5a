//! Waiting for any number of descriptors at once, and for a bell that other threads
//! ring.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    time::Duration,
};

use super::{check, fail, fd::above_standard, ours::Ours, poll::Deadline};

/// How many events one wait gives.
const MOST: u8 = 64;

/// The token of the bell.
const BELL: u64 = u64::MAX;

/// Descriptors that are watched for reading, each with a token. Any thread may ring.
#[derive(Debug)]
pub(crate) struct Epoll {
    epoll: Ours,
    bell: Ours,
}

impl Epoll {
    /// Calls `epoll_create1(2)` and `eventfd(2)`.
    pub(crate) fn new() -> io::Result<Self> {
        fail::check("epoll_create1")?;
        // SAFETY: it takes a number and touches no memory.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        fail::check("eventfd")?;
        // SAFETY: as above.
        let bell = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        let new = Self {
            epoll: Ours::new(epoll),
            bell: Ours::new(bell),
        };
        // Each ring is an event of its own, so nobody has to read what was rung.
        new.watch(new.bell.as_fd(), BELL, libc::EPOLLIN | libc::EPOLLET)?;
        Ok(new)
    }

    /// Watches a descriptor. It must be removed before it is closed. The token is below
    /// `u64::MAX`.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        fail::check("epoll_ctl")?;
        self.watch(fd, token, libc::EPOLLIN)
    }

    fn watch(&self, fd: BorrowedFd<'_>, token: u64, events: libc::c_int) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: events.cast_unsigned(),
            u64: token,
        };
        let (epoll, add) = (self.open()?.as_raw_fd(), libc::EPOLL_CTL_ADD);
        // SAFETY: the pointer is to a live event, which the kernel copies.
        check(unsafe { libc::epoll_ctl(epoll, add, fd.as_raw_fd(), &raw mut event) })?;
        Ok(())
    }

    /// Watches it no more. There is nothing to do about an error: then it was not
    /// watched.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        let Ok(epoll) = self.open() else { return };
        let (epoll, remove) = (epoll.as_raw_fd(), libc::EPOLL_CTL_DEL);
        // SAFETY: removing takes no event, so the pointer may be null.
        unsafe { libc::epoll_ctl(epoll, remove, fd.as_raw_fd(), std::ptr::null_mut()) };
    }

    /// Ends the wait that goes on, or the next one. Gives false if the program has closed
    /// the bell: then nobody hears it.
    pub(crate) fn ring(&self) -> bool {
        let Some(bell) = self.bell.still() else {
            return false;
        };
        // What makes it fail is that it was rung 2⁶⁴ times.
        nix::unistd::write(bell, &1_u64.to_ne_bytes()).is_ok()
    }

    /// Waits until something is ready or the deadline has passed, and gives the tokens of
    /// what is ready. The bell has none. The time is rounded up to a millisecond.
    ///
    /// # Errors
    ///
    /// The program has closed the descriptors of this.
    pub(crate) fn wait(&self, deadline: Deadline, ready: &mut Vec<u64>) -> io::Result<()> {
        ready.clear();
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MOST as usize];
        let (epoll, most) = (self.open()?.as_raw_fd(), MOST.into());
        let time = deadline.remaining().map_or(-1, millis);
        // SAFETY: the pointer is to so many live events.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), most, time) };
        let count = match check(count) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            count => usize::try_from(count?).unwrap_or(0),
        };
        let tokens = events[..count].iter().map(|event| event.u64);
        ready.extend(tokens.filter(|token| *token != BELL));
        Ok(())
    }

    fn open(&self) -> io::Result<BorrowedFd<'_>> {
        let closed = || io::Error::from_raw_os_error(libc::EBADF);
        self.epoll.still().ok_or_else(closed)
    }
}

fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    let fd = check(fd)?;
    // SAFETY: the kernel made this descriptor for the call just before.
    above_standard(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn millis(time: Duration) -> libc::c_int {
    let millis = time.as_nanos().div_ceil(1_000_000);
    libc::c_int::try_from(millis).unwrap_or(libc::c_int::MAX)
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::net::UnixStream, thread, time::Instant};

    use super::*;

    #[test]
    fn what_is_ready_is_told_by_its_token_and_no_more_when_it_is_removed() {
        let epoll = Epoll::new().unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut ready = vec![9];
        epoll.add(near.as_fd(), 7).unwrap();
        epoll.wait(Deadline::NOW, &mut ready).unwrap();
        assert!(ready.is_empty());
        far.write_all(b"x").unwrap();
        for _ in 0..2 {
            epoll.wait(Deadline::NEVER, &mut ready).unwrap();
            assert_eq!(ready, [7], "until it is read");
        }
        epoll.remove(near.as_fd());
        epoll.wait(Deadline::NOW, &mut ready).unwrap();
        assert!(ready.is_empty());
    }

    #[test]
    fn the_bell_ends_one_wait_however_often_it_was_rung() {
        let epoll = Epoll::new().unwrap();
        let mut ready = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| assert!(epoll.ring()));
            epoll.wait(Deadline::NEVER, &mut ready).unwrap();
        });
        assert!((0..3).all(|_| epoll.ring()));
        epoll.wait(Deadline::NEVER, &mut ready).unwrap();
        assert!(ready.is_empty());
        let (begun, soon) = (Instant::now(), Duration::from_micros(5_500));
        epoll.wait(Deadline::after(soon), &mut ready).unwrap();
        assert!(begun.elapsed() >= soon, "no bell, and not too early");
    }

    #[test]
    fn times_are_rounded_up() {
        for (micros, expected) in [(0, 0), (1, 1), (1_000, 1), (1_001, 2)] {
            assert_eq!(millis(Duration::from_micros(micros)), expected);
        }
        assert_eq!(millis(Duration::MAX), libc::c_int::MAX);
    }
}
