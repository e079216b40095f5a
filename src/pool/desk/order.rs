//! A call as the desk sees it.

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

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

    /// Gives the time by which there must be an outcome.
    pub(super) fn due(&self) -> Option<Instant> {
        self.made.checked_add(self.limits.timeout?)
    }
}
