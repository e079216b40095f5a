//! Waiting for a worker's exit.

use std::time::Duration;

use super::Worker;
use crate::{
    client::{
        ending,
        line::{Inbox, ONLY, Waited},
    },
    error::Result,
    exit::Exit,
    sys::poll::Deadline,
};

impl<R> Worker<R> {
    /// Waits until the worker has exited, and says how. Does not take the
    /// result: `join` still gives it.
    ///
    /// # Errors
    ///
    /// A system call failed, or the handle is from before a fork.
    pub fn wait(&self) -> Result<Exit> {
        self.close_stdin();
        match self.exit(Deadline::NEVER)? {
            Some(exit) => Ok(exit),
            None => unreachable!("a wait without a deadline ends with an exit"),
        }
    }

    /// Gives what [`wait`](Self::wait) gives, or `None` if the worker still runs; it
    /// does not wait, and closes nothing.
    ///
    /// # Errors
    ///
    /// Fails as `wait` does.
    pub fn try_wait(&self) -> Result<Option<Exit>> {
        self.exit(Deadline::NOW)
    }

    /// Waits as [`wait`](Self::wait) does, but only this long; gives `None` if the
    /// worker still runs.
    ///
    /// # Errors
    ///
    /// Fails as `wait` does.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<Exit>> {
        self.close_stdin();
        self.exit(Deadline::after(timeout))
    }

    /// Tells whether the outcome is known: the result has arrived, or the worker has
    /// ended. Then [`join`](Self::join) does not wait. This does not wait either,
    /// closes nothing and takes nothing.
    ///
    /// A worker whose result is here may need a moment more to end, so
    /// [`try_wait`](Self::try_wait) may still give `None`. In a copy of the program,
    /// where `join` is an error at once, it gives `true`.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn read(end: std::io::PipeReader) -> std::io::Result<String> {
    ///     std::io::read_to_string(end)
    /// }
    ///
    /// let (end, sender) = std::io::pipe()?;
    /// let worker = read::spawn(end)?;
    /// assert!(!worker.is_finished());
    /// drop(sender);
    /// while !worker.is_finished() {
    ///     std::thread::yield_now();
    /// }
    /// assert_eq!(worker.join()??, "");
    /// # Ok::<(), zygote::Error>(())
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let has_answer = |inbox: &mut Inbox| inbox.has_answer(ONLY).then_some(());
        self.joined
            || self.peer.check_epoch().is_err()
            || self.peer.has_ended()
            || matches!(self.peer.line.look(has_answer), Ok(Waited::Got(())))
    }

    pub(super) fn exit(&self, deadline: Deadline) -> Result<Option<Exit>> {
        if let Some(exit) = self.exit.get() {
            return Ok(Some(*exit));
        }
        self.peer.check_epoch()?;
        ending::look();
        let exit = self.peer.exit(deadline)?;
        Ok(exit.map(|exit| *self.exit.get_or_init(|| exit)))
    }
}
