//! What a process forks for this program, and its stock.

use std::{
    os::fd::AsFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::peer::{Peer, gone, lock};
use crate::{
    error::{Error, Result},
    sys::{poll::Deadline, socket},
    wire::{
        frame::{Head, Kind, ids},
        link::Trouble,
    },
};

/// The most processes that a kept process has in stock. It has as many as were
/// in use at the same time, up to this.
const STOCK: usize = 16;

/// Forks between two looks at what the template has reported.
const DRAIN_EVERY: u64 = 16;

/// Forgotten children that are mentioned without waiting for the next fork.
const FORGET_AT: usize = 64;

/// What a process has forked.
#[derive(Debug, Default)]
pub(super) struct Forks {
    count: AtomicU64,
    /// Children that nobody asks about any more and the process does not know.
    forgotten: Mutex<Vec<u64>>,
    /// They hold on to the process they are forks of: taken out when it ends.
    stock: Mutex<Vec<Arc<Peer>>>,
    /// How many are being put into stock. Changed while that is locked.
    coming: AtomicUsize,
    /// The most children that were in use at the same time.
    peak: AtomicUsize,
    /// No more forks.
    ended: AtomicBool,
}

/// Forking, from this process.
impl Peer {
    /// A new process: one that waits in stock, or one that is asked for now.
    /// Does not wait for it to exist.
    pub(crate) fn fork(self: &Arc<Self>, deadline: Deadline) -> Result<Arc<Self>> {
        self.check_epoch()?;
        let mut stock = lock(&self.forks.stock);
        let in_use = (self.children() + 1).saturating_sub(stock.len());
        self.forks.peak.fetch_max(in_use, Ordering::Relaxed);
        if let Some(ready) = stock.pop() {
            ready.mark_from_stock();
            return Ok(ready);
        }
        drop(stock);
        self.fork_now(deadline)
    }

    /// A new process that did not wait in stock.
    pub(crate) fn fork_now(self: &Arc<Self>, deadline: Deadline) -> Result<Arc<Self>> {
        let (near, far) = socket::pair()
            .map_err(|error| Error::os("socketpair for a new process failed", error).unstarted())?;
        let id = self.forks.count.fetch_add(1, Ordering::Relaxed);
        if id % DRAIN_EVERY == DRAIN_EVERY - 1 {
            self.drain();
        }
        self.expect(id);
        let forgotten = ids::encode(&std::mem::take(&mut *lock(&self.forks.forgotten)));
        // Made before it is asked for, so that a failure below forgets it.
        let process = Self::new(near, Some((Arc::clone(self), id)));
        self.send(
            Head::new(Kind::Fork, id),
            &[&forgotten],
            &[far.as_fd()],
            deadline,
        )
        .map_err(|trouble| match trouble {
            Trouble::Closed { .. } => gone(),
            other => other
                .into_error("asking the template for a process")
                .unstarted(),
        })?;
        Ok(process)
    }

    /// Puts one process into stock, unless there are enough. What goes wrong
    /// here shows when a process is asked for.
    pub(crate) fn refill(self: &Arc<Self>) {
        let enough = STOCK.min(self.forks.peak.load(Ordering::Relaxed));
        {
            let stock = lock(&self.forks.stock);
            let coming = self.forks.coming.load(Ordering::Relaxed);
            if self.forks.ended.load(Ordering::Relaxed) || stock.len() + coming >= enough {
                return;
            }
            self.forks.coming.fetch_add(1, Ordering::Relaxed);
        }
        let process = self.fork_now(Deadline::after(Duration::ZERO));
        let mut stock = lock(&self.forks.stock);
        self.forks.coming.fetch_sub(1, Ordering::Relaxed);
        if let Ok(process) = process
            && !self.forks.ended.load(Ordering::Relaxed)
        {
            stock.push(process);
        }
    }

    /// Ends the processes in stock: what comes next changes what a fork is.
    pub(crate) fn discard_stock(&self) {
        let stock = std::mem::take(&mut *lock(&self.forks.stock));
        let numbers: Vec<u64> = stock
            .iter()
            .filter_map(|process| process.number())
            .collect();
        if !numbers.is_empty() {
            self.tell(Kind::Discard, 0, &ids::encode(&numbers));
        }
    }

    /// No more forks: it leaves when its children have.
    pub(crate) fn end(self: &Arc<Self>) {
        if !self.is_current() || self.forks.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let stock = std::mem::take(&mut *lock(&self.forks.stock));
        drop(stock);
        let now = Deadline::after(Duration::ZERO);
        if let Err(Trouble::Busy) = self.send(Head::new(Kind::Close, 0), &[], &[], now) {
            // A closed socket without the word would end its workers, too: it
            // stays open until the program ends.
            std::mem::forget(Arc::clone(self));
        }
    }

    /// Kills a child that cannot be reached in another way.
    pub(crate) fn kill_by_template(&self) {
        if let (Some(origin), Some(id)) = (self.origin(), self.number()) {
            origin.tell(Kind::Discard, 0, &ids::encode(&[id]));
        }
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
