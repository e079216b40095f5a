//! Waiting with a deadline.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};

/// A point in time (monotonic) up to which something may wait, or never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// No limit.
    pub(crate) const NEVER: Self = Self(None);

    /// This long from now; a time that cannot be represented is no limit.
    pub(crate) fn after(duration: Duration) -> Self {
        Self(Instant::now().checked_add(duration))
    }

    pub(crate) fn at(instant: Option<Instant>) -> Self {
        Self(instant)
    }

    /// The earlier of this and `duration` from now.
    pub(crate) fn within(self, duration: Duration) -> Self {
        match (self.0, Instant::now().checked_add(duration)) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }

    /// What is left; `None` is no limit.
    pub(crate) fn remaining(self) -> Option<Duration> {
        self.0
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn passed(self) -> bool {
        self.0.is_some_and(|at| at <= Instant::now())
    }
}

/// What to wait for on one descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want<'fd> {
    /// Something to read, or its end.
    Read(BorrowedFd<'fd>),
    /// Room to write, or its end.
    Write(BorrowedFd<'fd>),
    /// Nothing: keeps the place.
    Nothing,
}

impl<'fd> Want<'fd> {
    /// To read from this one.
    pub(crate) fn read(fd: &'fd impl AsFd) -> Self {
        Self::Read(fd.as_fd())
    }
}

/// `ppoll(2)`: waits until one of them is ready or the deadline has passed, and
/// says which are ready. Interruptions by signals do not show. A deadline that
/// has passed still looks once.
pub(crate) fn poll<const N: usize>(
    wants: [Want<'_>; N],
    deadline: Deadline,
) -> io::Result<[bool; N]> {
    let mut places = [0; N];
    let mut fds = Vec::with_capacity(N);
    for (place, want) in places.iter_mut().zip(wants) {
        *place = fds.len();
        match want {
            Want::Read(fd) => fds.push(PollFd::new(fd, PollFlags::POLLIN)),
            Want::Write(fd) => fds.push(PollFd::new(fd, PollFlags::POLLOUT)),
            Want::Nothing => *place = usize::MAX,
        }
    }
    poll_slice(&mut fds, deadline)?;
    Ok(places.map(|place| fds.get(place).is_some_and(is_ready)))
}

/// [`poll`] for reading on any number of descriptors: the places of those that
/// are ready.
pub(crate) fn poll_many(read: &[BorrowedFd<'_>], deadline: Deadline) -> io::Result<Vec<usize>> {
    let mut fds: Vec<_> = read
        .iter()
        .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
        .collect();
    poll_slice(&mut fds, deadline)?;
    Ok((0..fds.len()).filter(|at| is_ready(&fds[*at])).collect())
}

fn is_ready(fd: &PollFd<'_>) -> bool {
    fd.revents().is_some_and(|events| !events.is_empty())
}

fn poll_slice(fds: &mut [PollFd<'_>], deadline: Deadline) -> io::Result<()> {
    loop {
        let timeout = deadline.remaining().map(TimeSpec::from_duration);
        match ppoll(fds, timeout, None) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
