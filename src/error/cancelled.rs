//! The errors of calls that their caller has given up.

use super::{Error, ErrorKind};

impl Error {
    /// Makes the error of a call that was taken back before it began.
    pub(crate) fn withdrawn() -> Self {
        let text = "the call was cancelled before it began";
        Self::new(ErrorKind::Cancelled, text).unstarted()
    }

    /// Makes this the error of a call whose caller has killed its worker.
    pub(crate) fn killed(mut self) -> Self {
        self.0.kind = ErrorKind::Cancelled;
        self.context("the call was killed")
    }

    /// Tells whether the caller has cancelled or killed the call.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.kind == ErrorKind::Cancelled
    }
}
