//! A call at its pool.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use super::shared::{Cell, Shared};
use crate::{call::Asked, error::Result, parcel::Decoder, sys::poll::Deadline};

/// A call that was given to a pool.
pub(super) struct Placed {
    pub(super) shared: Arc<Shared>,
    pub(super) cell: Arc<Cell>,
    /// `None` when the pool has refused it; the cell says why.
    pub(super) id: Option<u64>,
}

impl Asked for Placed {
    fn outcome(&self, deadline: Deadline) -> Result<Option<Decoder>> {
        self.check()?;
        self.cell.outcome.wait(deadline).transpose()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Result<Poll<Result<Decoder>>> {
        self.check()?;
        Ok(self.cell.outcome.poll(context))
    }

    fn is_finished(&self) -> bool {
        !self.shared.is_current() || self.cell.outcome.is_put()
    }

    fn pid(&self) -> Option<u32> {
        match self.cell.pid.load(Relaxed) {
            0 => self.shared.pid(self.id?),
            pid => Some(pid),
        }
    }

    fn withdraw(&self) -> bool {
        let is_open = self.shared.is_current() && !self.cell.outcome.is_put();
        is_open && self.id.is_none_or(|id| self.shared.withdraw(id))
    }

    fn cancel(&self) {
        if let Some(id) = self.id {
            self.shared.cancel(id);
        }
    }

    fn kill(&self) -> Result<()> {
        self.id.map_or(Ok(()), |id| self.shared.kill(id))
    }

    // The outcome is dropped with the last of those who have the cell.
    fn forget(&self) {}

    fn check(&self) -> Result<()> {
        self.shared.check()
    }
}
