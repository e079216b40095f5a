//! What a pool does next: it is told what happened and at what time, and says what is to
//! be done. Pure: `C` is what the caller has of a call, `W` the handle on a worker.
//!
//! `queues` has the calls that wait, `roster` the workers and what each was given, and
//! `staff` says when a worker starts or ends.

mod acts;
mod order;
mod queues;
mod roster;
mod rules;
mod staff;
#[cfg(test)]
mod tests;
mod workers;

use std::time::Instant;

pub(super) use self::{
    acts::{Act, Why},
    order::{Limits, Order},
    rules::Rules,
    workers::Started,
};
use self::{
    queues::Queues,
    roster::{Given, Mood, Roster, Worker},
    rules::FULL,
    staff::Starts,
};
use crate::error::Error;

/// The state of a pool.
#[derive(Debug)]
pub(super) struct Desk<C, W> {
    rules: Rules,
    queues: Queues<C>,
    roster: Roster<C, W>,
    starts: Starts,
    /// Which process new workers are forks of.
    generation: u64,
    last_order: u64,
    last_worker: u64,
    /// How many times a call has come back because its worker ended.
    again: u64,
    is_closed: bool,
}

/// How a call fared with a worker that has answered it.
#[derive(Debug)]
pub(super) struct Answered<C> {
    /// `None` when its caller has an outcome already.
    pub(super) order: Option<Order<C>>,
    /// When it began.
    pub(super) since: Instant,
}

/// A call that is over without an answer.
#[derive(Debug)]
pub(super) struct Lost<C> {
    pub(super) order: Order<C>,
    pub(super) is_unstarted: bool,
}

impl<C, W: Clone> Desk<C, W> {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            queues: Queues::new(rules.most),
            rules,
            roster: Roster::default(),
            starts: Starts::default(),
            generation: 0,
            last_order: 0,
            last_worker: 0,
            again: 0,
            is_closed: false,
        }
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Takes no more calls, and ends when those that there are have ended.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Tells whether nothing is left to be done.
    pub(super) fn is_over(&self) -> bool {
        let is_empty = self.roster.workers.is_empty() && self.roster.starting.is_empty();
        self.is_closed && is_empty && self.queues.len() == 0
    }
}

/// Calls come, and are taken back.
impl<C, W: Clone> Desk<C, W> {
    /// Gives the number of the queue with this name.
    pub(super) fn queue(&mut self, name: &str) -> usize {
        self.queues.find(name)
    }

    pub(super) fn set_concurrency(&mut self, queue: usize, most: usize) {
        self.queues.set_concurrency(queue, most);
    }

    /// Tells how many calls wait in a queue.
    pub(super) fn waiting(&self, queue: usize) -> usize {
        self.queues.waiting(queue)
    }

    /// Takes in a call, and gives its id.
    pub(super) fn call(&mut self, call: C, limits: Limits, queue: usize, now: Instant) -> u64 {
        self.last_order += 1;
        let order = Order::new(self.last_order, call, limits, queue, now);
        self.queues.put(order);
        self.last_order
    }

    /// Takes a call back that waits.
    pub(super) fn take_back(&mut self, id: u64) -> Option<Order<C>> {
        self.queues.remove(id)
    }

    /// Takes all calls back that wait.
    pub(super) fn take_all_back(&mut self) -> Vec<Order<C>> {
        self.queues.drain()
    }

    /// Finds the worker that has a call, and the call's number there.
    pub(super) fn find(&self, id: u64) -> Option<(u64, W, u64)> {
        let (worker, number) = self.roster.find(id)?;
        let handle = self.roster.workers.get(&worker)?.handle.clone();
        Some((worker, handle, number))
    }

    /// Notes that the caller of a call which a worker has needs nothing more from it,
    /// and gives the call back.
    pub(super) fn settle(&mut self, worker: u64, number: u64) -> Option<Order<C>> {
        let worker = self.roster.workers.get_mut(&worker)?;
        let mut given = worker.given.iter_mut();
        given.find(|given| given.number == number)?.order.take()
    }

