//! The workers of a pool, and what each was given. Pure.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use super::{
    order::Order,
    rules::{LEAVE, Rules},
};

/// A call that a worker was given.
#[derive(Debug)]
pub(super) struct Given<C> {
    /// `None` when its caller has an outcome already.
    pub(super) order: Option<Order<C>>,
    pub(super) queue: usize,
    /// Its number at the worker.
    pub(super) number: u64,
    /// Since when it is the first, and so runs.
    pub(super) since: Option<Instant>,
    pub(super) is_told: bool,
    pub(super) is_overdue: bool,
}

/// Whether a worker takes calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mood {
    Takes,
    /// It takes no more, and ends after those that it has.
    Leaves,
    /// It was told so, at this time.
    Told(Instant),
    /// It answers nothing more since this time, and so has to end.
    Silent(Instant),
    /// It was killed, or has ended.
    Dead,
}

impl Mood {
    /// Gives the time by which the worker must have ended.
    pub(super) fn due(self) -> Option<Instant> {
        match self {
            Self::Told(at) | Self::Silent(at) => at.checked_add(LEAVE),
            Self::Takes | Self::Leaves | Self::Dead => None,
        }
    }
}

/// A worker. `W` is the handle on it.
#[derive(Debug)]
pub(super) struct Worker<C, W> {
    pub(super) handle: W,
    /// Its place, in which another one follows it.
    pub(super) place: usize,
    /// Which process it is a fork of.
    pub(super) generation: u64,
    pub(super) mood: Mood,
    pub(super) given: VecDeque<Given<C>>,
    /// Whether it has ended, and only its calls are still here.
    pub(super) has_ended: bool,
    /// How many calls it may still be given.
    pub(super) left: u64,
    pub(super) calls: u64,
    /// When it has to be replaced.
    pub(super) old_at: Option<Instant>,
    /// Since when it has nothing to do.
    pub(super) idle_since: Instant,
    /// Until when its socket is taken to be full.
    pub(super) full_until: Option<Instant>,
    /// How much memory it had before its first call, and when it was measured last.
    pub(super) memory: Option<(u64, Instant)>,
    /// Whether it has run a call since then.
    pub(super) is_used: bool,
    pub(super) is_measured: bool,
    pub(super) is_grown: bool,
}

impl<C, W> Worker<C, W> {
    /// Tells whether it can be given a call.
    pub(super) fn has_room(&self, depth: usize, now: Instant) -> bool {
        self.mood == Mood::Takes
            && self.left > 0
            && self.given.len() < depth
            && self.full_until.is_none_or(|until| until <= now)
    }

    /// Tells whether it counts as one of the pool's: it has, or can be given, a call; or
    /// nothing starts before it is known why it has ended.
    pub(super) fn counts(&self) -> bool {
        let has_calls = !self.given.is_empty() && !self.has_ended;
        has_calls || self.takes() || self.is_stillborn()
    }

    /// Tells whether it is dying though nobody told it to, and has never had a call.
    pub(super) fn is_stillborn(&self) -> bool {
        self.mood == Mood::Dead && self.calls == 0 && self.is_idle()
    }

    /// Tells whether it can be given calls now or later.
    pub(super) fn takes(&self) -> bool {
        self.mood == Mood::Takes && self.left > 0
    }

    /// Tells whether another should take its place.
    pub(super) fn is_worn(&self, generation: u64, now: Instant) -> bool {
        self.generation != generation || self.is_grown || self.old_at.is_some_and(|at| at <= now)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.given.is_empty()
    }

    /// Notes that the first call runs from now on.
    pub(super) fn begin_first(&mut self, now: Instant) {
        match self.given.front_mut() {
            Some(first) => drop(first.since.get_or_insert(now)),
            None => self.idle_since = now,
        }
    }
}

/// All workers, by their ids.
#[derive(Debug)]
pub(super) struct Roster<C, W> {
    pub(super) workers: BTreeMap<u64, Worker<C, W>>,
    /// The places of those that are being started.
    pub(super) starting: BTreeMap<u64, usize>,
}

impl<C, W> Default for Roster<C, W> {
    fn default() -> Self {
        Self {
            workers: BTreeMap::new(),
            starting: BTreeMap::new(),
        }
    }
}

impl<C, W> Roster<C, W> {
    /// Tells how many workers there are or will be.
    pub(super) fn count(&self) -> usize {
        self.workers.values().filter(|it| it.counts()).count() + self.starting.len()
    }

    /// Tells how many workers take calls.
    pub(super) fn takers(&self) -> usize {
        self.workers.values().filter(|it| it.takes()).count()
    }

    /// Tells whether a worker that takes calls is in this place, or will be.
    pub(super) fn is_taken(&self, place: usize) -> bool {
        let is_there = |worker: &&Worker<C, W>| worker.takes() || worker.is_stillborn();
        let mut there = self.workers.values().filter(is_there);
        there.any(|worker| worker.place == place)
            || self.starting.values().any(|taken| *taken == place)
    }

    /// Tells whether no other worker in this place has calls.
    pub(super) fn is_alone(&self, id: u64, place: usize) -> bool {
        let mut others = self.workers.iter().filter(|(other, _)| **other != id);
        others.all(|(_, other)| other.place != place || other.is_idle())
    }

    /// Gives the first place that nobody takes.
    pub(super) fn free_place(&self) -> usize {
        (0..).find(|place| !self.is_taken(*place)).unwrap_or(0)
    }

    /// Gives the workers that can be given a call, the one first that has the least to
    /// do.
    pub(super) fn with_room(&self, rules: &Rules, now: Instant) -> Vec<u64> {
        let room = self.workers.iter();
        let mut room: Vec<_> = room
            .filter(|(_, worker)| worker.has_room(rules.depth, now))
            .map(|(id, worker)| (worker.given.len(), worker.place, *id))
            .collect();
        room.sort_unstable();
        room.into_iter().map(|(_, _, id)| id).collect()
    }

    /// Finds the worker that was given this call, and the call's number there.
    pub(super) fn find(&self, id: u64) -> Option<(u64, u64)> {
        let is_it = |given: &&Given<C>| given.order.as_ref().is_some_and(|it| it.id == id);
        self.workers.iter().find_map(|(worker, it)| {
            let given = it.given.iter().find(is_it)?;
            Some((*worker, given.number))
        })
    }
}
