//! The last handle of a process is dropped: who collects it.

use std::{sync::Arc, time::Duration};

use super::{Hello, Peer};
use crate::{
    client::ending,
    sys::{
        ours::Ours,
        pidfd::{self, Collected},
        poll::{Deadline, Want, poll},
    },
};

impl Peer {
    /// Collects what may be a child of this process, now or when it has ended:
    /// one that this process has made, or that was handed to it because it is the
    /// first of a container or a subreaper.
    fn leave(&mut self) {
        self.meet();
        let hello = self.hello.take().map(|hello| hello.pidfd);
        let early = || pidfd::open_silent(*self.child.get()?).map(Ours::new);
        let Some(pidfd) = hello.or_else(early) else {
            return;
        };
        // A template that was told to end stays until its workers have ended. The
        // socket says to it that this program has not become another one.
        let is_kept = self.origin.is_none() && self.has_no_more_forks();
        // After the program has closed it nobody can ask.
        let found = pidfd.still().map_or(Collected::Stranger, pidfd::collect);
        match found {
            Collected::Status(_) => {}
            Collected::Stranger if !is_kept => {}
            _ => ending::keep(pidfd, is_kept.then(|| self.socket.take())),
        }
    }

    /// Waits for this process, which was told to end, if it is a child of this
    /// one and nobody has a handle of its workers. It is collected when the last
    /// handle is dropped.
    pub(in crate::client) fn await_collection(&self, time: Duration) {
        self.meet();
        if let Some(Hello { pidfd, .. }) = self.known()
            && self.children() == 0
            && pidfd.still().map(pidfd::collect) == Some(Collected::NotYet)
        {
            let _ = poll([Want::read(pidfd)], Deadline::after(time));
        }
    }

    /// Takes in its first word, if it has said it and nobody has asked.
    fn meet(&self) {
        if self.known().is_none() {
            self.take_in(|frame| frame.is_some());
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if !self.is_current() {
            return;
        }
        if let Some((origin, id)) = &self.origin {
            origin.forget(*id);
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
