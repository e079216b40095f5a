//! The end of a worker, which its template has still to report. Pure.

use std::time::{Duration, Instant};

/// The first pause between two looks for the report of a template. It is doubled.
const PAUSE: Duration = Duration::from_micros(500);

/// How long the report may take. A template that is stopped gives none.
const PATIENCE: Duration = Duration::from_secs(1);

/// When there is to be a look for the report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    since: Instant,
    pub(super) next: Instant,
    pause: Duration,
}

impl Ending {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            next: now,
            pause: PAUSE,
        }
    }

    /// Notes that the report is not there.
    pub(super) fn wait(&mut self, now: Instant) {
        self.next = now + self.pause;
        self.pause *= 2;
    }

    /// Tells whether the report is waited for no longer.
    pub(super) fn is_late(self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rarer_until_it_is_late() {
        let begin = Instant::now();
        let mut ending = Ending::new(begin);
        let mut pauses = Vec::new();
        while !ending.is_late(ending.next) {
            let now = ending.next;
            ending.wait(now);
            pauses.push(ending.next - now);
        }
        assert!(pauses.len() < 15 && pauses[0] == PAUSE);
        assert!(pauses.is_sorted() && ending.next - begin >= PATIENCE);
    }
}
