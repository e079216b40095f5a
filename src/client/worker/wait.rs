//! Waiting for a worker's exit.

use std::time::Duration;

use super::Worker;
use crate::{client::ending, error::Result, exit::Exit, sys::poll::Deadline};

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

    /// [`wait`](Self::wait) that does not wait, and closes nothing.
    ///
    /// # Errors
    ///
    /// As `wait`.
    pub fn try_wait(&self) -> Result<Option<Exit>> {
        self.exit(Deadline::after(Duration::ZERO))
    }

    /// [`wait`](Self::wait), but for this long; `None` when it still runs.
    ///
    /// # Errors
    ///
    /// As `wait`.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<Exit>> {
        self.close_stdin();
        self.exit(Deadline::after(timeout))
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
