//! Who reads a line, and when a wait on it is over. Pure.

use std::time::Duration;

/// How long a thread sleeps while another reads, before it looks at its deadline.
const PATIENCE: Duration = Duration::from_millis(1);

/// How many frames are still read when a wait is over: more than a socket holds by
/// default. A sender that is faster than that is not waited for.
pub(super) const QUEUE: usize = 1024;

/// The turn to read. One thread at a time has it, and stores what it reads for all.
#[derive(Debug, Default)]
pub(super) struct Turn {
    is_taken: bool,
    /// How many threads wait until it is given back.
    waiting: usize,
    /// Whether somebody who does not wait, as a future, found it taken.
    is_missed: bool,
}

impl Turn {
    /// Takes the turn, if nobody has it.
    pub(super) fn take(&mut self) -> bool {
        !std::mem::replace(&mut self.is_taken, true)
    }

    /// Gives it back, and tells whether a thread is to be woken.
    pub(super) fn give_back(&mut self) -> bool {
        self.is_taken = false;
        self.waiting > 0
    }

    /// Tells whether somebody who does not wait has found it taken since this was asked
    /// last. What it looked for may be in the socket, and the thread that had the turn
    /// reads no further.
    pub(super) fn was_missed(&mut self) -> bool {
        std::mem::take(&mut self.is_missed)
    }

    /// Tells how long this thread may sleep while another reads, out of the time it has
    /// left.
    pub(super) fn sleep(&mut self, left: Option<Duration>) -> Duration {
        self.waiting += 1;
        self.is_missed |= left == Some(Duration::ZERO);
        left.map_or(PATIENCE, |left| left.min(PATIENCE))
    }

    pub(super) fn wake(&mut self) {
        self.waiting -= 1;
    }
}

/// Why a wait is over although it has found nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Over {
    Watched,
    TimedOut,
}

/// One thread's wait.
#[derive(Debug, Default)]
pub(super) struct Wait {
    over: Option<Over>,
    /// How often something was still there when the wait should have been over.
    late: usize,
}

impl Wait {
    pub(super) fn over(&self) -> Option<Over> {
        self.over
    }

    /// Notes that this thread has read, and whether nothing was there, the watched
    /// descriptor was ready, or the deadline had passed. What was in the queue by then
    /// still counts, so the queue is read to its end first.
    pub(super) fn after_read(&mut self, nothing: bool, watched: bool, passed: bool) {
        self.late += usize::from(watched || passed);
        if nothing || self.late > QUEUE {
            let time = passed.then_some(Over::TimedOut);
            self.over = watched.then_some(Over::Watched).or(time);
        }
    }

    /// Notes that this thread has slept while another read.
    pub(super) fn after_sleep(&mut self, passed: bool) {
        self.over = passed.then_some(Over::TimedOut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_reads_at_a_time() {
        let mut turn = Turn::default();
        assert!(turn.take());
        assert!(!turn.take(), "it is another's");
        turn.give_back();
        assert!(turn.take());
    }

    #[test]
    fn a_thread_that_waits_for_the_turn_is_woken_and_no_other() {
        let mut turn = Turn::default();
        turn.take();
        assert!(!turn.give_back(), "nobody waits");
        turn.take();
        turn.sleep(None);
        turn.sleep(None);
        turn.wake();
        assert!(turn.give_back(), "one still waits");
        turn.wake();
        turn.take();
        assert!(!turn.give_back());
    }

    #[test]
    fn who_finds_it_taken_and_does_not_wait_has_missed_it() {
        let mut turn = Turn::default();
        turn.take();
        turn.sleep(None);
        turn.sleep(Some(PATIENCE));
        assert!(!turn.was_missed(), "they wait");
        turn.sleep(Some(Duration::ZERO));
        assert!(turn.was_missed());
        assert!(!turn.was_missed(), "once");
    }

    #[test]
    fn nobody_sleeps_longer_than_it_may() {
        let mut turn = Turn::default();
        assert_eq!(turn.sleep(None), PATIENCE);
        assert_eq!(turn.sleep(Some(Duration::from_secs(9))), PATIENCE);
        assert_eq!(turn.sleep(Some(PATIENCE / 2)), PATIENCE / 2);
    }

    #[test]
    fn a_wait_goes_on_as_long_as_there_is_time() {
        let mut wait = Wait::default();
        wait.after_read(true, false, false);
        wait.after_sleep(false);
        wait.after_read(false, false, false);
        assert_eq!(wait.over(), None);
        wait.after_sleep(true);
        assert_eq!(wait.over(), Some(Over::TimedOut));
    }

    #[test]
    fn what_is_in_the_queue_is_read_before_a_wait_is_over() {
        for (watched, over) in [(true, Over::Watched), (false, Over::TimedOut)] {
            let mut wait = Wait::default();
            wait.after_read(false, watched, true);
            assert_eq!(wait.over(), None, "something was there");
            wait.after_read(true, watched, true);
            assert_eq!(wait.over(), Some(over));
        }
    }

    #[test]
    fn who_sends_without_end_is_not_heard_out() {
        let mut wait = Wait::default();
        for _ in 0..QUEUE {
            wait.after_read(false, false, true);
        }
        assert_eq!(wait.over(), None);
        wait.after_read(false, false, true);
        assert_eq!(wait.over(), Some(Over::TimedOut));
    }
}
