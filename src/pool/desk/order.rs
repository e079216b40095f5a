//! A call as the desk sees it.

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use super::rules::TRIES;

/// What is asked of a call beside its task.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::pool) struct Limits {
    /// From the call to its outcome.
    pub(in crate::pool) timeout: Option<Duration>,
    /// While it runs.
    pub(in crate::pool) time_limit: Option<Duration>,
    /// While it runs; then it is told.
    pub(in crate::pool) soft_limit: Option<Duration>,
    /// How often it is run again when its worker has ended while it ran.
    pub(in crate::pool) retries: u32,
    pub(in crate::pool) priority: i32,
    /// Calls of one key run in one place.
    pub(in crate::pool) key: Option<u64>,
}

/// A call that waits or was given to a worker. `C` is what the caller has of it.
#[derive(Debug)]
pub(in crate::pool) struct Order<C> {
    pub(in crate::pool) id: u64,
    pub(in crate::pool) call: C,
    pub(in crate::pool) limits: Limits,
    /// The number of its queue.
    pub(in crate::pool) queue: usize,
    pub(in crate::pool) made: Instant,
    /// How many workers have ended when it was the next that they had to begin.
    pub(super) losses: u32,
    /// Whether it has begun in a worker that has ended, and is to be run again.
    pub(in crate::pool) has_begun: bool,
}

/// The order in which calls of one queue run.
pub(super) type Rank = (Reverse<i32>, u64);

impl<C> Order<C> {
    pub(in crate::pool) fn new(
        id: u64,
        call: C,
        limits: Limits,
        queue: usize,
        made: Instant,
    ) -> Self {
        Self {
            id,
            call,
            limits,
            queue,
            made,
            losses: 0,
            has_begun: false,
        }
    }

    /// One that comes back keeps its rank, and so comes first.
    pub(super) fn rank(&self) -> Rank {
        (Reverse(self.limits.priority), self.id)
    }

    /// Notes that its worker has ended before it began. It is over, as the error, if it was
    /// the next to begin and that happened too often: it may be why.
    pub(super) fn after_loss(mut self, was_next: bool) -> Result<Self, Self> {
        self.losses = self.losses.saturating_add(was_next.into());
        match self.losses < TRIES {
            true => Ok(self),
            false => Err(self),
        }
    }

    /// Notes that its worker has ended while it ran. It is over, as the error, unless it
    /// may run again.
    pub(super) fn after_run(mut self) -> Result<Self, Self> {
        let Some(left) = self.limits.retries.checked_sub(1) else {
            return Err(self);
        };
        (self.limits.retries, self.has_begun) = (left, true);
        Ok(self)
    }

    /// Gives the time by which there must be an outcome.
    pub(super) fn due(&self) -> Option<Instant> {
        self.made.checked_add(self.limits.timeout?)
    }
}
