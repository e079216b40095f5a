//! Workers come, and what is known of them changes. Pure.

use std::{ops::RangeInclusive, time::Instant};

use super::{
    Desk,
    roster::{Mood, Worker},
    staff::Starts,
};
use crate::error::Error;

impl<C, W: Clone> Desk<C, W> {
    /// Notes that a worker has started, with so much memory of its own. An older one in
    /// its place leaves.
    pub(in crate::pool) fn started(&mut self, id: u64, start: Started<W>, now: Instant) {
        let Some(place) = self.roster.starting.remove(&id) else {
            return;
        };
        self.starts.succeeded();
        let mut old = self.roster.workers.values_mut();
        let worn = old.find(|worker| worker.place == place && worker.takes());
        if let Some(worn) = worn {
            worn.mood = Mood::Leaves;
        }
        let age = self.rules.age_of(id);
        // There may be fewer places by now.
        let mood = match place < self.rules.most {
            true => Mood::Takes,
            false => Mood::Leaves,
        };
        self.roster.workers.insert(
            id,
            Worker {
                handle: start.handle,
                place,
                generation: start.generation,
                mood,
                given: [].into(),
                has_ended: false,
                left: self.rules.calls_of(id),
                calls: 0,
                old_at: age.and_then(|age| now.checked_add(age)),
                idle_since: now,
                full_until: None,
                memory: start.memory.map(|memory| (memory, now)),
                is_used: false,
                is_measured: false,
                is_grown: false,
            },
        );
    }

    /// Notes that a worker could not be started. If the process of this generation is gone
    /// for ever, nothing more is tried until there is another one to fork.
    pub(in crate::pool) fn not_started(
        &mut self,
        id: u64,
        error: Error,
        gone: Option<u64>,
        now: Instant,
    ) {
        self.roster.starting.remove(&id);
        let is_final = gone == Some(self.generation);
        self.starts.failed(error, is_final, now);
    }

    /// Changes how many workers there are at least and at most. Keys move.
    pub(in crate::pool) fn resize(&mut self, workers: &RangeInclusive<usize>) {
        self.rules.set_workers(workers);
        self.queues.set_places(self.rules.most);
        for worker in self.roster.workers.values_mut() {
            if worker.place >= self.rules.most && worker.mood == Mood::Takes {
                worker.mood = Mood::Leaves;
            }
        }
    }

    /// Notes that new workers are forks of another process, and gives its number. The
    /// older workers are replaced one after the other.
    pub(in crate::pool) fn renew(&mut self) -> u64 {
        self.starts = Starts::default();
        self.generation += 1;
        self.generation
    }

    /// Notes how much memory of its own a worker has.
    pub(in crate::pool) fn measured(&mut self, id: u64, memory: Option<u64>, now: Instant) {
        let Some(worker) = self.roster.workers.get_mut(&id) else {
            return;
        };
        worker.is_measured = false;
        if let (Some((first, at)), Some(most)) = (&mut worker.memory, self.rules.memory) {
            *at = now;
            worker.is_grown |= memory.is_some_and(|memory| memory > first.saturating_add(most));
        }
    }
}

/// A worker that has started.
#[derive(Debug)]
pub(in crate::pool) struct Started<W> {
    pub(in crate::pool) handle: W,
    /// Which process it is a fork of.
    pub(in crate::pool) generation: u64,
    pub(in crate::pool) memory: Option<u64>,
}
