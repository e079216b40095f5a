//! The children of a template: reaped by process id, reported to the owner.

use std::os::fd::{AsFd, BorrowedFd};

use super::{backlog::Backlog, children::Children};
use crate::{
    sys::{
        fail, pidfd,
        signal::{self, ChildSignals},
    },
    wire::{
        frame::{Head, Kind},
        link,
    },
};

/// The children of this process, and those that it was asked for in advance.
#[derive(Debug)]
pub(super) struct Family {
    signals: ChildSignals,
    pub(super) children: Children,
    pub(super) backlog: Backlog,
}

impl Family {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            signals: ChildSignals::new()?,
            children: Children::default(),
            backlog: Backlog::default(),
        })
    }

    pub(super) fn move_up(&mut self) {
        self.signals.move_up();
    }

    pub(super) fn signals(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    /// Takes the status of the children that have ended.
    pub(super) fn reap(&mut self, signalled: bool) {
        let signalled = if signalled { self.signals.next() } else { None };
        self.look(|children| children.reap(signalled, pidfd::reap));
    }

    /// Looks at one child, whatever the signals say.
    pub(super) fn look_at(&mut self, id: u64) {
        self.look(|children| children.look_at(id, pidfd::reap));
    }

    /// Waits for the discarded children, and tells whether no child is left.
    pub(super) fn settle(&mut self) -> bool {
        self.look(|children| children.settle(pidfd::reap))
    }

    /// Looks for children that have ended: spares may take their places.
    fn look<T>(&mut self, look: impl FnOnce(&mut Children) -> T) -> T {
        let before = self.children.len();
        let found = look(&mut self.children);
        if self.children.len() < before {
            self.backlog.child_ended();
        }
        found
    }

    /// Forgets these children: nobody asks about them any more.
    pub(super) fn forget(&mut self, ids: impl Iterator<Item = u64>) {
        for id in ids {
            self.backlog.take(id);
            self.children.forget(id);
        }
    }

    /// Drops what the previous owner asked for: a new owner asks for what it wants
    /// itself.
    pub(super) fn disown(&mut self) {
        self.backlog = Backlog::default();
        self.children.disown();
    }

    /// Kills children that nobody wants.
    pub(super) fn discard(&mut self, ids: impl Iterator<Item = u64>) {
        for id in ids {
            self.backlog.take(id);
            if let Some(pid) = self.children.discard(id) {
                let _ = signal::kill_child(pid, libc::SIGKILL);
            }
        }
    }

    /// Sends what there is to report, as far as the socket takes it.
    pub(super) fn report(&mut self, socket: BorrowedFd<'_>) {
        self.children.report(|body| {
            fail::point("template: before report");
            link::send(socket, Head::new(Kind::Exits, 0), &[body], &[], false)?;
            fail::point("template: after report");
            Ok(())
        });
    }
}
