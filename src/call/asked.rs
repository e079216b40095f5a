//! What the handle on a call asks of those who have the call.

use std::task::{Context, Poll};

use crate::{error::Result, parcel::Decoder, sys::poll::Deadline};

/// A call at the service or the pool that has it. Errors name the worker, as far as it
/// is known.
pub(crate) trait Asked: Send + Sync {
    /// Waits for the outcome; `None` when the deadline passes first.
    fn outcome(&self, deadline: Deadline) -> Result<Option<Decoder>>;

    /// Is ready with the outcome, or has the future woken when it may be known. An error
    /// is no outcome: the call cannot be awaited here.
    fn poll(&mut self, context: &mut Context<'_>) -> Result<Poll<Result<Decoder>>>;

    /// Tells whether the outcome is known.
    fn is_finished(&self) -> bool;

    /// Gives the id of the process that runs it, or `None` if it has not begun.
    fn pid(&self) -> Option<u32>;

    /// Takes the call back if it has not begun, and tells whether that is so.
    fn withdraw(&self) -> bool;

    /// Tells the entry that the call should end. It has begun.
    fn cancel(&self);

    /// Kills the worker that runs it.
    fn kill(&self) -> Result<()>;

    /// Notes that nobody asks for the outcome any more.
    fn forget(&self);

    /// Refuses in a copy of the process that the call was made in.
    fn check(&self) -> Result<()>;
}