    /// Does this for all calls that workers have. `withdraw` tells of each whether it
    /// could be kept from beginning.
    pub(super) fn settle_all(&mut self, withdraw: impl Fn(&W, u64) -> bool) -> Vec<Lost<C>> {
        let mut all = Vec::new();
        for worker in self.roster.workers.values_mut() {
            for given in &mut worker.given {
                let Some(order) = given.order.take() else {
                    continue;
                };
                let is_unstarted = withdraw(&worker.handle, given.number);
                all.push(Lost {
                    order,
                    is_unstarted,
                });
            }
        }
        all
    }

    /// Gives the handles on all workers.
    pub(super) fn handles(&self) -> Vec<W> {
        let workers = self.roster.workers.values();
        workers.map(|worker| worker.handle.clone()).collect()
    }

    /// Tells how many workers take calls, and why the last start has failed.
    pub(super) fn ready(&self) -> (usize, Option<&Error>) {
        let workers = self.roster.workers.values();
        let ready = workers.filter(|worker| worker.takes()).count();
        (ready, self.starts.why())
    }

    /// Counts workers, those of them that have no call, and the calls that wait and that
    /// workers have.
    pub(super) fn count(&self) -> [usize; 4] {
        let workers = self.roster.workers.values();
        let idle = workers.clone().filter(|worker| worker.is_idle()).count();
        let given = workers.map(|worker| worker.given.len()).sum();
        [self.roster.workers.len(), idle, self.queues.len(), given]
    }

    /// Tells which process new workers are forks of.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Tells how many times a call has come back because its worker ended.
    pub(super) fn again(&self) -> u64 {
        self.again
    }

    /// Gives the place of a worker, which may not have started.
    pub(super) fn place(&self, worker: u64) -> Option<usize> {
        let place = self.roster.workers.get(&worker).map(|worker| worker.place);
        place.or_else(|| self.roster.starting.get(&worker).copied())
    }

    /// Tells whether somebody waits for this call, which the worker has.
    pub(super) fn has(&self, worker: u64, number: u64) -> bool {
        let given = self.roster.workers.get(&worker).map(|worker| &worker.given);
        let mut given = given.into_iter().flatten();
        given.any(|given| given.number == number && given.order.is_some())
    }

    /// Tells whether this call is the first of its worker, so that it runs.
    pub(super) fn is_first(&self, worker: u64, number: u64) -> bool {
        self.first(worker).is_some_and(|(_, first)| first == number)
    }
}

/// What becomes of calls.
impl<C, W: Clone> Desk<C, W> {
    /// Notes that a worker was given a call, which has this number there.
    pub(super) fn given(&mut self, worker: u64, order: Order<C>, number: u64, now: Instant) {
        let Some(worker) = self.roster.workers.get_mut(&worker) else {
            self.not_given(worker, order, now);
            return;
        };
        worker.left -= 1;
        worker.given.push_back(Given {
            queue: order.queue,
            order: Some(order),
            number,
            since: None,
            is_told: false,
            is_overdue: false,
        });
        worker.begin_first(now);
    }

    /// Notes that a worker had no room for a call, which waits again.
    pub(super) fn not_given(&mut self, worker: u64, order: Order<C>, now: Instant) {
        if let Some(worker) = self.roster.workers.get_mut(&worker) {
            worker.full_until = Some(now + FULL);
        }
        self.queues.back(order.queue);
        self.queues.put(order);
    }

    /// Notes that a call was refused by whoever was to send it, and is over.
    pub(super) fn refused(&mut self, queue: usize) {
        self.queues.back(queue);
    }

    /// Gives the call whose answer a worker sends next.
    pub(super) fn first(&self, worker: u64) -> Option<(W, u64)> {
        let worker = self.roster.workers.get(&worker)?;
        Some((worker.handle.clone(), worker.given.front()?.number))
    }

    /// Notes that a worker has answered its first call.
    pub(super) fn answered(&mut self, worker: u64, now: Instant) -> Option<Answered<C>> {
        let worker = self.roster.workers.get_mut(&worker)?;
        let given = worker.given.pop_front()?;
        self.queues.back(given.queue);
        self.starts.proved();
        worker.calls += 1;
        worker.is_used = true;
        worker.full_until = None;
        worker.begin_first(now);
        Some(Answered {
            order: given.order,
            since: given.since.unwrap_or(now),
        })
    }

