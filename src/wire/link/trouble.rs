//! Why nothing was sent or received, and what to do about it.

use std::{io, time::Duration};

use super::super::frame::Kind;
use crate::{
    error::{Error, ErrorKind},
    sys::poll::Deadline,
};

/// Why nothing was sent or received.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It would have to wait.
    Busy,
    /// The other end is closed. `unread`: with something from here still in its
    /// queue, which nobody has seen.
    Closed { unread: bool },
    /// This process had no room for the descriptors of a frame, which is lost.
    NoRoom { kind: Kind, number: u64 },
    /// What arrived is not a frame of ours.
    Foreign(&'static str),
    /// A system call failed; which.
    Os(&'static str, io::Error),
}

impl Trouble {
    /// `Trouble` at a place in the user's program.
    pub(crate) fn into_error(self, tried: &str) -> Error {
        match self {
            Self::Busy => Error::timeout(format!("{tried}: the other side does not read")),
            Self::Closed { .. } => Error::new(
                ErrorKind::Disconnected,
                format!("{tried}: the other end is closed"),
            ),
            Self::NoRoom { .. } => Error::os(
                format!(
                    "{tried}: no room for the descriptors that arrived, raise the limit \
                     (RLIMIT_NOFILE) or close some"
                ),
                io::Error::from_raw_os_error(libc::EMFILE),
            ),
            Self::Foreign(what) => Error::new(
                ErrorKind::Protocol,
                format!("{tried}: what arrived is not a frame of this library: {what}"),
            ),
            Self::Os(call, error) => Error::os(format!("{tried}: {call} failed"), error),
        }
    }
}

/// What to do about a user that has as many descriptors in messages which nobody
/// has received as the kernel allows (RLIMIT_NOFILE).
#[derive(Default)]
pub(super) struct Crowd(Option<Deadline>);

impl Crowd {
    /// New processes receive theirs in a moment. When they have, nothing tells.
    const PATIENCE: Duration = Duration::from_millis(100);

    /// If that is the trouble, waits a moment; whether to try again.
    pub(super) fn waits(&mut self, trouble: &Trouble) -> bool {
        let Trouble::Os(_, error) = trouble else {
            return false;
        };
        let until = self.0.get_or_insert(Deadline::after(Self::PATIENCE));
        if error.raw_os_error() != Some(libc::ETOOMANYREFS) || until.passed() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
        true
    }
}
