//! The errors of calls that were given up, or were not taken.

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

    /// Tells whether the queue of a pool had no room for the call.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.kind == ErrorKind::Full
    }

    /// Tells whether the pool was shut down before the call had an outcome.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.kind == ErrorKind::Closed
    }
}

#[cfg(feature = "pool")]
impl Error {
    /// Makes the error of a call for which a queue had no room.
    pub(crate) fn full(waiting: usize) -> Self {
        let text = format!(
            "the queue of the pool is full, {waiting} calls wait: try again later, wait with \
             `ready`, or make the queue longer"
        );
        Self::new(ErrorKind::Full, text).unstarted()
    }

    /// Makes the error of a call to a pool that was shut down.
    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the pool was shut down").unstarted()
    }

    /// Makes the error of a call that a worker had when its pool was shut down.
    pub(crate) fn closed_while_running() -> Self {
        let text = "the pool was shut down while the call ran, and its worker was killed";
        Self::new(ErrorKind::Closed, text)
    }

    /// Makes this the error of a call that has begun before, in a worker that ended.
    pub(crate) fn begun_before(mut self) -> Self {
        self.0.unstarted = false;
        self.context("the call had begun in a worker that ended, and was to run again")
    }

    /// Makes the error of a call whose worker its caller has killed.
    pub(crate) fn call_killed(pid: u32) -> Self {
        let text = "the call was killed, and its worker with it";
        Self::new(ErrorKind::Cancelled, text).with_pid(pid)
    }
}
