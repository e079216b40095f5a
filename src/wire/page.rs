//! The page that an owner and its live worker share: how far each call is.
//!
//! Each call on its way has one word, its number and its phase. Both sides change it in
//! one step, so that either the worker begins a call or the owner takes it back.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use crate::sys::shared::Shared;

/// How many calls may be on their way to one worker.
pub(crate) const ROOM: u64 = 256;

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// It was given to the worker, which has not begun it.
    Given,
    /// The owner has taken it back: it never begins.
    Withdrawn,
    /// The worker has begun it.
    Begun,
    /// It has begun, and the owner wishes that it ends.
    Cancelled,
}

/// The page, in either process.
#[derive(Debug)]
pub(crate) struct Page(Shared);

impl Page {
    /// Makes a page, and gives the descriptor for the worker.
    pub(crate) fn make() -> io::Result<(Self, OwnedFd)> {
        Shared::make().map(|(shared, fd)| (Self(shared), fd))
    }

    /// Maps the page that the owner has made; `None` if this is none.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        Ok(Shared::of(fd)?.map(Self))
    }

    fn word(&self, number: u64) -> &AtomicU64 {
        // The remainder fits into any integer.
        &self.0.words()[usize::try_from(number % ROOM).unwrap_or(0)]
    }

    /// Moves a call from one phase to another; if it was in another one, that is the
    /// error.
    fn step(&self, number: u64, from: Phase, to: Phase) -> Result<(), Phase> {
        let (from, to) = (word(number, from), word(number, to));
        let stepped = self.word(number).compare_exchange(from, to, SeqCst, SeqCst);
        stepped.map(drop).map_err(|found| phase(number, found))
    }

    /// Tells how far a call is. What nobody here has written counts as begun.
    pub(crate) fn phase(&self, number: u64) -> Phase {
        phase(number, self.word(number).load(SeqCst))
    }
}

/// What the owner notes.
impl Page {
    /// Notes a call that is about to be sent. The call that had its word is answered.
    pub(crate) fn give(&self, number: u64) {
        let given = word(number, Phase::Given);
        self.word(number).store(given, SeqCst);
    }

    /// Takes a call back. Gives false if it has begun.
    pub(crate) fn withdraw(&self, number: u64) -> bool {
        let step = self.step(number, Phase::Given, Phase::Withdrawn);
        matches!(step, Ok(()) | Err(Phase::Withdrawn))
    }

    /// Tells the worker that the call which it runs should end.
    pub(crate) fn cancel(&self, number: u64) {
        // One that has ended need not be told.
        let _ = self.step(number, Phase::Begun, Phase::Cancelled);
    }
}

/// What the worker notes.
impl Page {
    /// Notes that a call begins. Gives false if the owner has taken it back.
    pub(crate) fn begin(&self, number: u64) -> bool {
        self.step(number, Phase::Given, Phase::Begun) != Err(Phase::Withdrawn)
    }
}

fn word(number: u64, phase: Phase) -> u64 {
    number << 2 | phase as u64
}

fn phase(number: u64, word: u64) -> Phase {
    let phases = [Phase::Given, Phase::Withdrawn, Phase::Cancelled];
    let found = phases
        .into_iter()
        .find(|it| word == self::word(number, *it));
    found.unwrap_or(Phase::Begun)
}

#[cfg(test)]
mod tests {
    use std::{os::fd::AsFd, thread};

    use super::*;

    /// Makes the page as the owner and as the worker have it.
    fn both() -> (Page, Page) {
        let (owner, fd) = Page::make().unwrap();
        (owner, Page::of(fd.as_fd()).unwrap().unwrap())
    }

    #[test]
    fn a_call_that_begins_cannot_be_taken_back() {
        let (owner, worker) = both();
        owner.give(5);
        assert_eq!(owner.phase(5), Phase::Given);
        assert!(worker.begin(5));
        assert_eq!(owner.phase(5), Phase::Begun);
        assert!(!owner.withdraw(5));
        owner.cancel(5);
        assert_eq!(worker.phase(5), Phase::Cancelled);
        assert!(!owner.withdraw(5));
    }

    #[test]
    fn a_call_that_was_taken_back_does_not_begin() {
        let (owner, worker) = both();
        owner.give(5);
        assert!(owner.withdraw(5) && owner.withdraw(5));
        owner.cancel(5);
        assert!(!worker.begin(5));
        assert_eq!(owner.phase(5), Phase::Withdrawn);
    }

    #[test]
    fn only_a_call_that_runs_is_told_to_end() {
        let (owner, worker) = both();
        owner.give(5);
        owner.cancel(5);
        assert_eq!(worker.phase(5), Phase::Given);
        owner.give(5 + ROOM);
        assert!(worker.begin(5 + ROOM));
        owner.cancel(5);
        assert_eq!(worker.phase(5 + ROOM), Phase::Begun);
    }

    #[test]
    fn calls_on_their_way_do_not_disturb_each_other() {
        let (owner, worker) = both();
        (1..=ROOM).for_each(|number| owner.give(number));
        assert!(worker.begin(1) && owner.withdraw(ROOM));
        assert!((2..ROOM).all(|number| owner.phase(number) == Phase::Given));
    }

    #[test]
    fn whatever_else_is_on_the_page_is_begun() {
        let (owner, worker) = both();
        for wrong in [0, 1, 7 << 2, u64::MAX, word(5 + ROOM, Phase::Given)] {
            worker.word(5).store(wrong, SeqCst);
            assert_eq!(owner.phase(5), Phase::Begun, "{wrong:#x}");
            assert!(!owner.withdraw(5));
        }
    }

    #[test]
    fn of_the_owner_and_the_worker_exactly_one_wins() {
        let (owner, worker) = both();
        for number in 1..2000 {
            owner.give(number);
            let (begun, withdrawn) = thread::scope(|scope| {
                let begins = scope.spawn(|| worker.begin(number));
                (owner.withdraw(number), begins.join().unwrap())
            });
            assert_ne!(begun, withdrawn);
        }
    }
}
