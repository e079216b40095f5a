//! Waiting for a worker's result.

use std::{sync::Arc, time::Duration};

use super::Worker;
use crate::{
    client::{
        ending,
        line::{Answer, Closed, Waited},
    },
    error::{Error, ErrorKind, Result},
    parcel::Decoder,
    sys::{allocator, poll::Deadline},
};

/// What is said of an abort by a program that cannot know why it happened.
const ABORTED: &str =
    " (an abort; with `zygote::Allocator` the error says whether memory could not be had)";

impl<R> Worker<R> {
    /// Waits for the result.
    ///
    /// Returns as soon as the result is there; the process may need a moment
    /// more to end. Without a result it returns when the worker has ended.
    ///
    /// # Errors
    ///
    /// The entry panicked; the worker exited or was killed before it gave a
    /// result; the arguments or the result could not be decoded; the template
    /// died, and the worker with it.
    pub fn join(mut self) -> Result<R> {
        self.close_stdin();
        match self.outcome(Deadline::NEVER)? {
            Some(result) => Ok(result),
            None => unreachable!("a wait without a deadline ends with an outcome"),
        }
    }

    /// Waits as [`join`](Self::join) does, but only this long; gives `None` if there is
    /// no outcome by then. You may call it again. However short the wait is, it closes
    /// a piped stdin that was not taken.
    ///
    /// # Errors
    ///
    /// Fails as `join` does, and in every call after the outcome was given out.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// #[zygote::entry]
    /// fn nap() -> u8 {
    ///     std::thread::sleep(Duration::from_millis(100));
    ///     7
    /// }
    ///
    /// let mut worker = nap::spawn()?;
    /// assert_eq!(worker.join_timeout(Duration::ZERO)?, None);
    /// assert_eq!(worker.join_timeout(Duration::from_secs(60))?, Some(7));
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn join_timeout(&mut self, timeout: Duration) -> Result<Option<R>> {
        self.close_stdin();
        self.outcome(Deadline::after(timeout))
    }

    pub(crate) fn outcome(&mut self, deadline: Deadline) -> Result<Option<R>> {
        if self.joined {
            return Err(Error::invalid("the worker's outcome was given out already"));
        }
        ending::look();
        let result = self
            .try_outcome(deadline)
            .map_err(|error| error.with_entry(self.entry).with_pid(self.id()));
        self.joined = !matches!(result, Ok(None));
        result
    }

    /// Closes the socket, because nothing more comes.
    fn hang_up(&mut self) {
        if let Some(peer) = Arc::get_mut(&mut self.peer) {
            peer.line.socket.close();
        }
    }

    fn try_outcome(&mut self, deadline: Deadline) -> Result<Option<R>> {
        self.peer.check_epoch()?;
        match self.peer.answer(deadline, self.pidfd())? {
            Waited::Got(answer) => {
                self.hang_up();
                self.decode(answer).map(Some)
            }
            Waited::TimedOut => Ok(None),
            Waited::Watched => self.ended(Closed { unread: false }, deadline),
            Waited::Closed(closed) => self.ended(closed, deadline),
        }
    }

    fn decode(&self, answer: Answer) -> Result<R> {
        match answer {
            Answer::Value { body, fds } => (self.decode)(&mut Decoder::new(body, fds)),
            Answer::Failed(failure) => Err(failure),
            Answer::Done => Err(Error::new(
                ErrorKind::Protocol,
                "an entry answered as a preload does",
            )),
        }
    }

    /// Says how the worker ended: there is no result, and there will be none.
    fn ended(&self, closed: Closed, deadline: Deadline) -> Result<Option<R>> {
        let Some(exit) = self.exit(deadline)? else {
            return Ok(None);
        };
        // A template whose hook fails ends its child, then says why, then ends.
        let now = Deadline::NOW;
        if let Ok(Waited::Got(answer)) = self.peer.answer(now, self.pidfd()) {
            return self.decode(answer).map(Some);
        }
        let mut error = self.peer.without_result(exit, "the worker");
        if exit.is_abort() && !allocator::is_in() {
            error = error.and(ABORTED);
        }
        Err(if closed.unread {
            error.unstarted()
        } else {
            error
        })
    }
}
