//! The calls that wait: in named queues, which are served by turns. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::order::{Order, Rank};

/// Where a call must run: in this place, or in any.
type Lane = Option<usize>;

/// One queue.
#[derive(Debug)]
struct Queue<C> {
    name: Box<str>,
    /// How many of its calls may be with workers.
    concurrency: usize,
    /// How many are with workers.
    given: usize,
    waiting: usize,
    lanes: BTreeMap<Lane, BTreeMap<Rank, Order<C>>>,
}

/// All queues. The first one has no name.
#[derive(Debug)]
pub(super) struct Queues<C> {
    queues: Vec<Queue<C>>,
    /// The queue whose turn it is.
    next: usize,
    /// Where each call waits, by its id.
    spots: BTreeMap<u64, (usize, Lane, Rank)>,
    /// When calls that wait are due.
    dues: BTreeSet<(Instant, u64)>,
    /// How many places there are.
    places: usize,
}

impl<C> Queues<C> {
    pub(super) fn new(places: usize) -> Self {
        let mut new = Self {
            queues: Vec::new(),
            next: 0,
            spots: BTreeMap::new(),
            dues: BTreeSet::new(),
            places,
        };
        new.find("");
        new
    }

    /// Gives the number of the queue with this name, which is made if there is none.
    pub(super) fn find(&mut self, name: &str) -> usize {
        let found = self.queues.iter().position(|queue| &*queue.name == name);
        found.unwrap_or_else(|| {
            self.queues.push(Queue {
                name: name.into(),
                concurrency: usize::MAX,
                given: 0,
                waiting: 0,
                lanes: BTreeMap::new(),
            });
            self.queues.len() - 1
        })
    }

    /// Says how many calls of a queue may be with workers at once.
    pub(super) fn set_concurrency(&mut self, queue: usize, most: usize) {
        self.queues[queue].concurrency = most;
    }

    /// Tells how many calls wait in a queue.
    pub(super) fn waiting(&self, queue: usize) -> usize {
        self.queues[queue].waiting
    }

    /// Tells how many calls wait in all queues.
    pub(super) fn len(&self) -> usize {
        self.spots.len()
    }

    /// Tells when the first call that waits is due.
    pub(super) fn first_due(&self) -> Option<Instant> {
        self.dues.first().map(|(due, _)| *due)
    }
}

/// Calls come and go.
impl<C> Queues<C> {
    pub(super) fn put(&mut self, order: Order<C>) {
        let (id, at, rank) = (order.id, order.queue, order.rank());
        let lane = lane(order.limits.key, self.places);
        if let Some(due) = order.due() {
            self.dues.insert((due, id));
        }
        self.spots.insert(id, (at, lane, rank));
        let queue = &mut self.queues[at];
        queue.waiting += 1;
        queue.lanes.entry(lane).or_default().insert(rank, order);
    }

    /// Takes out a call, if it waits.
    pub(super) fn remove(&mut self, id: u64) -> Option<Order<C>> {
        let (at, lane, rank) = self.spots.remove(&id)?;
        let queue = &mut self.queues[at];
        let ranks = queue.lanes.get_mut(&lane)?;
        let order = ranks.remove(&rank)?;
        if ranks.is_empty() {
            queue.lanes.remove(&lane);
        }
        queue.waiting -= 1;
        if let Some(due) = order.due() {
            self.dues.remove(&(due, id));
        }
        Some(order)
    }

    /// Takes out a call that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Order<C>> {
        let (due, id) = *self.dues.first()?;
        (due <= now).then(|| self.remove(id)).flatten()
    }

    /// Takes out the first call.
    pub(super) fn pop(&mut self) -> Option<Order<C>> {
        let id = *self.spots.first_key_value()?.0;
        self.remove(id)
    }

    /// Takes out the call that a worker runs next, from the queue whose turn it is. In
    /// its place it also runs those with keys, unless there is none.
    pub(super) fn take(&mut self, place: Option<usize>) -> Option<Order<C>> {
        let count = self.queues.len();
        let mut by_turns = (0..count).map(|step| (self.next + step) % count);
        let (at, rank) = by_turns.find_map(|at| Some((at, self.queues[at].first(place)?)))?;
        self.next = at + 1;
        let order = self.remove(rank.1)?;
        self.queues[at].given += 1;
        Some(order)
    }

    /// Notes that a call of this queue is no longer with a worker.
    pub(super) fn back(&mut self, queue: usize) {
        self.queues[queue].given -= 1;
    }

    /// Takes out all.
    pub(super) fn drain(&mut self) -> Vec<Order<C>> {
        let ids: Vec<u64> = self.spots.keys().copied().collect();
        ids.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Says how many places there are. Keys move.
    pub(super) fn set_places(&mut self, places: usize) {
        let all = self.drain();
        self.places = places;
        all.into_iter().for_each(|order| self.put(order));
    }
}

/// What could run if there were workers.
impl<C> Queues<C> {
    /// Tells how many calls without a key wait that their queues let run.
    pub(super) fn free(&self) -> usize {
        let free = |queue: &Queue<C>| {
            let waiting = queue.lanes.get(&None).map_or(0, BTreeMap::len);
            waiting.min(queue.concurrency.saturating_sub(queue.given))
        };
        self.queues.iter().map(free).sum()
    }

    /// Gives the places in which calls with keys wait that their queues let run.
    pub(super) fn places(&self) -> BTreeSet<usize> {
        let open = self.queues.iter().filter(|queue| queue.is_open());
        open.flat_map(|queue| queue.lanes.keys().copied().flatten())
            .collect()
    }
}

impl<C> Queue<C> {
    fn is_open(&self) -> bool {
        self.given < self.concurrency
    }

    /// Gives the rank of the first call without a key, or with one of this place.
    fn first(&self, place: Option<usize>) -> Option<Rank> {
        let first = |lane: Lane| self.lanes.get(&lane)?.keys().next().copied();
        let keyed = place.and_then(|place| first(Some(place)));
        let ranks = [first(None), keyed];
        ranks.into_iter().flatten().min().filter(|_| self.is_open())
    }
}

fn lane(key: Option<u64>, places: usize) -> Lane {
    // The remainder fits into any integer.
    key.map(|key| usize::try_from(key % places.max(1) as u64).unwrap_or(0))
}
