//! What a process forks for this program, and its stock.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use super::{Peer, gone};
use crate::{
    client::{
        birth::Birth,
        ending,
        line::{Inbox, Waited},
        stock::Stock,
        sync::lock,
    },
    error::{Error, Result},
    sys::{
        fail,
        poll::{Deadline, Want, poll},
        socket,
    },
    wire::{
        frame::{Head, Kind, ids},
        link::Trouble,
    },
};

/// How many forks there are between two looks at what the template has reported.
const DRAIN_EVERY: u64 = 16;

/// How long the report of a child that has ended may take.
const MOMENT: Duration = Duration::from_millis(100);

/// Forking, from this process.
impl Peer {
    /// Gives a new process: one that waits in stock, or one that is asked for now. Does
    /// not wait for it to exist.
    pub(in crate::client) fn fork(self: &Arc<Self>, deadline: Deadline) -> Result<Arc<Self>> {
        self.check_epoch()?;
        ending::look();
        let mut stock = lock(&self.stock);
        let limit = stock.limit();
        let spare = stock.take(self.children());
        drop(stock);
        spare.map_or_else(|| self.request(Kind::Fork, limit, deadline), Ok)
    }

    /// Gives a new process that did not wait in stock.
    pub(in crate::client) fn fork_now(self: &Arc<Self>, deadline: Deadline) -> Result<Arc<Self>> {
        let limit = lock(&self.stock).limit();
        self.request(Kind::Fork, limit, deadline)
    }

    /// [Forks](Self::fork) a process for any use. One that died in stock is passed
    /// over, because only running a task notices that without help.
    pub(in crate::client) fn fork_living(
        self: &Arc<Self>,
        deadline: Deadline,
    ) -> Result<Arc<Self>> {
        loop {
            let process = self.fork(deadline)?;
            // The spare is asked for now, while this process is sure to be heard.
            let is_good = || process.is_open() && process.hurry(deadline);
            if !process.birth.is_spare() || is_good() {
                return Ok(process);
            }
            if self.has_ended() {
                // Nobody else collects what the template has left.
                self.found_dead();
            }
        }
    }

    /// Gives a process that waits in stock and exists already, if there is one. Nothing
    /// here waits.
    #[cfg(feature = "pool")]
    pub(in crate::client) fn take_spare(self: &Arc<Self>) -> Option<Arc<Self>> {
        if !self.is_current() || self.life.is_dead() {
            return None;
        }
        let mut stock = lock(&self.stock);
        let spare = stock.first()?;
        spare.line.take_in();
        let is_there = spare.known().is_some() && spare.line.closed().is_none();
        is_there.then(|| stock.take(self.children())).flatten()
    }

    /// Launches an executable in a new process. The request says which one, and with
    /// which settings.
    pub(in crate::client) fn launch(
        self: &Arc<Self>,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
        deadline: Deadline,
    ) -> Result<Arc<Self>> {
        let (process, number, far) = self.reserve(Kind::Launch, 0)?;
        let far = [far.as_fd()];
        let fds: Vec<_> = far.iter().chain(fds).copied().collect();
        self.ask(Head::new(Kind::Launch, number), body, &fds, deadline)?;
        Ok(process)
    }

