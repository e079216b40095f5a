//! A live worker seen from the program: what it is given, and what becomes of that.
//!
//! `send` gives it calls, in the order of `senders`; `outcome` finds out what became of
//! one, `look` does that for who must not wait, and this file ends it.

#[cfg(feature = "pool")]
mod look;
mod outcome;
mod send;
mod senders;

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Condvar, Mutex, OnceLock},
    time::Duration,
};

use self::senders::Senders;
use super::{line::Waited, peer::Peer, tree::Tree};
use crate::{
    error::{Error, Result},
    exit::Exit,
    sys::{pidfd, poll::Deadline},
    wire::page::Page,
};

/// How long a worker that was killed may take to end.
const LAST: Duration = Duration::from_secs(1);

/// A live worker. The handle on it and those on its calls share this.
#[derive(Debug)]
pub(crate) struct Live {
    peer: Arc<Peer>,
    tree: Tree,
    page: Page,
    exit: OnceLock<Exit>,
    senders: Mutex<Senders>,
    /// Signalled when the thread that sends has sent.
    sent: Condvar,
}

impl Live {
    /// Makes the handle of a process that takes calls and has this page.
    pub(super) fn new(peer: Arc<Peer>, tree: Tree, page: Page) -> Self {
        Self {
            peer,
            tree,
            page,
            exit: OnceLock::new(),
            senders: Mutex::default(),
            sent: Condvar::new(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.peer.known().map_or(0, |hello| hello.pid)
    }

    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        match self.peer.known() {
            Some(hello) => hello.pidfd.as_fd(),
            None => unreachable!("a live worker is made of a process that has said hello"),
        }
    }

    /// Gives the socket that answers come on.
    #[cfg(any(feature = "pool", feature = "tokio"))]
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.peer.line.socket.as_fd()
    }

    /// Refuses in a copy of the process that the handle was made in.
    pub(crate) fn check(&self) -> Result<()> {
        self.peer.check_epoch()
    }

    /// Tells whether it has ended. In a copy of the program nothing is left of it.
    pub(crate) fn has_ended(&self) -> bool {
        !self.peer.is_current() || self.peer.has_ended()
    }

    /// Kills it, and what it has started if settings hold that together.
    pub(crate) fn kill(&self) -> Result<()> {
        self.peer.check_epoch()?;
        let hello = self.peer.hello(Deadline::NOW)?;
        let process = hello.open_pidfd()?;
        if self.tree.holds() {
            return self.tree.kill(process, self.id());
        }
        pidfd::signal(process, libc::SIGKILL).map_err(|error| {
            Error::os("killing a service failed (pidfd_send_signal)", error).with_pid(self.id())
        })
    }

    /// Says that no more calls come: it ends after those that it has.
    pub(crate) fn hang_up(&self) {
        if self.peer.is_current() {
            self.peer.line.say_no_more();
        }
    }

    /// Has it end after its calls, or kills it when the time is over.
    pub(crate) fn stop(&self, grace: Duration) -> Result<Exit> {
        self.peer.check_epoch()?;
        self.hang_up();
        let deadline = Deadline::after(grace);
        // What it answers is taken in, or it would wait for room and never end.
        let waited = self
            .peer
            .line
            .wait(deadline, Some(self.pidfd()), |_| None::<()>);
        let ended = match waited {
            Ok(Waited::Watched | Waited::Closed(_)) => self.exit(deadline)?,
            _ => None,
        };
        if let Some(exit) = ended {
            return Ok(exit);
        }
        self.kill()?;
        self.exit(Deadline::after(LAST))?.ok_or_else(|| {
            Error::timeout("the service was killed and has not ended").with_pid(self.id())
        })
    }

    /// Waits until it has ended, and tells how; `None` when the deadline passes first.
    fn exit(&self, deadline: Deadline) -> Result<Option<Exit>> {
        if let Some(exit) = self.exit.get() {
            return Ok(Some(*exit));
        }
        let exit = self.peer.exit(deadline)?;
        Ok(exit.map(|exit| *self.exit.get_or_init(|| exit)))
    }
}
