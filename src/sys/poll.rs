//! Waiting with a deadline.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    ptr,
    time::{Duration, Instant},
};

use nix::sys::time::TimeSpec;

use super::check;

/// A point in time (monotonic) up to which something may wait, or never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Point);

/// The points in order, the earlier one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    Now,
    At(Instant),
    Never,
}

impl Deadline {
    /// A deadline that has passed: a wait looks once, without waiting.
    pub(crate) const NOW: Self = Self(Point::Now);

    /// No limit.
    pub(crate) const NEVER: Self = Self(Point::Never);

    /// Gives the deadline this long from now; a time that cannot be represented is no
    /// limit.
    pub(crate) fn after(duration: Duration) -> Self {
        Self::at(Instant::now().checked_add(duration))
    }

    /// Makes this time a deadline.
    #[cfg(feature = "pool")]
    pub(crate) fn until(instant: Instant) -> Self {
        Self(Point::At(instant))
    }

    fn at(instant: Option<Instant>) -> Self {
        Self(instant.map_or(Point::Never, Point::At))
    }

    /// Gives the earlier of this and `duration` from now.
    pub(crate) fn within(self, duration: Duration) -> Self {
        self.or(Self::after(duration))
    }

    /// Gives the earlier of two.
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// Tells how much time is left; `None` is no limit.
    pub(crate) fn remaining(self) -> Option<Duration> {
        match self.0 {
            Point::Now => Some(Duration::ZERO),
            Point::At(at) => Some(at.saturating_duration_since(Instant::now())),
            Point::Never => None,
        }
    }

    pub(crate) fn passed(self) -> bool {
        match self.0 {
            Point::Now => true,
            Point::At(at) => at <= Instant::now(),
            Point::Never => false,
        }
    }
}

