//! How many spares a process has in stock, which its owner asks for. Pure.

use std::collections::VecDeque;

/// The most that wait in stock, if nothing else is set.
const LIMIT: usize = 16;

/// The smallest stock to aim for: with that, most spawns ask for none.
const LEAST: usize = 8;

/// A process that is forked fewer times than this has no stock.
const USES: u64 = 2;

/// Spares of type `P`: processes that were asked for before they are needed.
#[derive(Debug)]
pub(super) struct Stock<P> {
    /// They hold on to the process that they are forks of, so they are taken out when
    /// it ends.
    waiting: VecDeque<P>,
    /// The most that may wait.
    limit: usize,
    /// The most children that were in use at the same time.
    peak: usize,
    /// How often something was forked.
    uses: u64,
    /// Whether there are no more forks.
    is_closed: bool,
}

impl<P> Default for Stock<P> {
    fn default() -> Self {
        Self::new(LIMIT)
    }
}

impl<P> Stock<P> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            limit,
            peak: 0,
            uses: 0,
            is_closed: false,
        }
    }

    /// Notes a fork, and gives a spare for it, if there is one. `children` is the
    /// number of those that have handles, including the spares.
    pub(super) fn take(&mut self, children: usize) -> Option<P> {
        let in_use = (children + 1).saturating_sub(self.waiting.len());
        self.peak = self.peak.max(in_use);
        self.uses += 1;
        self.waiting.pop_front()
    }

    /// Gives the spare that is taken next.
    #[cfg(feature = "pool")]
    pub(super) fn first(&self) -> Option<&P> {
        self.waiting.front()
    }

    /// Tells how many to ask for now: none until half are gone, then as many as are
    /// missing from the number that was in use at the same time.
    pub(super) fn missing(&self) -> usize {
        let target = self.limit.min(self.peak.max(LEAST));
        let missing = target.saturating_sub(self.waiting.len());
        let is_worth_it = self.uses >= USES && 2 * missing >= target;
        if is_worth_it && !self.is_closed {
            missing
        } else {
            0
        }
    }

    pub(super) fn add(&mut self, spare: P) {
        self.waiting.push_back(spare);
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Sets how many may wait from here on. Those that wait were asked for under
    /// another limit, which is also the limit of their own stock, so they are taken
    /// out.
    pub(super) fn set_limit(&mut self, limit: usize) -> VecDeque<P> {
        match std::mem::replace(&mut self.limit, limit) == limit {
            true => VecDeque::new(),
            false => self.drain(),
        }
    }

    /// Takes all out, because what comes next changes what a fork is.
    pub(super) fn drain(&mut self) -> VecDeque<P> {
        std::mem::take(&mut self.waiting)
    }

    /// Allows no more forks, and takes all out; `None` if it was closed before.
    pub(super) fn close(&mut self) -> Option<VecDeque<P>> {
        match std::mem::replace(&mut self.is_closed, true) {
            true => None,
            false => Some(self.drain()),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a filled stock that was used twice, with this many children in use.
    fn filled(limit: usize, in_use: usize) -> Stock<usize> {
        let mut stock = Stock::new(limit);
        stock.take(0);
        stock.take(in_use.saturating_sub(1));
        (0..stock.missing()).for_each(|spare| stock.add(spare));
        stock
    }

    #[test]
    fn what_is_used_once_has_none() {
        let mut stock = Stock::<u8>::default();
        assert_eq!((stock.missing(), stock.take(0)), (0, None));
        assert_eq!((stock.missing(), stock.take(0)), (0, None));
        assert_eq!(stock.missing(), LEAST);
    }

    #[test]
    fn as_many_are_asked_for_as_were_in_use_between_least_and_limit() {
        for (limit, in_use, missing) in [
            (16, 1, LEAST),
            (16, 11, 11),
            (16, 40, 16),
            (40, 30, 30),
            (3, 10, 3),
            (0, 10, 0),
        ] {
            assert_eq!(filled(limit, in_use).waiting.len(), missing);
        }
    }

    #[test]
    fn what_waits_is_not_in_use() {
        let mut stock = filled(16, 10);
        // Nine workers still live, besides ten spares.
        stock.take(19);
        assert_eq!(stock.peak, 10);
        stock.take(19);
        assert_eq!(stock.peak, 11);
    }

    #[test]
    fn more_are_asked_for_when_half_are_gone_and_the_oldest_goes_first() {
        let mut stock = filled(16, 10);
        for spare in 0..4 {
            assert_eq!(stock.take(10), Some(spare));
            assert_eq!(stock.missing(), 0, "{spare}");
        }
        assert_eq!(stock.take(10), Some(4));
        assert_eq!(stock.missing(), 5);
    }

    #[test]
    fn another_limit_and_a_change_empty_it() {
        let mut stock = filled(16, 10);
        assert_eq!(stock.set_limit(16).len(), 0, "it is none");
        for limit in [20, 4] {
            assert!(!stock.set_limit(limit).is_empty());
            assert_eq!(stock.limit(), limit);
            (0..stock.missing()).for_each(|spare| stock.add(spare));
        }
        assert_eq!(stock.drain().len(), 4);
        assert_eq!(stock.missing(), 4);
    }

    #[test]
    fn one_that_is_closed_gives_all_out_once_and_asks_for_none() {
        let mut stock = filled(16, 10);
        assert!(!stock.is_closed());
        assert_eq!(stock.close().map(|spares| spares.len()), Some(10));
        assert!(stock.is_closed() && stock.close().is_none());
        assert_eq!(stock.missing(), 0);
    }
}
