//! A line: one socket, frames in and out. It knows no process.

mod answers;
mod children;
mod faults;
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
