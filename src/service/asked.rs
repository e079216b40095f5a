//! A call at its service.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

#[cfg(feature = "tokio")]
use crate::client::Watch;
use crate::{
    call::Asked,
    client::Live,
    error::{Error, Result},
    parcel::Decoder,
    sys::poll::Deadline,
};

/// A call that was given to a service.
pub(super) struct Given {
    live: Arc<Live>,
    /// The error says why it was not given to the worker.
    number: Result<u64>,
    is_withdrawn: AtomicBool,
    is_killed: AtomicBool,
    #[cfg(feature = "tokio")]
    watch: Watch,
}

impl Given {
    pub(super) fn new(live: Arc<Live>, number: Result<u64>) -> Self {
        Self {
            live,
            number,
            is_withdrawn: AtomicBool::new(false),
            is_killed: AtomicBool::new(false),
            #[cfg(feature = "tokio")]
            watch: Watch::default(),
        }
    }

    fn ask(&self, deadline: Deadline) -> Result<Option<Decoder>> {
        let number = self.number.clone()?;
        self.live.check()?;
        if self.is_withdrawn.load(Relaxed) {
            return Err(Error::withdrawn());
        }
        match self.live.outcome(number, deadline) {
            Ok(reply) => Ok(reply),
            Err(error) if self.is_killed.load(Relaxed) && error.exit().is_some() => {
                Err(error.killed())
            }
            Err(error) => Err(error),
        }
    }
}

impl Asked for Given {
    fn outcome(&self, deadline: Deadline) -> Result<Option<Decoder>> {
        self.ask(deadline)
            .map_err(|error| error.with_pid(self.live.id()))
    }

    #[cfg(feature = "tokio")]
    fn poll(&mut self, context: &mut Context<'_>) -> Result<Poll<Result<Decoder>>> {
        // All that wakes it is registered before the first look, so that nothing is
        // missed.
        loop {
            if let Ok(number) = self.number {
                self.live.wake(number, context.waker());
            }
            let live = &self.live;
            let readiness = self.watch.poll([live.socket(), live.pidfd()], context);
            match (self.outcome(Deadline::NOW).transpose(), readiness) {
                (Some(reply), _) => return Ok(Poll::Ready(reply)),
                (None, Poll::Ready(watched)) => watched?,
                (None, Poll::Pending) => return Ok(Poll::Pending),
            }
        }
    }

    #[cfg(not(feature = "tokio"))]
    fn poll(&mut self, _: &mut Context<'_>) -> Result<Poll<Result<Decoder>>> {
        match self.outcome(Deadline::NOW).transpose() {
            Some(reply) => Ok(Poll::Ready(reply)),
            None => Err(Error::invalid(
                "a service's call is awaited with the feature `tokio` alone: `join` waits \
                 without it",
            )),
        }
    }

    fn is_finished(&self) -> bool {
        let is_known = |number: &u64| self.live.is_finished(*number);
        self.is_withdrawn.load(Relaxed) || self.number.as_ref().map_or(true, is_known)
    }

    fn pid(&self) -> Option<u32> {
        let number = *self.number.as_ref().ok()?;
        let has_begun = !self.is_withdrawn.load(Relaxed) && self.live.has_begun(number);
        has_begun.then(|| self.live.id())
    }

    fn withdraw(&self) -> bool {
        let Ok(number) = self.number else {
            return true;
        };
        let is_withdrawn = self.live.withdraw(number);
        if is_withdrawn {
            self.is_withdrawn.store(true, Relaxed);
        }
        is_withdrawn
    }

    fn cancel(&self) {
        if let Ok(number) = self.number {
            self.live.cancel(number);
        }
    }

    fn kill(&self) -> Result<()> {
        self.is_killed.store(true, Relaxed);
        self.live.kill()
    }

    fn forget(&self) {
        if let Ok(number) = self.number {
            self.live.forget(number);
        }
    }

    fn check(&self) -> Result<()> {
        self.live.check()
    }
}
