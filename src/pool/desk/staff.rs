//! When a worker starts, and when one ends. Pure.

use std::time::{Duration, Instant};

use super::{
    Desk,
    acts::Act,
    roster::{Mood, Worker},
    rules::{TRIES, pause},
};
use crate::error::Error;

/// How long a worker's memory is not measured again.
const MEASURED: Duration = Duration::from_secs(1);

/// How the last starts have fared.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// How many have failed since a worker was of use.
    failures: u32,
    why: Option<Error>,
    /// Nothing is started before this time.
    not_before: Option<Instant>,
    /// Whether nothing can be started any more.
    is_final: bool,
}

impl Starts {
    /// Notes that a worker has started, which may still fail before it is of use.
    pub(super) fn succeeded(&mut self) {
        let failures = self.failures;
        *self = Self::default();
        self.failures = failures;
    }

    /// Notes that a worker is of use.
    pub(super) fn proved(&mut self) {
        self.failures = 0;
    }

    pub(super) fn failed(&mut self, error: Error, is_final: bool, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.why = Some(error);
        self.not_before = now.checked_add(pause(self.failures));
        self.is_final = is_final;
    }

    pub(super) fn why(&self) -> Option<&Error> {
        self.why.as_ref()
    }

    fn may_start(&self, now: Instant) -> bool {
        !self.is_final && self.not_before.is_none_or(|at| at <= now)
    }

    /// Gives the error of calls that no worker can run.
    fn hopeless(&self) -> Option<&Error> {
        let why = self.why.as_ref();
        why.filter(|_| self.is_final || self.failures >= TRIES)
    }
}

impl<C, W: Clone> Desk<C, W> {
    /// Finds a worker that has to be started, ended, killed or measured.
    pub(super) fn staff(&mut self, now: Instant) -> Option<Act<C, W>> {
        self.start(now)
            .or_else(|| self.unserved())
            .or_else(|| self.retire(now))
            .or_else(|| self.measure(now))
    }

    /// Gives the time at which the staff changes even if nothing happens.
    pub(super) fn staff_at(&self, now: Instant) -> Option<Instant> {
        let is_wanted = self.wanted(now).is_some() && !self.starts.is_final;
        let start = self.starts.not_before.filter(|_| is_wanted);
        let has_more = self.roster.takers() > self.rules.least;
        let measures = self.rules.memory.is_some();
        let changes = self.roster.workers.values().flat_map(|worker| {
            let idle = worker.takes() && worker.is_idle() && has_more;
            let idle = worker
                .idle_since
                .checked_add(self.rules.idle)
                .filter(|_| idle);
            let old = worker.old_at.filter(|at| worker.takes() && *at > now);
            let measure = worker.memory.filter(|_| measures && worker.is_used);
            let measure = measure.and_then(|(_, at)| at.checked_add(MEASURED));
            [worker.mood.due(), idle, old, measure.filter(|at| *at > now)]
        });
        changes.flatten().chain(start).min()
    }

    /// Finds a call that no worker can run.
    fn unserved(&mut self) -> Option<Act<C, W>> {
        let nobody = self.roster.count() == 0;
        let error = self.starts.hopeless().filter(|_| nobody)?.clone();
        let order = self.queues.pop()?;
        Some(Act::Unserved(order, error))
    }

    fn start(&mut self, now: Instant) -> Option<Act<C, W>> {
        if !self.starts.may_start(now) {
            return None;
        }
        let place = self.wanted(now)?;
        self.last_worker += 1;
        self.roster.starting.insert(self.last_worker, place);
        Some(Act::Start {
            worker: self.last_worker,
            place,
        })
    }

    /// Gives the place in which a worker is wanted.
    fn wanted(&self, now: Instant) -> Option<usize> {
        let (roster, rules) = (&self.roster, &self.rules);
        let count = roster.count();
        if count < rules.least && !self.is_closed {
            return Some(roster.free_place());
        }
        let mut keyed = self.queues.places().into_iter();
        if let Some(place) = keyed.find(|place| !roster.is_taken(*place)) {
            return Some(place);
        }
        // Each worker that starts will take one.
        if count < rules.most && self.queues.free() > roster.starting.len() {
            return Some(roster.free_place());
        }
        // One at a time, so that there are never fewer.
        let is_calm = roster.starting.is_empty() && count <= rules.most && !self.is_closed;
        let worn = roster.workers.values().filter(|worker| {
            worker.takes() && worker.is_worn(self.generation, now) && !self.is_spare(worker)
        });
        // A long call holds up no other worker.
        let first = worn.min_by_key(|worker| !worker.is_idle());
        first.map(|worker| worker.place).filter(|_| is_calm)
    }

    /// Tells whether the pool needs no other in the place of this one.
    fn is_spare(&self, worker: &Worker<C, W>) -> bool {
        worker.is_idle() && self.roster.takers() > self.rules.least
    }

    /// Finds a worker that should leave, and one that does not.
    fn retire(&mut self, now: Instant) -> Option<Act<C, W>> {
        let (takers, rules) = (self.roster.takers(), &self.rules);
        let is_unneeded = |worker: &Worker<C, W>| {
            let idle = now.saturating_duration_since(worker.idle_since);
            let is_more = takers > rules.least
                && (idle >= rules.idle || worker.is_worn(self.generation, now));
            let is_last = self.is_closed && self.queues.len() == 0;
            match worker.mood {
                Mood::Takes => worker.left == 0 || is_more || is_last,
                Mood::Leaves => true,
                Mood::Told(_) | Mood::Silent(_) | Mood::Dead => false,
            }
        };
        // The youngest place goes first.
        let workers = self.roster.workers.iter_mut();
        let idle = workers.filter(|(_, worker)| worker.is_idle() && is_unneeded(worker));
        if let Some((id, worker)) = idle.max_by_key(|(_, worker)| worker.place) {
            worker.mood = Mood::Told(now);
            return Some(Act::End {
                worker: *id,
                handle: worker.handle.clone(),
            });
        }
        let late = |worker: &&mut Worker<C, W>| worker.mood.due().is_some_and(|due| due <= now);
        let worker = self.roster.workers.values_mut().find(late)?;
        worker.mood = Mood::Dead;
        Some(Act::Kill(worker.handle.clone()))
    }

    /// Finds a worker that has run a call since its memory was measured.
    fn measure(&mut self, now: Instant) -> Option<Act<C, W>> {
        self.rules.memory?;
        let is_due = |worker: &&mut Worker<C, W>| {
            let measured = worker.memory.map(|(_, at)| at);
            let is_due = |at| now.saturating_duration_since(at) >= MEASURED;
            // Under load it is never idle.
            worker.takes() && worker.is_used && !worker.is_measured && measured.is_some_and(is_due)
        };
        let mut workers = self.roster.workers.iter_mut();
        let (id, worker) = workers.find(|(_, worker)| is_due(worker))?;
        (worker.is_measured, worker.is_used) = (true, false);
        Some(Act::Measure {
            worker: *id,
            handle: worker.handle.clone(),
        })
    }
}
