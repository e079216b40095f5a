//! What happens when a process is told to end or its last handle is dropped, and who
//! collects it.

use std::{sync::Arc, time::Duration};

use super::Peer;
use crate::{
    client::{ending, sync::lock},
    sys::{
        ours::Ours,
        pidfd::{self, Collected},
        poll::{Deadline, Want, poll},
    },
    wire::{
        frame::{Head, Kind, ids},
        link::Trouble,
    },
};

impl Peer {
    /// Tells whether it was told to fork no more.
    pub(in crate::client) fn has_no_more_forks(&self) -> bool {
        lock(&self.stock).is_closed()
    }

    /// Tells it to fork no more: it leaves when its children have left.
    pub(in crate::client) fn end(self: &Arc<Self>) {
        if !self.is_current() {
            return;
        }
        let Some(spares) = lock(&self.stock).close() else {
            return;
        };
        let launcher = lock(&self.launcher).take();
        launcher.inspect(|launcher| launcher.end());
        let now = Deadline::NOW;
        self.discard(&spares);
        match self.line.send(Head::new(Kind::Close, 0), &[], &[], now) {
            // If the socket were closed without the word, its workers would end, too.
            // So it stays open until the program ends.
            Err(Trouble::Busy) => std::mem::forget(Arc::clone(self)),
            // The spares in stock now have no other parent than this program. This is
            // noted before they are dropped, because they look at it.
            Err(Trouble::Closed { .. }) => drop(self.found_dead()),
            _ => {}
        }
        // A child needs a moment to die with its template. This program has to collect
        // it, although its socket is still open.
        if let Some(origin) = self.origin().filter(|origin| origin.has_ended()) {
            origin.found_dead();
        }
        drop(spares);
    }

    /// Collects a process that may be a child of this one, now or when it has ended:
    /// this process has made it, or was handed it because it is the first process of a
    /// container or a subreaper.
    fn leave(&mut self) {
        self.meet();
        let hello = self.line.hello.take().map(|hello| hello.pidfd);
        let early = || pidfd::open_silent(self.birth.child()?).map(Ours::new);
        let Some(pidfd) = hello.or_else(early) else {
            return;
        };
        // A template that was told to end stays until its workers have ended. The open
        // socket tells it that this program has not become another one.
        let is_kept = self.origin().is_none() && self.has_no_more_forks();
        // After the program has closed the pidfd, nobody can ask.
        let found = pidfd.still().map_or(Collected::Stranger, pidfd::collect);
        match found {
            Collected::Status(_) => {}
            Collected::Stranger if !is_kept => {}
            _ => ending::keep(pidfd, is_kept.then(|| self.line.socket.take())),
        }
    }

    /// Waits for this process, which was told to end, if it is a child of the program
    /// and nobody has a handle on its workers. It is collected when the last handle is
    /// dropped.
    pub(in crate::client) fn await_collection(&self, time: Duration) {
        self.meet();
        if let Some(hello) = self.known()
            && self.children() == 0
            && hello.pidfd.still().map(pidfd::collect) == Some(Collected::NotYet)
        {
            let _ = poll([Want::read(&hello.pidfd)], Deadline::after(time));
        }
    }

    /// Takes in its first word, if it has said it and nobody has asked for it.
    fn meet(&self) {
        if self.known().is_none() {
            self.line.take_in();
        }
    }

    /// Forgets this child: nobody asks about it any more.
    fn forget(&self, number: u64) {
        let many = self.line.with_inbox(|inbox| inbox.children.forget(number));
        if let Some(numbers) = many {
            let head = Head::new(Kind::Forget, 0);
            self.line.tell(head, &ids::encode(&numbers));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if !self.is_current() {
            return;
        }
        if let Some((origin, number)) = self.birth.origin() {
            origin.forget(number);
        }
        // All others are collected by their template. Whether the template lives is
        // asked only when something is wrong, because most handles are dropped by a
        // spawn.
        let is_left =
            |origin: &Arc<Self>| origin.is_gone() || (self.is_gone() && origin.has_ended());
        if self.origin().is_none_or(is_left) {
            self.leave();
        }
        ending::look();
    }
}