    /// Asks for a process, now or as a spare, with this limit for its own stock.
    fn request(
        self: &Arc<Self>,
        kind: Kind,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Arc<Self>> {
        let (process, number, far) = self.reserve(kind, limit)?;
        let forgotten = self
            .line
            .with_inbox(|inbox| inbox.children.take_forgotten());
        let (head, body) = (Head::new(kind, number), ids::encode(&forgotten));
        self.ask(head, &body, &[far.as_fd()], deadline)?;
        Ok(process)
    }

    /// Makes what a new process needs: its handle, its number, and its end of its
    /// socket.
    fn reserve(self: &Arc<Self>, kind: Kind, limit: usize) -> Result<(Arc<Self>, u64, OwnedFd)> {
        // Nobody reads at the other end any more. But a child that the process was
        // forking may hold its socket open for a moment, so that the request would seem
        // to be on its way.
        if self.life.is_dead() {
            return Err(gone());
        }
        let (near, far) = socket::pair().map_err(|error| {
            Error::descriptor("socketpair for a new process failed", error).unstarted()
        })?;
        let number = self.line.with_inbox(|inbox| inbox.children.expect());
        // If anything goes wrong from here on, the child is forgotten.
        let birth = Birth::Forked {
            by: Arc::clone(self),
            number,
            is_spare: kind == Kind::Spare,
        };
        let process = Arc::new(Self::with_stock(near, birth, Stock::new(limit)));
        if number % DRAIN_EVERY == DRAIN_EVERY - 1 {
            self.line.take_in();
        }
        Ok((process, number, far))
    }

    fn ask(
        &self,
        head: Head,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
        deadline: Deadline,
    ) -> Result<()> {
        fail::point("program: before Fork");
        self.line
            .send(head, &[body], fds, deadline)
            .map_err(|trouble| match trouble {
                // If the process never existed, that is why.
                Trouble::Closed { .. } => self.hello(deadline).err().unwrap_or_else(gone),
                other => other
                    .into_error("asking the template for a process")
                    .unstarted(),
            })?;
        fail::point("program: after Fork");
        Ok(())
    }
}

/// Its stock.
impl Peer {
    /// Asks for as many spares as are missing. What goes wrong here shows when a
    /// process is asked for.
    pub(in crate::client) fn restock(self: &Arc<Self>) {
        if !self.is_current() {
            return;
        }
        // The lock is held while spares are asked for, because a thread that ends this
        // process takes out what is in stock afterwards.
        let mut stock = lock(&self.stock);
        let (missing, limit) = (stock.missing(), stock.limit());
        if missing == 0 {
            return;
        }
        self.line.take_in();
        let now = Deadline::NOW;
        for _ in 0..missing {
            let Ok(spare) = self.request(Kind::Spare, limit, now) else {
                return;
            };
            stock.add(spare);
        }
    }

    /// Limits how many may wait in stock from here on.
    pub(in crate::client) fn limit_stock(&self, limit: usize) {
        if self.is_current() {
            let spares = lock(&self.stock).set_limit(limit);
            self.discard(&spares);
        }
    }

    /// Ends the processes in stock, because what comes next changes what a fork is.
    pub(in crate::client) fn discard_stock(&self) {
        if self.is_current() {
            let spares = lock(&self.stock).drain();
            self.discard(&spares);
        }
    }

    /// Tells spares to end. They are dropped afterwards.
    pub(super) fn discard(&self, spares: &VecDeque<Arc<Self>>) {
        let number = |spare: &Arc<Self>| spare.birth.origin().map(|(_, number)| number);
        let numbers: Vec<u64> = spares.iter().filter_map(number).collect();
        if !numbers.is_empty() {
            let head = Head::new(Kind::Discard, 0);
            self.line.tell(head, &ids::encode(&numbers));
        }
    }
}

/// Its children.
impl Peer {
    /// Tells how many handles of its children live, including those in stock.
    pub(super) fn children(&self) -> usize {
        self.line.with_inbox(|inbox| inbox.children.len())
    }

    /// Tells whether children with handles live. The report of a child that has just
    /// ended may need a moment, so this waits as long for a child that lives.
    pub(in crate::client) fn has_live_children(&self) -> bool {
        let ended = |inbox: &mut Inbox| inbox.children.have_ended().then_some(());
        // When this process is gone, none of its children lives; that it is gone shows
        // when it is asked.
        let waited = self.line.wait(Deadline::after(MOMENT), None, ended);
        matches!(waited, Ok(Waited::TimedOut))
    }

    /// Waits until its end of the socket is closed or its template is dead, and takes
    /// in what it has said. What it says before that wakes nobody. The next caller that
    /// listens finds out what went wrong.
    pub(in crate::client) fn await_end(&self, deadline: Deadline) {
        if let Some(Ok(template)) = self.origin().map(|origin| origin.hello(deadline)) {
            let ends = [
                Want::End(self.line.socket.as_fd()),
                Want::read(&template.pidfd),
            ];
            let _ = poll(ends, deadline);
            self.line.take_in();
        }
    }
}
