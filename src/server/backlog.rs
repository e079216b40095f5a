//! When a template forks the spares that it was asked for.

use std::{
    collections::VecDeque,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    time::Duration,
};

use crate::sys::poll::Deadline;

/// How long nothing must have happened before a spare is forked that takes no child's
/// place: a fork takes time from the processes that are at work.
const QUIET: Duration = Duration::from_millis(5);

/// The pause between two spares when it is quiet: a process that wants something goes
/// first.
const STEP: Duration = Duration::from_millis(1);

/// Spares that have not been forked yet: their numbers, and their ends of their
/// sockets.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    spares: VecDeque<(u64, OwnedFd)>,
    due: Option<Deadline>,
    /// Whether a child has ended since the last spare was forked: then another takes
    /// its place.
    has_place: bool,
}

impl Backlog {
    pub(super) fn add(&mut self, number: u64, end: OwnedFd) {
        self.spares.push_back((number, end));
        self.wait();
    }

    /// Notes that something else was done: the next spare is forked when it has been
    /// quiet again.
    pub(super) fn wait(&mut self) {
        self.due = Some(Deadline::after(QUIET));
    }

    /// Notes that a child has ended. Others may follow, and their places are enough.
    pub(super) fn child_ended(&mut self) {
        self.has_place = true;
        self.wait();
    }

    /// Tells when the next spare should be forked, if there is nothing else to do then.
    pub(super) fn due(&self) -> Deadline {
        match self.due {
            _ if self.spares.is_empty() => Deadline::NEVER,
            _ if self.has_place => Deadline::NOW,
            due => due.unwrap_or(Deadline::NEVER),
        }
    }

    /// Takes the spare that is forked next.
    pub(super) fn next(&mut self) -> Option<(u64, OwnedFd)> {
        let pause = if self.has_place { QUIET } else { STEP };
        self.has_place = false;
        self.due = Some(Deadline::after(pause));
        self.spares.pop_front()
    }

    /// Takes the spare of this number, if it has not been forked yet.
    pub(super) fn take(&mut self, number: u64) -> Option<OwnedFd> {
        let at = self.spares.iter().position(|spare| spare.0 == number)?;
        self.spares.remove(at).map(|(_, end)| end)
    }

    /// Puts back a spare that could not be forked. It is not tried again before
    /// something else has happened, or a fork that fails would be tried without end.
    pub(super) fn put_back(&mut self, number: u64, end: OwnedFd) {
        self.spares.push_front((number, end));
        self.due = None;
    }

    pub(super) fn ends(&self) -> impl Iterator<Item = RawFd> {
        self.spares.iter().map(|(_, end)| end.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    fn backlog(count: u64) -> Backlog {
        let mut backlog = Backlog::default();
        (0..count).for_each(|number| backlog.add(number, end()));
        backlog
    }

    /// Tells whether the backlog waits for quiet, without a look at the clock: another
    /// process may hold this one up.
    fn waits_for_quiet(backlog: &Backlog) -> bool {
        has_due(backlog) && !backlog.has_place
    }

    fn is_due(backlog: &Backlog) -> bool {
        backlog.has_place && backlog.due().passed()
    }

    fn has_due(backlog: &Backlog) -> bool {
        backlog.due().remaining().is_some()
    }

    #[test]
    fn nothing_is_forked_unasked() {
        let mut backlog = backlog(0);
        backlog.child_ended();
        backlog.wait();
        assert!(!has_due(&backlog));
        assert!(backlog.next().is_none());
    }

    #[test]
    fn spares_come_in_order_each_after_quiet_or_in_a_childs_place() {
        let mut backlog = backlog(3);
        assert!(waits_for_quiet(&backlog), "after quiet");
        backlog.child_ended();
        assert!(is_due(&backlog), "in its place");
        assert_eq!(backlog.next().unwrap().0, 0);
        assert!(waits_for_quiet(&backlog), "and no other");
        assert_eq!(backlog.next().unwrap().0, 1);
        assert_eq!(backlog.next().unwrap().0, 2);
        assert!(!has_due(&backlog), "none left");
    }

    #[test]
    fn one_that_somebody_waits_for_is_taken_once() {
        let mut backlog = backlog(3);
        assert_eq!(backlog.ends().count(), 3);
        assert!(backlog.take(1).is_some() && backlog.take(1).is_none());
        assert!(backlog.take(7).is_none());
        assert_eq!(backlog.next().unwrap().0, 0);
        assert_eq!(backlog.next().unwrap().0, 2);
    }

    #[test]
    fn one_that_could_not_be_forked_is_not_tried_again_at_once() {
        let mut backlog = backlog(2);
        let (number, end) = backlog.next().unwrap();
        backlog.put_back(number, end);
        assert!(!has_due(&backlog));
        backlog.child_ended();
        assert!(is_due(&backlog));
        assert_eq!(backlog.next().unwrap().0, number);
    }
}
