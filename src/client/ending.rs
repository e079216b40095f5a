//! Processes that are about to end and may be children of this program: each is
//! collected when it has ended.
//!
//! Nobody waits for their end, and this program has no thread that could. So each later
//! call into the library looks at them: that is one atomic load when there are none,
//! and otherwise one `ppoll` in each [`PAUSE`].

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

/// The time between two looks: some of them may live for hours.
const PAUSE: Duration = Duration::from_millis(10);

/// What this process still has to collect.
static ENDING: Own<Ending> = Own::new();

/// The processes that one program waits for.
#[derive(Debug, Default)]
struct Ending {
    /// How many there are: when there are none, no lock is taken.
    count: AtomicUsize,
    list: Mutex<List<Left>>,
}

/// A process, by its pidfd.
#[derive(Debug)]
struct Left {
    pidfd: Ours,
    /// This program's end of its socket. It is open as long as this program lives and
    /// has not become another one, because the end of the socket is the end of the
    /// template's workers.
    _socket: Option<Ours>,
}

/// Keeps a process until it has ended, and keeps its socket open as long.
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
    // The thread that has the lock looks, or adds a process that is looked at next
    // time.
    let Ok(mut list) = ending.list.try_lock() else {
        return;
    };
    if list.is_due(Instant::now()) {
        let ended = ended(&list.items);
        list.remove(&ended);
        ending.count.store(list.items.len(), Ordering::Relaxed);
    }
}

/// Collects those that have ended, and gives their places. When the kernel does not
/// tell, nothing is known, and it is asked again the next time.
fn ended(items: &[Left]) -> Vec<usize> {
    let pidfds: Vec<BorrowedFd<'_>> = items.iter().map(|left| left.pidfd.as_fd()).collect();
    let now = Deadline::NOW;
    let mut ended = poll_many(&pidfds, now).unwrap_or_default();
    ended.retain(|at| match items[*at].pidfd.still() {
        // The child of another process leaves nothing to collect.
        Some(pidfd) => pidfd::collect(pidfd) != pidfd::Collected::NotYet,
        // The program has closed the pidfd: nobody can ask any more.
        None => true,
    });
    ended
}

/// What is kept, and when to look at it next.
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
    /// Tells whether it is time to look. If so, it is not time again for a while.
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.next.is_none_or(|next| next <= now);
        if is_due {
            self.next = now.checked_add(PAUSE);
        }
        is_due
    }

    /// Takes out the items at these places, which are in order.
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
