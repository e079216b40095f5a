//! What a process forks for this program, and its stock.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    ending,
    peer::{Peer, gone, lock},
};
use crate::{
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

/// The most processes that wait in stock, if nobody says otherwise.
const STOCK: usize = 16;

/// The fewest that are asked for: then most spawns ask for none.
const LEAST: usize = 8;

/// Forks between two looks at what the template has reported.
const DRAIN_EVERY: u64 = 16;

/// Forgotten children that are mentioned without waiting for the next fork.
const FORGET_AT: usize = 64;

/// What a process has forked.
#[derive(Debug)]
pub(super) struct Forks {
    count: AtomicU64,
    /// Children that nobody asks about any more and the process does not know.
    forgotten: Mutex<Vec<u64>>,
    stock: Mutex<Stock>,
    /// The most that it may have in stock.
    most: AtomicUsize,
    /// No more forks.
    ended: AtomicBool,
}

impl Default for Forks {
    fn default() -> Self {
        Self {
            count: AtomicU64::default(),
            forgotten: Mutex::default(),
            stock: Mutex::default(),
            most: AtomicUsize::new(STOCK),
            ended: AtomicBool::default(),
        }
    }
}

/// Spares: processes that were asked for before they are needed.
#[derive(Debug, Default)]
struct Stock {
    /// They hold on to the process they are forks of: taken out when it ends.
    waiting: VecDeque<Arc<Peer>>,
    /// The most children that were in use at the same time.
    peak: usize,
    /// How often something was forked: a process that is used once has no stock.
    uses: u64,
}

/// Forking, from this process.
impl Peer {
    /// A new process: one that waits in stock, or one that is asked for now.
    /// Does not wait for it to exist.
    pub(crate) fn fork(self: &Arc<Self>, deadline: Deadline) -> Result<Arc<Self>> {
        self.check_epoch()?;
        ending::look();
        let mut stock = lock(&self.forks.stock);
        let in_use = (self.children() + 1).saturating_sub(stock.waiting.len());
        stock.peak = stock.peak.max(in_use);
        stock.uses += 1;
        let ready = stock.waiting.pop_front();
        drop(stock);
        match ready {
            Some(ready) => {
                ready.mark_from_stock();
                Ok(ready)
            }
            None => self.fork_now(deadline),
        }
    }

    /// Asks for spares when half of them are gone: as many as were in use at the
    /// same time. What goes wrong here shows when a process is asked for.
    pub(crate) fn restock(self: &Arc<Self>) {
        if !self.is_current() {
            return;
        }
        let mut stock = lock(&self.forks.stock);
        // Looked at now: whoever ends it takes out what is in stock afterwards.
        if self.has_no_more_forks() {
            return;
        }
        let most = self.forks.most.load(Ordering::Relaxed);
        let target = most.min(stock.peak.max(LEAST));
        let missing = target.saturating_sub(stock.waiting.len());
        if stock.uses < 2 || missing == 0 || 2 * missing < target {
            return;
        }
        self.drain();
        let now = Deadline::after(Duration::ZERO);
        for _ in 0..missing {
            let Ok(spare) = self.request(Kind::Spare, now) else {
                return;
            };
            stock.waiting.push_back(spare);
        }
    }

    /// Somebody waits for this spare, which may not have been forked yet.
    /// False when its template cannot be told so.
    pub(super) fn hurry(&self, deadline: Deadline) -> bool {
        let (Some(origin), Some(number)) = (self.origin(), self.number()) else {
            return false;
        };
        let head = Head::new(Kind::Hurry, number);
        origin.send(head, &[], &[], deadline).is_ok()
    }

    /// How many may wait in stock from here on.
    pub(crate) fn limit_stock(&self, most: usize) {
        if self.forks.most.swap(most, Ordering::Relaxed) > most {
            self.discard_stock();
        }
    }

    /// How many may wait in stock.
    pub(crate) fn stock_limit(&self) -> usize {
        self.forks.most.load(Ordering::Relaxed)
    }

    /// [`fork`](Self::fork) for whatever may be done with it. One that died in
    /// stock is passed over: only running a task notices that by itself.
    pub(crate) fn fork_living(self: &Arc<Self>, deadline: Deadline) -> Result<Arc<Self>> {
        loop {
            let process = self.fork(deadline)?;
            // Asked for now, as long as this process is sure to be heard.
            let is_good = || process.is_open() && process.hurry(deadline);
            if !process.is_from_stock() || is_good() {
                return Ok(process);
            }
            if self.has_ended() {
                // Nobody else collects what it has left.
                self.found_dead();
            }
        }
    }

    /// A new process that did not wait in stock.
    pub(crate) fn fork_now(self: &Arc<Self>, deadline: Deadline) -> Result<Arc<Self>> {
        self.request(Kind::Fork, deadline)
    }

    /// A new process that becomes a program: which, and what the process is made
    /// of, is said in the request.
    pub(super) fn start_program(
        self: &Arc<Self>,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
        deadline: Deadline,
    ) -> Result<Arc<Self>> {
        let (process, far) = self.reserve()?;
        let fds: Vec<_> = [far.as_fd()]
            .into_iter()
            .chain(fds.iter().copied())
            .collect();
        self.ask(Kind::Program, &process, body, &fds, deadline)?;
        Ok(process)
    }

    /// Asks for a process, now or as a spare.
    fn request(self: &Arc<Self>, kind: Kind, deadline: Deadline) -> Result<Arc<Self>> {
        let (process, far) = self.reserve()?;
        let forgotten = std::mem::take(&mut *lock(&self.forks.forgotten));
        let body = ids::encode(&forgotten);
        self.ask(kind, &process, &body, &[far.as_fd()], deadline)?;
        Ok(process)
    }

    /// A process that nobody has heard of yet, and its end of its socket.
    fn reserve(self: &Arc<Self>) -> Result<(Arc<Self>, OwnedFd)> {
        if self.is_dead() {
            return Err(gone());
        }
        let (near, far) = socket::pair().map_err(|error| {
            Error::descriptor("socketpair for a new process failed", error).unstarted()
        })?;
        let id = self.forks.count.fetch_add(1, Ordering::Relaxed);
        if id % DRAIN_EVERY == DRAIN_EVERY - 1 {
            self.drain();
        }
        self.expect(id);
        // Whatever goes wrong from here on forgets it.
        Ok((Self::new(near, Some((Arc::clone(self), id))), far))
    }

    fn ask(
        &self,
        kind: Kind,
        process: &Self,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
        deadline: Deadline,
    ) -> Result<()> {
        let head = Head::new(kind, process.number().unwrap_or_default());
        fail::point("program: before Fork");
        self.send(head, &[body], fds, deadline)
            .map_err(|trouble| match trouble {
                // If it never was, that is why.
                Trouble::Closed { .. } => self.hello(deadline).err().unwrap_or_else(gone),
                other => other
                    .into_error("asking the template for a process")
                    .unstarted(),
            })?;
        fail::point("program: after Fork");
        Ok(())
    }

    /// Ends the processes in stock: what comes next changes what a fork is.
    pub(crate) fn discard_stock(&self) {
        if self.is_current() {
            drop(self.take_stock());
        }
    }

    /// The processes that were in stock, which are told to end.
    fn take_stock(&self) -> VecDeque<Arc<Self>> {
        let waiting = std::mem::take(&mut lock(&self.forks.stock).waiting);
        let numbers: Vec<u64> = waiting.iter().filter_map(|spare| spare.number()).collect();
        if !numbers.is_empty() {
            self.tell(Kind::Discard, 0, &ids::encode(&numbers));
        }
        waiting
    }

    /// Whether it was told to fork no more.
    pub(super) fn has_no_more_forks(&self) -> bool {
        self.forks.ended.load(Ordering::Relaxed)
    }

    /// No more forks: it leaves when its children have.
    pub(crate) fn end(self: &Arc<Self>) {
        if !self.is_current() || self.forks.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let stock = self.take_stock();
        let now = Deadline::after(Duration::ZERO);
        match self.send(Head::new(Kind::Close, 0), &[], &[], now) {
            // A closed socket without the word would end its workers, too: it
            // stays open until the program ends.
            Err(Trouble::Busy) => std::mem::forget(Arc::clone(self)),
            // What was in stock has no other parent now than this program.
            Err(Trouble::Closed { .. }) => drop(self.found_dead()),
            _ => {}
        }
        drop(stock);
    }

    /// Kills a child that cannot be reached in another way.
    pub(crate) fn kill_by_template(&self) {
        if let (Some(origin), Some(id)) = (self.origin(), self.number()) {
            origin.tell(Kind::Discard, 0, &ids::encode(&[id]));
        }
    }

    /// A child was reported that nobody asks about any more.
    pub(super) fn reported(&self, id: u64) {
        lock(&self.forks.forgotten).retain(|forgotten| *forgotten != id);
    }

    /// Nobody asks about this child any more.
    pub(super) fn forget(&self, id: u64) {
        if self.dismiss(id) {
            // It has been reported already.
            return;
        }
        let mut forgotten = lock(&self.forks.forgotten);
        forgotten.push(id);
        if forgotten.len() >= FORGET_AT {
            let numbers = std::mem::take(&mut *forgotten);
            drop(forgotten);
            self.tell(Kind::Forget, 0, &ids::encode(&numbers));
        }
    }
}

/// Whether it is still there.
impl Peer {
    /// Whether it is known to have ended.
    pub(super) fn has_ended(&self) -> bool {
        let now = Deadline::after(Duration::ZERO);
        self.known()
            .is_some_and(|hello| matches!(poll([Want::read(&hello.pidfd)], now), Ok([true])))
    }

    /// Whether its end of the socket is open, whatever it said before.
    pub(super) fn is_open(&self) -> bool {
        let now = Deadline::after(Duration::ZERO);
        self.open_socket()
            .is_ok_and(|socket| matches!(poll([Want::End(socket)], now), Ok([false])))
    }

    /// Waits until its end of the socket is closed, or its template dead, and
    /// takes in what it has said. What it says before wakes nobody. Whoever
    /// listens next finds out what went wrong.
    pub(super) fn await_end(&self, deadline: Deadline) {
        if let Some(Ok(template)) = self.origin().map(|origin| origin.hello(deadline)) {
            let ends = [Want::End(self.socket()), Want::read(&template.pidfd)];
            let _ = poll(ends, deadline);
            self.take_in(|frame| frame.is_some());
        }
    }
}
