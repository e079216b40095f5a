//! Waiting for room in a queue.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{rooms::Turn, shared::Entry, with::With};
use crate::{
    call::Call,
    error::Result,
    sys::poll::Deadline,
    task::{RunsIn, Task},
};

/// Waits until a queue has room; [`Pool::ready`](super::Pool::ready) makes it. It is a
/// future that needs no runtime.
///
/// Those who wait have room in the order in which they began to wait. Dropped before
/// there is room, it leaves the line.
#[derive(Debug)]
#[must_use = "it does nothing until it is waited for"]
pub struct Ready<S = ()> {
    with: With<S>,
    turn: Option<Arc<Turn>>,
}

impl<S> With<S> {
    /// Waits until the queue has room, as [`Pool::ready`](super::Pool::ready) does.
    pub fn ready(&self) -> Ready<S> {
        Ready {
            with: self.clone(),
            turn: None,
        }
    }
}

impl<S> Ready<S> {
    /// Waits until there is room.
    ///
    /// # Errors
    ///
    /// The pool was shut down ([`is_closed`](crate::Error::is_closed)), or the handle is
    /// from before a fork.
    pub fn wait(mut self) -> Result<Permit<S>> {
        match self.wait_until(Deadline::NEVER)? {
            Some(permit) => Ok(permit),
            None => unreachable!("a wait without a deadline ends with room"),
        }
    }

    /// Waits until there is room, but only this long; gives `None` if there is none by
    /// then.
    ///
    /// # Errors
    ///
    /// Fails as [`wait`](Self::wait) does.
    pub fn wait_timeout(mut self, time: Duration) -> Result<Option<Permit<S>>> {
        self.wait_until(Deadline::after(time))
    }

    fn wait_until(&mut self, deadline: Deadline) -> Result<Option<Permit<S>>> {
        let turn = self.turn()?.wait(deadline);
        turn.map(|turn| turn.map(|()| self.permit())).transpose()
    }

    fn turn(&mut self) -> Result<Arc<Turn>> {
        let shared = &self.with.owner.shared;
        shared.check()?;
        match &self.turn {
            Some(turn) => Ok(Arc::clone(turn)),
            None => {
                let turn = shared.line_up(self.with.queue)?;
                self.turn = Some(Arc::clone(&turn));
                Ok(turn)
            }
        }
    }

    fn permit(&self) -> Permit<S> {
        Permit {
            with: self.with.clone(),
            is_used: false,
        }
    }
}

impl<S> Future for Ready<S> {
    type Output = Result<Permit<S>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let turn = self.turn()?.poll(context);
        turn.map(|turn| turn.map(|()| self.permit()))
    }
}

impl<S> Drop for Ready<S> {
    fn drop(&mut self) {
        let (shared, queue) = (&self.with.owner.shared, self.with.queue);
        if let Some(turn) = &self.turn
            && shared.is_current()
        {
            let mut state = shared.lock();
            state.rooms.leave(queue, turn);
            let waiting = state.desk.waiting(queue);
            state.rooms.admit(queue, waiting);
        }
    }
}

/// Room for one call in a queue, which nobody else takes.
///
/// Dropping it gives the room back.
///
/// # Examples
///
/// ```
/// use zygote::{Pool, Process};
///
/// #[zygote::entry]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// let pool = Pool::builder(Process::new()?).queue(2).build()?;
/// let mut calls = Vec::new();
/// for n in 0..100 {
///     // There are never more than two that wait.
///     calls.push(pool.ready().wait()?.call(square::task(n)));
/// }
/// let squares: Result<Vec<_>, _> = calls.into_iter().map(|call| call.join()).collect();
/// assert_eq!(squares?.iter().sum::<u64>(), 328_350);
/// # Ok::<(), zygote::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropped, it gives the room back"]
pub struct Permit<S = ()> {
    with: With<S>,
    is_used: bool,
}

impl<S> Permit<S> {
    /// Gives a task to the pool, as [`Pool::call`](super::Pool::call) does.
    pub fn call<R, K: RunsIn<S>>(mut self, task: Task<R, K>) -> Call<R> {
        // A call that is refused, since its arguments cannot be encoded, uses no room.
        let (call, is_taken) = self.with.enter(&task, Entry::Promised);
        self.is_used = is_taken;
        call
    }
}

impl<S> Drop for Permit<S> {
    fn drop(&mut self) {
        let (shared, queue) = (&self.with.owner.shared, self.with.queue);
        if !self.is_used && shared.is_current() {
            let mut state = shared.lock();
            state.rooms.give_back(queue);
            let waiting = state.desk.waiting(queue);
            state.rooms.admit(queue, waiting);
        }
    }
}
