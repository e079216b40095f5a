//! Processes that are about to end and may be children of this program: each is
//! collected when it has ended.
//!
//! Nobody waits for their end, and this program has no thread that could. So each
//! later call into the library looks at them: one atomic load where there are
//! none, else one `ppoll` in [`PAUSE`].

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::sync::{Own, lock};
use crate::sys::{
    ours::Ours,
    pidfd,
    poll::{Deadline, poll_many},
};

/// Between two looks: some of them may live for hours.
const PAUSE: Duration = Duration::from_millis(10);

/// What this process has still to collect.
static ENDING: Own<Ending> = Own::new();

/// The processes that one program waits for.
#[derive(Debug, Default)]
struct Ending {
    /// How many there are: where there are none, no lock is taken.
    count: AtomicUsize,
    list: Mutex<List<Left>>,
}

/// A process, by its pidfd.
#[derive(Debug)]
struct Left {
    pidfd: Ours,
    /// This program's end of its socket, which is open as long as this program
    /// lives and is not another one: its end is that of the template's workers.
    _socket: Option<Ours>,
}

/// Keeps a process until it has ended, and its socket open as long.
pub(super) fn keep(pidfd: Ours, socket: Option<Ours>) {
    let ending = ENDING.get();
    let mut list = lock(&ending.list);
    list.items.push(Left {
        pidfd,
        _socket: socket,
    });
    ending.count.store(list.items.len(), Ordering::Relaxed);
}

/// Collects those that have ended, if it is time to look.
pub(crate) fn look() {
    let ending = ENDING.get();
    if ending.count.load(Ordering::Relaxed) == 0 {
        return;
    }
    // The thread that has it looks, or adds one that is looked at next time.
    let Ok(mut list) = ending.list.try_lock() else {
        return;
    };
    if list.is_due(Instant::now()) {
        let ended = ended(&list.items);
        list.remove(&ended);
        ending.count.store(list.items.len(), Ordering::Relaxed);
    }
}

/// The places of those that have ended, which are collected. Nothing is known
/// where the kernel does not tell: then it is asked the next time.
fn ended(items: &[Left]) -> Vec<usize> {
    let pidfds: Vec<BorrowedFd<'_>> = items.iter().map(|left| left.pidfd.as_fd()).collect();
    let now = Deadline::after(Duration::ZERO);
    let mut ended = poll_many(&pidfds, now).unwrap_or_default();
    ended.retain(|at| match items[*at].pidfd.still() {
        // Of another's child there is nothing to take.
        Some(pidfd) => pidfd::collect(pidfd) != pidfd::Collected::NotYet,
        // The program has closed it: nobody can ask any more.
        None => true,
    });
    ended
}

/// What is kept, and when it is looked at next.
#[derive(Debug)]
struct List<T> {
    items: Vec<T>,
    next: Option<Instant>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            next: None,
        }
    }
}

impl<T> List<T> {
    /// Whether it is time to look; then it is not for the next while.
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.next.is_none_or(|next| next <= now);
        if is_due {
            self.next = now.checked_add(PAUSE);
        }
        is_due
    }

    /// Takes out those at these places, which are in order.
    fn remove(&mut self, places: &[usize]) {
        for at in places.iter().rev() {
            self.items.swap_remove(*at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[u8]) -> List<u8> {
        List {
            items: items.to_vec(),
            next: None,
        }
    }

    #[test]
    fn is_looked_at_once_in_a_while() {
        let (mut list, start) = (list(&[1]), Instant::now());
        assert!(list.is_due(start), "the first time");
        assert!(!list.is_due(start) && !list.is_due(start + PAUSE / 2));
        assert!(list.is_due(start + PAUSE));
        assert!(!list.is_due(start + PAUSE), "a while after that one");
    }

    #[test]
    fn those_that_have_ended_are_taken_out_and_no_others() {
        for (places, left) in [
            (&[][..], &[0, 1, 2, 3][..]),
            (&[0], &[1, 2, 3]),
            (&[3], &[0, 1, 2]),
            (&[1, 2], &[0, 3]),
            (&[0, 3], &[1, 2]),
            (&[0, 1, 2, 3], &[]),
        ] {
            let mut list = list(&[0, 1, 2, 3]);
            list.remove(places);
            list.items.sort_unstable();
            assert_eq!(list.items, left, "without {places:?}");
        }
    }
}
