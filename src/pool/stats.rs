//! What a pool counts. Pure.

use std::{fmt, time::Duration};

/// What a pool has done, and what it has; [`Pool::stats`](super::Pool::stats) gives it.
/// What is counted is counted since the pool was built.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// How many workers there are.
    pub workers: usize,
    /// How many of them have no call.
    pub idle: usize,
    /// How many calls wait.
    pub waiting: usize,
    /// How many calls workers have: those that run, and those given in advance.
    pub running: usize,
    /// How many calls were taken in.
    pub calls: u64,
    /// How many calls gave a result.
    pub done: u64,
    /// How many calls ended with an error of their own, such as a panic or a result that
    /// is too long, or could not be given to a worker.
    pub failed: u64,
    /// How many calls were cancelled, killed, or dropped before they began.
    pub cancelled: u64,
    /// How many calls `try_call` has refused.
    pub refused: u64,
    /// How many calls ran into a limit of time.
    pub timed_out: u64,
    /// How many calls were lost because their worker ended.
    pub lost: u64,
    /// How many times a call waited again because its worker ended.
    pub again: u64,
    /// How many workers have started.
    pub started: u64,
    /// How many workers have ended.
    pub ended: u64,
    /// How long calls have waited until they were given to a worker.
    pub waited: Histogram,
    /// How long calls have run until they were answered.
    pub ran: Histogram,
}

/// The part of the statistics that is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) calls: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) refused: u64,
    pub(super) timed_out: u64,
    pub(super) lost: u64,
    pub(super) started: u64,
    pub(super) ended: u64,
    pub(super) waited: Histogram,
    pub(super) ran: Histogram,
}

impl Stats {
    /// Makes them of what was counted, of how often calls waited again, and of the numbers
    /// of workers, idle workers, calls that wait and calls that run.
    pub(super) fn new(
        counts: &Counts,
        again: u64,
        [workers, idle, waiting, running]: [usize; 4],
    ) -> Self {
        let counts = counts.clone();
        Self {
            workers,
            idle,
            waiting,
            running,
            calls: counts.calls,
            done: counts.done,
            failed: counts.failed,
            cancelled: counts.cancelled,
            refused: counts.refused,
            timed_out: counts.timed_out,
            lost: counts.lost,
            again,
            started: counts.started,
            ended: counts.ended,
            waited: counts.waited,
            ran: counts.ran,
        }
    }
}

/// How many parts of equal length each power of two has.
const PARTS: u64 = 4;

/// How many durations there were of which length, to within a quarter.
///
/// # Examples
///
/// ```
/// #[zygote::entry]
/// fn nap() {
///     std::thread::sleep(std::time::Duration::from_millis(10));
/// }
///
/// let pool = zygote::Pool::new(1)?;
/// pool.call(nap::task()).join()?;
/// let ran = pool.stats().ran;
/// assert_eq!(ran.count(), 1);
/// assert!(ran.max().as_millis() >= 10 && ran.quantile(0.5) >= ran.max());
/// # Ok::<(), zygote::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Histogram {
    /// How many durations fall into each part of each power of two of nanoseconds.
    parts: Vec<u64>,
    count: u64,
    sum: Duration,
    max: Duration,
}

impl Histogram {
    pub(super) fn note(&mut self, time: Duration) {
        let at = part(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        if self.parts.len() <= at {
            self.parts.resize(at + 1, 0);
        }
        self.parts[at] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(time);
        self.max = self.max.max(time);
    }

    /// Gives how many durations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Gives the mean; zero if there were none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let nanos = self.sum.as_nanos() / u128::from(self.count.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Gives the longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// Gives the time that this share of the durations does not exceed, such as 0.99.
    /// It may be a quarter too long, and is zero if there were none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let mut seen = 0;
        for (at, count) in self.parts.iter().enumerate() {
            seen += count;
            // Both numbers are counts, far below 2⁵².
            if *count > 0 && seen as f64 >= share * self.count as f64 {
                return Duration::from_nanos(end(at));
            }
        }
        self.max
    }
}

/// Gives the part into which so many nanoseconds fall.
fn part(nanos: u64) -> usize {
    let power = nanos.max(PARTS).ilog2() - PARTS.ilog2();
    // Both are small: at most 62 powers, and less than twice the parts.
    let part = u64::from(power) * PARTS + (nanos >> power);
    usize::try_from(part).unwrap_or(0)
}

/// Gives the nanoseconds at which a part ends.
fn end(part: usize) -> u64 {
    let part = part as u64;
    let power = (part / PARTS).saturating_sub(1);
    let within = part - power * PARTS;
    (within + 1)
        .checked_shl(u32::try_from(power).unwrap_or(0))
        .unwrap_or(u64::MAX)
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count)
            .field("mean", &self.mean())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_falls_into_a_part_that_ends_within_a_quarter_behind_it() {
        let mut last = 0;
        for nanos in (0..4096).chain((12..63).flat_map(|bit| [1 << bit, (1 << bit) * 3 / 2 + 7])) {
            let (part, end) = (part(nanos), end(part(nanos)));
            assert!(part >= last, "{nanos}");
            last = part;
            assert!(nanos < end && end <= nanos + nanos / 4 + 1, "{nanos} {end}");
        }
    }

    #[test]
    fn quantiles_are_within_a_quarter() {
        let mut times = Histogram::default();
        assert_eq!((times.quantile(0.5), times.mean()), Default::default());
        (1..=1000).for_each(|micros| times.note(Duration::from_micros(micros)));
        assert_eq!(times.count(), 1000);
        assert_eq!(times.max(), Duration::from_millis(1));
        assert_eq!(times.mean(), Duration::from_nanos(500_500));
        for (share, exact) in [(0.01, 10), (0.5, 500), (0.99, 990), (1.0, 1000)] {
            let (found, exact) = (times.quantile(share), Duration::from_micros(exact));
            assert!(
                exact <= found && found <= exact * 5 / 4 + exact / 100,
                "{share}: {found:?}"
            );
        }
    }
}