/// What to wait for on one descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want<'fd> {
    /// Something to read, or its end.
    Read(BorrowedFd<'fd>),
    /// Room to write, or its end.
    Write(BorrowedFd<'fd>),
    /// Only its end: the other side is gone.
    End(BorrowedFd<'fd>),
    /// Nothing: keeps the place.
    Nothing,
}

impl<'fd> Want<'fd> {
    /// Waits for something to read from this one.
    pub(crate) fn read(fd: &'fd impl AsFd) -> Self {
        Self::Read(fd.as_fd())
    }

    /// Makes the entry as the kernel takes it; the kernel looks at no number below
    /// zero.
    fn entry(self) -> libc::pollfd {
        let (fd, events) = match self {
            Self::Read(fd) => (fd.as_raw_fd(), libc::POLLIN),
            Self::Write(fd) => (fd.as_raw_fd(), libc::POLLOUT),
            // The kernel tells the end unasked.
            Self::End(fd) => (fd.as_raw_fd(), 0),
            Self::Nothing => (-1, 0),
        };
        libc::pollfd {
            fd,
            events,
            revents: 0,
        }
    }
}

/// Calls `ppoll(2)`: waits until one of them is ready or the deadline has passed, and
/// says which are ready. Interruptions by signals do not show. A deadline that has
/// passed still looks once.
pub(crate) fn poll<const N: usize>(
    wants: [Want<'_>; N],
    deadline: Deadline,
) -> io::Result<[bool; N]> {
    let mut fds = wants.map(Want::entry);
    wait(&mut fds, deadline)?;
    Ok(fds.map(|fd| fd.revents != 0))
}

/// Does what [`poll`] does, for reading on any number of descriptors, and gives the
/// places of those that are ready.
pub(crate) fn poll_many(read: &[BorrowedFd<'_>], deadline: Deadline) -> io::Result<Vec<usize>> {
    let mut fds: Vec<_> = read.iter().map(|fd| Want::Read(*fd).entry()).collect();
    wait(&mut fds, deadline)?;
    Ok((0..fds.len()).filter(|at| fds[*at].revents != 0).collect())
}

fn wait(fds: &mut [libc::pollfd], deadline: Deadline) -> io::Result<()> {
    super::fail::check("ppoll")?;
    loop {
        let left = deadline.remaining().map(TimeSpec::from_duration);
        let left = left
            .as_ref()
            .map_or(ptr::null(), |left| ptr::from_ref(left.as_ref()));
        let count = fds.len() as libc::nfds_t;
        // SAFETY: `fds` is that long, the time is null or a live value, and a
        // null mask changes none.
        let result = unsafe { libc::ppoll(fds.as_mut_ptr(), count, left, ptr::null()) };
        match check(result).map_err(|error| (error.raw_os_error(), error)) {
            Ok(_) => return Ok(()),
            Err((Some(libc::EINTR), _)) => {}
            // The kernel takes no more entries than RLIMIT_NOFILE says, which may be
            // lower than the number that is open.
            Err((Some(libc::EINVAL), _)) => return select(fds, deadline),
            Err((_, error)) => return Err(error),
        }
    }
}

/// Calls `pselect(2)`, which looks at what is open, whatever the limit says. It is the
/// system call itself, because the C library's sets end at 1,024.
fn select(fds: &mut [libc::pollfd], deadline: Deadline) -> io::Result<()> {
    const BITS: usize = u64::BITS as usize;
    /// Gives the word and the bit of a descriptor; `None` for a place that is only
    /// kept, and for a descriptor whose end is asked for, which this call cannot tell.
    fn place(fd: &libc::pollfd) -> Option<(usize, u64)> {
        if fd.events == 0 {
            return None;
        }
        let number = usize::try_from(fd.fd).ok()?;
        Some((number / BITS, 1 << (number % BITS)))
    }
    let words = fds.iter().filter_map(place).map(|(word, _)| word + 1).max();
    let words = words.unwrap_or(0);
    loop {
        let (mut read, mut write) = (vec![0_u64; words], vec![0_u64; words]);
        for fd in &*fds {
            let Some((word, bit)) = place(fd) else {
                continue;
            };
            match fd.events {
                libc::POLLOUT => write[word] |= bit,
                _ => read[word] |= bit,
            }
        }
        // The kernel writes what is left of the time.
        let mut left = deadline
            .remaining()
            .map(|left| *TimeSpec::from_duration(left).as_ref());
        let left = left.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        // SAFETY: both sets have a bit for each of the numbers below the count;
        // the time is null or a live value; the other pointers are null.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pselect6,
                words * BITS,
                read.as_mut_ptr(),
                write.as_mut_ptr(),
                ptr::null_mut::<u64>(),
                left,
                ptr::null::<u8>(),
            )
        };
        match check(result) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        for fd in fds {
            let ready = place(fd).is_some_and(|(word, bit)| (read[word] | write[word]) & bit != 0);
            fd.revents = if ready { fd.events } else { 0 };
        }
        return Ok(());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn the_earlier_of_two_deadlines_counts() {
        let later = Deadline::after(Duration::from_secs(9));
        for (a, b) in [(Deadline::NOW, later), (later, Deadline::NOW)] {
            assert!(a.or(b).passed());
        }
        assert!(later.or(Deadline::NEVER).remaining().is_some());
        assert!(!later.passed() && !Deadline::NEVER.passed());
        assert_eq!(Deadline::NOW.remaining(), Some(Duration::ZERO));
        assert_eq!(Deadline::NEVER.remaining(), None);
    }

    #[test]
    fn select_says_what_poll_says() {
        let soon = || Deadline::after(Duration::from_millis(5));
        let (mut reader, mut writer) = io::pipe().unwrap();
        let look = |reader: &io::PipeReader, writer: &io::PipeWriter| {
            let wants = [
                Want::read(reader),
                Want::Nothing,
                Want::Write(writer.as_fd()),
            ];
            let mut fds = wants.map(Want::entry);
            select(&mut fds, soon()).unwrap();
            let selected = fds.map(|fd| fd.revents != 0);
            assert_eq!(poll(wants, soon()).unwrap(), selected);
            selected
        };
        assert_eq!(look(&reader, &writer), [false, false, true]);
        writer.write_all(&[0; 65536]).unwrap();
        assert_eq!(look(&reader, &writer), [true, false, false]);
        reader.read_exact(&mut [0; 65536]).unwrap();
        let (_, other) = io::pipe().unwrap();
        drop(writer);
        assert_eq!(look(&reader, &other), [true, false, true], "the ends");
        select(&mut [], soon()).unwrap();
    }
}
