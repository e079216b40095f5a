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
    /// The other end is closed. `unread` says whether something from here was still in
    /// its queue, which nobody has seen.
    Closed { unread: bool },
    /// This process had no room for the descriptors of a frame, which is lost.
    NoRoom { kind: Kind, number: u64 },
    /// A frame arrived whose body cannot be taken in; it is lost, too.
    Lost { number: u64, error: Error },
    /// What arrived is not a frame of this library.
    Foreign(&'static str),
    /// A system call failed; the text names it.
    Os(&'static str, io::Error),
}

impl Trouble {
    /// Makes the error that the user sees; `tried` says what failed.
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
            Self::Lost { error, .. } => error.context(tried),
            Self::Foreign(what) => Error::new(
                ErrorKind::Protocol,
                format!("{tried}: what arrived is not a frame of this library: {what}"),
            ),
            Self::Os(call, error) => Error::os(format!("{tried}: {call} failed"), error),
        }
    }
}

/// What to do about a user with so many descriptors in messages that nobody has
/// received yet that the kernel allows no more (RLIMIT_NOFILE).
#[derive(Default)]
pub(super) struct Crowd(Option<Deadline>);

impl Crowd {
    /// New processes receive their descriptors in a moment. Nothing tells when they
    /// have.
    const PATIENCE: Duration = Duration::from_millis(100);

    /// If that is the trouble, waits a moment. Tells whether to try again.
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
