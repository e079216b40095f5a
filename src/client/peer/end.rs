//! A process is told to end, or its last handle is dropped: who collects it.

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
    /// Whether it was told to fork no more.
    pub(in crate::client) fn has_no_more_forks(&self) -> bool {
        lock(&self.stock).is_closed()
    }

    /// No more forks: it leaves when its children have.
    pub(in crate::client) fn end(self: &Arc<Self>) {
        if !self.is_current() {
            return;
        }
        let Some(spares) = lock(&self.stock).close() else {
            return;
        };
        let launcher = lock(&self.launcher).take();
        launcher.inspect(|launcher| launcher.end());
        let now = Deadline::after(Duration::ZERO);
        self.discard(&spares);
        match self.line.send(Head::new(Kind::Close, 0), &[], &[], now) {
            // A closed socket without the word would end its workers, too: it
            // stays open until the program ends.
            Err(Trouble::Busy) => std::mem::forget(Arc::clone(self)),
            // What was in stock has no other parent now than this program. Said
            // before the spares are dropped, which look at it.
            Err(Trouble::Closed { .. }) => drop(self.found_dead()),
            _ => {}
        }
        // A child needs a moment to die with its template. It is this program's to
        // collect, though its socket is still open.
        if let Some(origin) = self.origin().filter(|origin| origin.has_ended()) {
            origin.found_dead();
        }
        drop(spares);
    }

    /// Collects what may be a child of this process, now or when it has ended:
    /// one that this process has made, or that was handed to it because it is the
    /// first of a container or a subreaper.
    fn leave(&mut self) {
        self.meet();
        let hello = self.line.hello.take().map(|hello| hello.pidfd);
        let early = || pidfd::open_silent(self.birth.child()?).map(Ours::new);
        let Some(pidfd) = hello.or_else(early) else {
            return;
        };
        // A template that was told to end stays until its workers have ended. The
        // socket says to it that this program has not become another one.
        let is_kept = self.origin().is_none() && self.has_no_more_forks();
        // After the program has closed it nobody can ask.
        let found = pidfd.still().map_or(Collected::Stranger, pidfd::collect);
        match found {
            Collected::Status(_) => {}
            Collected::Stranger if !is_kept => {}
            _ => ending::keep(pidfd, is_kept.then(|| self.line.socket.take())),
        }
    }

    /// Waits for this process, which was told to end, if it is a child of this
    /// one and nobody has a handle of its workers. It is collected when the last
    /// handle is dropped.
    pub(in crate::client) fn await_collection(&self, time: Duration) {
        self.meet();
        if let Some(hello) = self.known()
            && self.children() == 0
            && hello.pidfd.still().map(pidfd::collect) == Some(Collected::NotYet)
        {
            let _ = poll([Want::read(&hello.pidfd)], Deadline::after(time));
        }
    }

    /// Takes in its first word, if it has said it and nobody has asked.
    fn meet(&self) {
        if self.known().is_none() {
            self.line.take_in();
        }
    }

    /// Nobody asks about this child any more.
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
        // All others are their template's to collect. Whether that lives is asked
        // only where something is wrong: most handles are dropped by a spawn.
        let is_left =
            |origin: &Arc<Self>| origin.is_gone() || (self.is_gone() && origin.has_ended());
        if self.origin().is_none_or(is_left) {
            self.leave();
        }
        ending::look();
    }
}
