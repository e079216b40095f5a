//! A line: one socket, frames in and out. It knows no process.

mod answers;
mod children;
mod inbox;
mod listen;
mod turn;

use std::{
    os::fd::BorrowedFd,
    sync::{
        Condvar, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use self::turn::Turn;
pub(super) use self::{
    answers::{Answer, ONLY},
    inbox::{Closed, Hello, Inbox},
};
use super::sync::lock;
use crate::{
    error::Result,
    sys::{ours::Ours, poll::Deadline, socket},
    wire::{
        frame::Head,
        link::{self, Trouble},
    },
};

/// One socket, and what has arrived on it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) socket: Ours,
    /// The first word of the process at the other end. It is not in the inbox, so that
    /// it can be read without a lock.
    pub(super) hello: OnceLock<Hello>,
    /// The most bytes that a result may have.
    longest: AtomicU64,
    held: Mutex<Held>,
    /// Signalled when the thread that reads stops reading.
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    inbox: Inbox,
    turn: Turn,
}

/// How a wait ended.
#[derive(Debug, PartialEq)]
pub(super) enum Waited<T> {
    Got(T),
    Closed(Closed),
    /// The other descriptor is ready.
    Watched,
    TimedOut,
}

/// Speaking.
impl Line {
    pub(super) fn new(socket: Ours) -> Self {
        Self {
            socket,
            hello: OnceLock::new(),
            longest: AtomicU64::new(u64::MAX),
            held: Mutex::default(),
            arrived: Condvar::new(),
        }
    }

    /// Gives the socket, to read from or write to. If the program has closed it, that
    /// counts as closed by the other end: the number may be the program's by now.
    pub(super) fn open(&self) -> Result<BorrowedFd<'_>, Trouble> {
        self.socket.still().ok_or(Trouble::Closed { unread: false })
    }

    /// Sends one frame, waiting for room up to the deadline.
    pub(super) fn send(
        &self,
        head: Head,
        body: &[&[u8]],
        fds: &[BorrowedFd<'_>],
        deadline: Deadline,
    ) -> Result<(), Trouble> {
        link::send_until(self.open()?, head, body, fds, deadline)
    }

    /// Sends without waiting. An end that cannot be told has no use for the word.
    pub(super) fn tell(&self, head: Head, body: &[u8]) {
        if let Ok(socket) = self.open() {
            let _ = link::send(socket, head, &[body], &[], false);
        }
    }

    /// Says no more. The other end still hears what was said.
    pub(super) fn say_no_more(&self) {
        if let Ok(socket) = self.open() {
            socket::say_no_more(socket);
        }
    }

    /// Takes no more words than those that have arrived. The other end notices when it
    /// sends another.
    pub(super) fn refuse_more(&self) {
        if let Ok(socket) = self.open() {
            socket::refuse_more(socket);
        }
    }
}

/// What has arrived.
impl Line {
    /// Looks at what has arrived by now.
    pub(super) fn with_inbox<T>(&self, act: impl FnOnce(&mut Inbox) -> T) -> T {
        act(&mut lock(&self.held).inbox)
    }

    /// Tells how the socket has ended, if it has.
    pub(super) fn closed(&self) -> Option<Closed> {
        self.with_inbox(|inbox| inbox.closed)
    }

    /// Takes in no result that is longer than this.
    pub(super) fn limit_results(&self, octets: u64) {
        self.longest.store(octets, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::fd::{AsFd, OwnedFd},
        thread, time,
    };

    use super::*;
    use crate::wire::frame::Kind;

    const NEVER: Deadline = Deadline::NEVER;

    fn line() -> (Line, OwnedFd) {
        let (near, far) = socket::pair().unwrap();
        (Line::new(near.into()), far)
    }

    fn say(far: &OwnedFd, kind: Kind, number: u64) {
        link::send(far.as_fd(), Head::new(kind, number), &[], &[], false).unwrap();
    }

    fn ready(inbox: &mut Inbox) -> Option<()> {
        inbox.is_ready.then_some(())
    }

    fn done(inbox: &mut Inbox) -> Option<()> {
        inbox.take_answer(ONLY).map(drop)
    }

    #[test]
    fn a_word_is_waited_for_and_others_are_kept_for_later() {
        let (line, far) = line();
        say(&far, Kind::Done, ONLY);
        say(&far, Kind::Ready, 0);
        assert_eq!(line.wait(NEVER, None, ready).unwrap(), Waited::Got(()));
        assert_eq!(line.look(done).unwrap(), Waited::Got(()));
        assert_eq!(line.look(done).unwrap(), Waited::TimedOut);
    }

    #[test]
    fn what_was_said_before_the_end_is_heard_first() {
        let (line, far) = line();
        say(&far, Kind::Ready, 0);
        drop(far);
        assert_eq!(line.wait(NEVER, None, ready).unwrap(), Waited::Got(()));
        let end = Waited::Closed(Closed { unread: false });
        assert_eq!(line.wait(NEVER, None, done).unwrap(), end);
    }

    #[test]
    fn an_end_with_something_unread_is_told_behind_the_last_word() {
        let (line, far) = line();
        line.tell(Head::new(Kind::Run, 0), &[]);
        say(&far, Kind::Done, ONLY);
        drop(far);
        assert_eq!(line.wait(NEVER, None, done).unwrap(), Waited::Got(()));
        let end = Waited::Closed(Closed { unread: true });
        assert_eq!(line.wait(NEVER, None, done).unwrap(), end);
        line.take_in();
        assert_eq!(line.look(done).unwrap(), end, "a plain end follows");
    }

    #[test]
    fn a_watched_descriptor_ends_a_wait_behind_what_has_arrived() {
        let (line, far) = line();
        let (watch, held) = socket::pair().unwrap();
        drop(held);
        say(&far, Kind::Detached, 0);
        say(&far, Kind::Ready, 0);
        let wait = |pick: fn(&mut Inbox) -> Option<()>| {
            line.wait(NEVER, Some(watch.as_fd()), pick).unwrap()
        };
        assert_eq!(wait(ready), Waited::Got(()));
        assert_eq!(wait(done), Waited::Watched);
    }

    #[test]
    fn what_is_taken_in_needs_no_wait() {
        let (line, far) = line();
        say(&far, Kind::Ready, 0);
        say(&far, Kind::Done, ONLY);
        line.take_in();
        assert!(
            line.with_inbox(|inbox| ready(inbox).and(done(inbox)))
                .is_some()
        );
    }

    #[test]
    fn a_refused_word_cannot_be_said_and_one_that_was_said_is_there() {
        let (line, far) = line();
        say(&far, Kind::Ready, 0);
        line.refuse_more();
        let head = Head::new(Kind::Done, ONLY);
        assert!(link::send(far.as_fd(), head, &[], &[], false).is_err());
        assert_eq!(line.look(ready).unwrap(), Waited::Got(()));
    }

    #[test]
    fn a_full_socket_is_busy_until_the_deadline() {
        let (line, far) = line();
        let (head, now) = (Head::new(Kind::Message, 0), Deadline::NOW);
        let full = (0..10_000).find_map(|_| line.send(head, &[&[7; 1000]], &[], now).err());
        assert!(matches!(full, Some(Trouble::Busy)), "{full:?}");
        let begun = time::Instant::now();
        let soon = Deadline::after(time::Duration::from_millis(20));
        let late = line.send(head, &[&[7; 1000]], &[], soon);
        assert!(matches!(late, Err(Trouble::Busy)));
        assert!(begun.elapsed() >= time::Duration::from_millis(20));
        thread::scope(|scope| {
            scope.spawn(|| line.send(head, &[&[7; 1000]], &[], NEVER).unwrap());
            while link::receive(far.as_fd(), false).is_ok() {}
        });
    }

    #[test]
    fn what_one_thread_reads_another_finds() {
        let (line, far) = line();
        thread::scope(|scope| {
            let waits = [ready, done].map(|pick| {
                let line = &line;
                scope.spawn(move || line.wait(NEVER, None, pick).unwrap())
            });
            // Both threads are there: one reads, the other sleeps.
            while lock(&line.held).turn.take() {
                lock(&line.held).turn.give_back();
                thread::yield_now();
            }
            say(&far, Kind::Done, ONLY);
            say(&far, Kind::Ready, 0);
            for wait in waits {
                assert_eq!(wait.join().unwrap(), Waited::Got(()));
            }
        });
    }

    #[test]
    fn a_thread_that_waits_for_another_keeps_its_own_deadline() {
        let (line, _far) = line();
        assert!(lock(&line.held).turn.take(), "another reads");
        let soon = Deadline::after(time::Duration::from_millis(5));
        assert_eq!(line.wait(soon, None, ready).unwrap(), Waited::TimedOut);
    }
}
