//! A process seen from outside: its line, and what is known about it.
//!
//! `hello` waits for its first words, `exit` says how it ended, `fork` asks it for
//! other processes, and `end` says what becomes of it when nobody asks about it any
//! more. Each of these modules uses those before it.

mod end;
mod exit;
mod fork;
mod hello;

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex},
};

use super::{
    birth::{Birth, Life},
    ending,
    line::{Answer, Hello, Inbox, Line, ONLY, Waited},
    stock::Stock,
};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::{
        epoch, fail,
        ours::Ours,
        pidfd,
        poll::{Deadline, Want, poll},
    },
    wire::frame::{Head, Kind, ids},
};

/// A process seen from outside.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(super) line: Line,
    /// The process that this handle was made in. A copy of it must not speak.
    epoch: u64,
    pub(super) birth: Birth<Arc<Peer>>,
    pub(super) life: Life,
    stock: Mutex<Stock<Arc<Peer>>>,
    /// The fork of it that launches executables.
    pub(super) launcher: Mutex<Option<Arc<Peer>>>,
}

impl Peer {
    /// Makes the handle of a process that is not a fork, with the default stock.
    pub(super) fn new(socket: impl Into<Ours>, birth: Birth<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self::with_stock(socket, birth, Stock::default()))
    }

    fn with_stock(
        socket: impl Into<Ours>,
        birth: Birth<Arc<Self>>,
        stock: Stock<Arc<Self>>,
    ) -> Self {
        Self {
            line: Line::new(socket.into()),
            epoch: epoch::current(),
            birth,
            life: Life::default(),
            stock: Mutex::new(stock),
            launcher: Mutex::default(),
        }
    }

    /// Makes the handle of a copy of this process, which was forked just now. If there
    /// is no room for its pidfd, that comes with its first word.
    pub(crate) fn copied(socket: OwnedFd, child: i32) -> Arc<Self> {
        ending::look();
        let peer = Self::new(socket, Birth::Copied);
        if let Ok(pidfd) = pidfd::open(child) {
            let (pid, pidfd) = (child.cast_unsigned(), Ours::new(pidfd));
            let _ = peer.line.hello.set(Hello { pid, pidfd });
        }
        peer
    }
}

/// What is known of it.
impl Peer {
    /// Gives what the process said of itself.
    pub(super) fn known(&self) -> Option<&Hello> {
        self.line.hello.get()
    }

    /// Gives its process id, if that is known by now.
    pub(super) fn pid(&self) -> Option<i32> {
        let said = self.known().and_then(|hello| i32::try_from(hello.pid).ok());
        said.or_else(|| self.birth.child())
    }

    /// Tells whether that is also its id in this process's PID namespace.
    pub(super) fn is_numbered_here(&self) -> bool {
        match (self.known(), self.pid()) {
            (Some(hello), pid) => pidfd::id(hello.pidfd.as_fd()) == pid,
            // It is a child of this process.
            (None, pid) => pid.is_some(),
        }
    }

    /// Gives the process that forked it.
    pub(super) fn origin(&self) -> Option<&Arc<Self>> {
        self.birth.origin().map(|(origin, _)| origin)
    }

    /// Tells whether another process from stock is as good, because nobody knows this
    /// one yet: what it was told before its first word, another can be told as well.
    pub(super) fn is_replaceable(&self) -> bool {
        self.birth.is_spare() && self.known().is_none()
    }

    /// Tells whether this spare is gone and never said a word, so that it ran nothing.
    pub(super) fn has_vanished(&self) -> bool {
        self.birth.is_spare() && self.life.has_vanished()
    }

    /// Tells whether it is known that it never existed.
    pub(super) fn never_was(&self) -> bool {
        self.life.why_never().is_some()
    }

    /// Notes that it is dead, so that it is asked nothing more: a child that it was
    /// just forking may hold its socket open for a moment, and a request would have no
    /// answer.
    pub(super) fn found_dead(&self) -> Error {
        self.life.mark_dead();
        gone()
    }

    /// Tells whether it was found dead, or has closed its socket.
    fn is_gone(&self) -> bool {
        self.life.is_dead() || self.line.closed().is_some()
    }

    /// Tells whether it is known to have ended.
    pub(super) fn has_ended(&self) -> bool {
        let now = Deadline::NOW;
        self.known()
            .is_some_and(|hello| matches!(poll([Want::read(&hello.pidfd)], now), Ok([true])))
    }

    /// Tells whether its end of the socket is open, whatever it said before.
    fn is_open(&self) -> bool {
        let now = Deadline::NOW;
        self.line
            .open()
            .is_ok_and(|socket| matches!(poll([Want::End(socket)], now), Ok([false])))
    }

    pub(super) fn is_current(&self) -> bool {
        self.epoch == epoch::current()
    }

    /// Refuses in a copy of the process that the handle was made in.
    pub(super) fn check_epoch(&self) -> Result<()> {
        if self.is_current() {
            return Ok(());
        }
        Err(Error::invalid(
            "the handle was made before this process was forked and belongs to the process it \
             was forked from; spawn anew",
        )
        .unstarted())
    }
}

/// Talking to it.
impl Peer {
    /// Waits for the answer to what it was told to run. `watch` is its pidfd.
    pub(super) fn answer(
        &self,
        deadline: Deadline,
        watch: BorrowedFd<'_>,
    ) -> Result<Waited<Answer>> {
        fail::point("program: before result");
        let take = |inbox: &mut Inbox| inbox.take_answer(ONLY);
        self.line.wait(deadline, Some(watch), take)
    }

    /// Tells the template that somebody waits for this spare, which may not have been
    /// forked yet. Gives false if the template cannot be told.
    fn hurry(&self, deadline: Deadline) -> bool {
        self.birth.origin().is_some_and(|(origin, number)| {
            let head = Head::new(Kind::Hurry, number);
            origin.line.send(head, &[], &[], deadline).is_ok()
        })
    }

    /// Has its template kill it, when it cannot be reached in another way.
    pub(super) fn kill_by_template(&self) {
        if let Some((origin, number)) = self.birth.origin() {
            let head = Head::new(Kind::Discard, 0);
            origin.line.tell(head, &ids::encode(&[number]));
        }
    }
}

/// Makes the error for a template that died when no code of an entry had run.
pub(super) fn gone() -> Error {
    Error::new(ErrorKind::TemplateGone, "the template is gone").unstarted()
}
