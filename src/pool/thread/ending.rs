//! The end of a worker, which its template has still to report. Pure.

use std::time::{Duration, Instant};

/// The time until the first look when nobody waits for it: the report comes by itself, and
/// one look finds several.
pub(super) const REST: Duration = Duration::from_millis(5);

/// The first pause between two looks for the report of a template. It is doubled.
pub(super) const PAUSE: Duration = Duration::from_micros(500);

/// The longest pause.
const LONGEST: Duration = Duration::from_millis(64);

/// How long the report may take. A template that is stopped gives none.
const PATIENCE: Duration = Duration::from_secs(1);

/// When there is to be a look for the report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    /// When it was seen that the worker has ended.
    ended: Option<Instant>,
    pub(super) next: Instant,
    pause: Duration,
}

impl Ending {
    /// Has the first look after this time.
    pub(super) fn new(now: Instant, first: Duration) -> Self {
        Self {
            ended: None,
            next: now + first,
            pause: PAUSE,
        }
    }

    /// Notes that the report is not there.
    pub(super) fn wait(&mut self, now: Instant) {
        self.next = now + self.pause;
        self.pause = LONGEST.min(self.pause * 2);
    }

    /// Tells whether the report is waited for no longer. The worker has ended.
    pub(super) fn is_late(&mut self, now: Instant) -> bool {
        let ended = *self.ended.get_or_insert(now);
        now.saturating_duration_since(ended) >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rarer_until_it_is_late() {
        let begin = Instant::now();
        let mut ending = Ending::new(begin, PAUSE);
        assert_eq!(ending.next, begin + PAUSE);
        let mut pauses = Vec::new();
        while !ending.clone().is_late(ending.next) {
            let now = ending.next;
            assert!(!ending.is_late(now));
            ending.wait(now);
            pauses.push(ending.next - now);
        }
        assert!(pauses.len() < 30 && pauses[0] == PAUSE);
        assert!(pauses.is_sorted() && ending.next - begin >= PATIENCE);
    }
}