    /// Notes that a worker is dying: it takes nothing more.
    pub(super) fn dying(&mut self, worker: u64) {
        if let Some(worker) = self.roster.workers.get_mut(&worker)
            && !matches!(worker.mood, Mood::Told(_))
        {
            worker.mood = Mood::Dead;
        }
    }

    /// Notes that a worker has ended, so that another may start. What it had not begun
    /// waits again; what becomes of the others is known when its end is reported.
    pub(super) fn gone(&mut self, worker: u64, is_unstarted: impl Fn(u64) -> bool) {
        self.dying(worker);
        let Some(worker) = self.roster.workers.get_mut(&worker) else {
            return;
        };
        worker.has_ended = true;
        for (at, mut given) in std::mem::take(&mut worker.given).into_iter().enumerate() {
            let order = given.order.take_if(|_| is_unstarted(given.number));
            match order.map(|order| order.after_loss(at == 0)) {
                Some(Ok(order)) => {
                    self.again += 1;
                    self.queues.back(given.queue);
                    self.queues.put(order);
                }
                Some(Err(order)) => {
                    given.order = Some(order);
                    worker.given.push_back(given);
                }
                None => worker.given.push_back(given),
            }
        }
    }

    /// Notes that a worker ends by itself after the call that it has answered. What it
    /// can be kept from beginning waits again.
    pub(super) fn leaves(&mut self, worker: u64, withdraw: impl Fn(u64) -> bool) {
        if let Some(worker) = self.roster.workers.get_mut(&worker)
            && worker.mood == Mood::Takes
        {
            worker.mood = Mood::Leaves;
        }
        self.put_back(worker, 0, withdraw);
    }

    /// Notes that a worker answers nothing more, and so has to end. What it can be kept
    /// from beginning waits again, but for the first: that may be why, see
    /// [`ended`](Self::ended).
    pub(super) fn silent(&mut self, worker: u64, withdraw: impl Fn(u64) -> bool, now: Instant) {
        if let Some(worker) = self.roster.workers.get_mut(&worker)
            && matches!(worker.mood, Mood::Takes | Mood::Leaves)
        {
            worker.mood = Mood::Silent(now);
        }
        self.put_back(worker, 1, withdraw);
    }

    /// Lets calls wait again that a worker can be kept from beginning, but for so many.
    fn put_back(&mut self, worker: u64, but: usize, withdraw: impl Fn(u64) -> bool) {
        let Some(worker) = self.roster.workers.get_mut(&worker) else {
            return;
        };
        let but = but.min(worker.given.len());
        for mut given in worker.given.split_off(but) {
            match given.order.take_if(|_| withdraw(given.number)) {
                Some(order) => {
                    self.again += 1;
                    self.queues.back(given.queue);
                    self.queues.put(order);
                }
                None => worker.given.push_back(given),
            }
        }
    }

    /// Tells whether the start of a worker that dies has failed: it has never had a call.
    pub(super) fn is_stillborn(&self, worker: u64) -> bool {
        let worker = self.roster.workers.get(&worker);
        worker.is_some_and(Worker::is_stillborn)
    }

    /// Notes that a worker has ended. What it had not begun waits again, and so does what
    /// may be run again. The others are lost, and so is one that was the next to begin
    /// when too many workers ended: it may be why they did.
    pub(super) fn ended(
        &mut self,
        worker: u64,
        is_unstarted: impl Fn(u64) -> bool,
    ) -> Vec<Lost<C>> {
        let Some(worker) = self.roster.workers.remove(&worker) else {
            return Vec::new();
        };
        let mut lost = Vec::new();
        for (at, given) in worker.given.into_iter().enumerate() {
            self.queues.back(given.queue);
            let Some(order) = given.order else {
                continue;
            };
            let is_unstarted = is_unstarted(given.number);
            let order = match is_unstarted {
                true => order.after_loss(at == 0),
                false => order.after_run(),
            };
            match order {
                Ok(order) => {
                    self.again += 1;
                    self.queues.put(order);
                }
                Err(order) => lost.push(Lost {
                    order,
                    is_unstarted,
                }),
            }
        }
        lost
    }
}
