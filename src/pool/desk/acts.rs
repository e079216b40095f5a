//! What is to be done next, and when. Pure.

use std::time::{Duration, Instant};

use super::{
    Desk,
    order::Order,
    roster::{Given, Worker},
};
use crate::error::Error;

/// What is to be done.
#[derive(Debug)]
pub(in crate::pool) enum Act<C, W> {
    /// Start a worker.
    Start { worker: u64, place: usize },
    /// Give a worker a call; then say whether it has it.
    Give {
        worker: u64,
        handle: W,
        order: Order<C>,
    },
    /// Look whether the worker has answered this call, and else end the call.
    Overdue {
        worker: u64,
        handle: W,
        number: u64,
        why: Why,
    },
    /// This call is over: it has waited too long.
    Late(Order<C>),
    /// This call is over: no worker can be started.
    Unserved(Order<C>, Error),
    /// Tell a worker that no more calls come.
    End { worker: u64, handle: W },
    /// Kill a worker that does not end.
    Kill(W),
    /// Measure the memory of a worker.
    Measure { worker: u64, handle: W },
}

/// Which limit has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::pool) enum Why {
    /// It has run so long that it is told.
    Soft,
    /// It has run too long.
    TimeLimit,
    /// Its caller waits no longer.
    Timeout,
}

impl<C, W: Clone> Desk<C, W> {
    /// Says what is to be done next; `None` when there is nothing to be done until the
    /// time that [`wake`](Self::wake) gives, or until something happens.
    pub(in crate::pool) fn next(&mut self, now: Instant) -> Option<Act<C, W>> {
        if let Some(order) = self.queues.take_due(now) {
            return Some(Act::Late(order));
        }
        self.overdue(now)
            .or_else(|| self.give(now))
            .or_else(|| self.staff(now))
    }

    /// Gives the time at which `next` has to be asked even if nothing happens.
    pub(in crate::pool) fn wake(&self, now: Instant) -> Option<Instant> {
        let workers = self.roster.workers.values();
        let limits = workers.flat_map(|worker| worker.given.iter().flat_map(limits));
        let full = self.roster.workers.values().map(|it| it.full_until);
        let full = full.flatten().filter(|_| self.queues.len() > 0);
        limits
            .map(|(at, _)| at)
            .chain(full.filter(|until| *until > now))
            .chain(self.queues.first_due())
            .chain(self.staff_at(now))
            .min()
    }

    /// Finds a call whose limit has passed.
    fn overdue(&mut self, now: Instant) -> Option<Act<C, W>> {
        for (id, worker) in &mut self.roster.workers {
            let Worker { handle, given, .. } = worker;
            for given in given {
                let passed = limits(given).filter(|(at, _)| *at <= now);
                let Some(why) = passed.map(|(_, why)| why).max() else {
                    continue;
                };
                match why {
                    Why::Soft => given.is_told = true,
                    Why::TimeLimit | Why::Timeout => given.is_overdue = true,
                }
                return Some(Act::Overdue {
                    worker: *id,
                    handle: handle.clone(),
                    number: given.number,
                    why,
                });
            }
        }
        None
    }

    /// Finds a worker with room, and a call for it.
    fn give(&mut self, now: Instant) -> Option<Act<C, W>> {
        if self.queues.len() == 0 {
            return None;
        }
        for id in self.roster.with_room(&self.rules, now) {
            let worker = self.roster.workers.get(&id)?;
            // Calls of one key run one after the other: not while an older worker in this
            // place still has some.
            let is_alone = self.roster.is_alone(id, worker.place);
            if let Some(order) = self.queues.take(is_alone.then_some(worker.place)) {
                return Some(Act::Give {
                    worker: id,
                    handle: worker.handle.clone(),
                    order,
                });
            }
        }
        None
    }
}

/// Gives the limits of a call that have not been acted upon.
fn limits<C>(given: &Given<C>) -> impl Iterator<Item = (Instant, Why)> + use<C> {
    let order = given.order.as_ref().filter(|_| !given.is_overdue);
    let limits = order.map(|order| order.limits);
    let while_running = |limit: Option<Duration>| given.since?.checked_add(limit?);
    let soft = limits.filter(|_| !given.is_told);
    let soft = soft.and_then(|limits| while_running(limits.soft_limit));
    let hard = limits.and_then(|limits| while_running(limits.time_limit));
    let due = order.and_then(Order::due);
    [
        soft.map(|at| (at, Why::Soft)),
        hard.map(|at| (at, Why::TimeLimit)),
        due.map(|at| (at, Why::Timeout)),
    ]
    .into_iter()
    .flatten()
}
