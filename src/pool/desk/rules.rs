//! What a pool was told about its workers. Pure.

use std::{ops::RangeInclusive, time::Duration};

/// How long a worker that was told to end, or answers nothing more, may take.
pub(super) const LEAVE: Duration = Duration::from_secs(5);

/// How long a socket that was full is left alone when nothing comes back.
pub(super) const FULL: Duration = Duration::from_millis(1);

/// How many workers may end before they begin a call, and how many starts may fail with
/// no worker alive, until a call fails.
pub(super) const TRIES: u32 = 5;

/// The pauses after starts that failed: the first one, doubled each time, and the most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(1));

/// Workers differ in how much they do before they are replaced, so that not all of them
/// are at the same time: by up to so many parts …
const PARTS: u64 = 8;

/// … each of which is this share of the whole.
const SHARE: u64 = 64;

#[derive(Clone, Debug)]
pub(in crate::pool) struct Rules {
    pub(in crate::pool) least: usize,
    pub(in crate::pool) most: usize,
    /// After so many calls a worker is replaced.
    pub(in crate::pool) calls: Option<u64>,
    pub(in crate::pool) age: Option<Duration>,
    /// After it has grown by so many bytes.
    pub(in crate::pool) memory: Option<u64>,
    /// After so long without a call, a worker above the least number ends.
    pub(in crate::pool) idle: Duration,
    /// How many calls a worker has at once.
    pub(in crate::pool) depth: usize,
    pub(in crate::pool) keeps_after_panic: bool,
}

impl Rules {
    pub(in crate::pool) fn new() -> Self {
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            least: 0,
            most,
            calls: None,
            age: None,
            memory: None,
            idle: Duration::from_secs(10),
            depth: 1,
            keeps_after_panic: false,
        }
    }

    pub(in crate::pool) fn set_workers(&mut self, workers: &RangeInclusive<usize>) {
        self.most = (*workers.end()).max(1);
        self.least = (*workers.start()).min(self.most);
    }

    /// Tells how many calls the worker with this id is given: exactly so many if they
    /// are few.
    pub(super) fn calls_of(&self, id: u64) -> u64 {
        let calls = self.calls.map_or(u64::MAX, |calls| calls.max(1));
        calls.saturating_add(calls / SHARE * (id % PARTS))
    }

    /// Tells how old the worker with this id may become.
    pub(super) fn age_of(&self, id: u64) -> Option<Duration> {
        let age = self.age?;
        // The remainder fits into any integer.
        let parts = u32::try_from(id % PARTS).unwrap_or(0);
        Some(age.saturating_add(age / 64 * parts))
    }
}

/// Tells how long nothing is started after so many starts that failed.
pub(super) fn pause(failures: u32) -> Duration {
    let (first, most) = PAUSES;
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1));
    doubled.map_or(most, |times| first.saturating_mul(times).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_not_replaced_all_at_once_and_never_too_early() {
        let mut rules = Rules::new();
        assert_eq!(rules.calls_of(3), u64::MAX);
        rules.age = Some(Duration::from_secs(64));
        for (calls, expected) in [(0, 1..=1), (1, 1..=1), (5, 5..=5), (1000, 1000..=1105)] {
            rules.calls = Some(calls);
            let all: Vec<u64> = (0..8).map(|id| rules.calls_of(id)).collect();
            assert!(all.iter().all(|it| expected.contains(it)), "{all:?}");
            let is_fixed = expected.start() == expected.end();
            assert_eq!(all[0] == all[7], is_fixed, "{calls}");
        }
        assert_eq!(rules.age_of(8), rules.age);
        assert_eq!(rules.age_of(7), Some(Duration::from_secs(71)));
    }

    #[test]
    fn pauses_are_doubled_up_to_the_most() {
        let millis = [1, 2, 5, 11, 12, 999].map(|failures| pause(failures).as_millis());
        assert_eq!(millis, [1, 2, 16, 1000, 1000, 1000]);
    }

    #[test]
    fn a_pool_has_at_least_one_worker_at_most() {
        let mut rules = Rules::new();
        assert!(rules.least == 0 && rules.most >= 1);
        for (range, expected) in [
            (0..=0, (0, 1)),
            (2..=4, (2, 4)),
            (RangeInclusive::new(5, 3), (3, 3)),
        ] {
            rules.set_workers(&range);
            assert_eq!((rules.least, rules.most), expected);
        }
    }
}
