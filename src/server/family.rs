//! The children of a template: reaped by process id, reported to the owner.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use super::stock::Stock;
use crate::{
    sys::{
        fail,
        pidfd::{self, Reaped},
        poll::Deadline,
        signal::{self, ChildSignals},
    },
    wire::{
        frame::{Fate, Head, Kind, Report},
        link::{self, Trouble},
    },
};

/// So many children are all looked at at every exit, which takes the kernel a
/// microsecond or two. SIGCHLD is not queued: of two that end together one may be
/// missed.
const FEW: usize = 64;

/// Of more than that, so many at every exit: those forked last.
const YOUNG: usize = 16;

/// How long after an exit all of them are looked at. With thousands that takes the
/// kernel longer than a fork.
const SWEEP: Duration = Duration::from_millis(50);

/// The most reports in one frame.
const BATCH: usize = 64;

/// The number of a child that was forked for an owner before.
const NOBODY: u64 = u64::MAX;

/// The children of this process, and what has not been reported about them.
#[derive(Debug)]
pub(super) struct Family {
    signals: ChildSignals,
    /// By process id; an ordered map, because a hashed one would give every
    /// worker the same `HashMap` keys.
    children: BTreeMap<i32, Child>,
    /// The process ids of those that the owner asks about, by its numbers.
    pids: BTreeMap<u64, i32>,
    reports: Vec<Report>,
    sweep: Option<Deadline>,
    pub(super) stock: Stock,
}

#[derive(Clone, Copy, Debug)]
struct Child {
    id: u64,
    /// Nobody asks about it any more.
    forgotten: bool,
    /// Killed on request; gone in a moment.
    discarded: bool,
}

impl Family {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            signals: ChildSignals::new()?,
            children: BTreeMap::new(),
            pids: BTreeMap::new(),
            reports: Vec::new(),
            sweep: None,
            stock: Stock::default(),
        })
    }

    pub(super) fn move_up(&mut self) {
        self.signals.move_up();
    }

    pub(super) fn signals(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    /// When [`reap`](Self::reap) should run though no signal has come.
    pub(super) fn wake(&self) -> Deadline {
        self.sweep.unwrap_or(Deadline::NEVER)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    pub(super) fn has_reports(&self) -> bool {
        !self.reports.is_empty()
    }

    pub(super) fn add(&mut self, pid: i32, id: u64) {
        let child = Child {
            id,
            forgotten: false,
            discarded: false,
        };
        self.children.insert(pid, child);
        self.pids.insert(id, pid);
    }

    /// A child that was asked for and cannot be.
    pub(super) fn unborn(&mut self, report: Report) {
        self.reports.push(report);
    }

    /// Takes the status of the children that have ended. By process id, since
    /// a wait for any child looks at each that lives.
    pub(super) fn reap(&mut self, signalled: bool) {
        if signalled && let Some(pid) = self.signals.next() {
            if let Some(ended) = pidfd::reap(pid, false) {
                self.ended(ended);
            }
            // Its signal may have swallowed that of another.
            if self.children.len() <= FEW {
                self.reap_any();
            } else {
                self.reap_youngest();
                self.sweep.get_or_insert_with(|| Deadline::after(SWEEP));
            }
        }
        if self.sweep.is_some_and(Deadline::passed) {
            self.sweep = None;
            self.reap_any();
        }
    }

    /// Those forked last are the likeliest to have ended.
    fn reap_youngest(&mut self) {
        let youngest: Vec<i32> = self.pids.values().rev().take(YOUNG).copied().collect();
        for pid in youngest {
            if let Some(ended) = pidfd::reap(pid, false) {
                self.ended(ended);
            }
        }
    }

    fn reap_any(&mut self) {
        while !self.children.is_empty()
            && let Some(ended) = pidfd::reap(-1, false)
        {
            self.ended(ended);
        }
    }

    /// Looks at one child, whatever the signals say.
    pub(super) fn look_at(&mut self, id: u64) {
        if let Some(pid) = self.pid_of(id)
            && let Some(ended) = pidfd::reap(pid, false)
        {
            self.ended(ended);
        }
    }

    fn ended(&mut self, ended: Reaped) {
        let Some(child) = self.children.remove(&ended.pid) else {
            return;
        };
        self.pids.remove(&child.id);
        self.stock.child_ended();
        if !child.forgotten {
            let (status, rusage) = (ended.status, ended.rusage);
            let fate = Fate::Ended { status, rusage };
            let child = child.id;
            self.reports.push(Report { child, fate });
        }
    }

    pub(super) fn forget(&mut self, ids: impl Iterator<Item = u64>) {
        for id in ids {
            self.reports.retain(|report| report.child != id);
            self.stock.take(id);
            if let Some(child) = self.pid_of(id).and_then(|pid| self.children.get_mut(&pid)) {
                child.forgotten = true;
            }
        }
    }

    /// A new owner counts anew: what was forked for the one before is no
    /// business of its own.
    pub(super) fn disown(&mut self) {
        self.reports.clear();
        self.pids.clear();
        self.stock = Stock::default();
        for child in self.children.values_mut() {
            child.id = NOBODY;
            child.forgotten = true;
        }
    }

    /// Kills children that nobody wants.
    pub(super) fn discard(&mut self, ids: impl Iterator<Item = u64>) {
        for id in ids {
            self.stock.take(id);
            let Some(pid) = self.pid_of(id) else { continue };
            // It is in the list, so it was not waited for.
            let _ = signal::kill_child(pid, libc::SIGKILL);
            if let Some(child) = self.children.get_mut(&pid) {
                child.forgotten = true;
                child.discarded = true;
            }
        }
    }

    /// Waits for the discarded ones; says whether no child is left.
    pub(super) fn settle(&mut self) -> bool {
        let discarded: Vec<i32> = self
            .children
            .iter()
            .filter_map(|(pid, child)| child.discarded.then_some(*pid))
            .collect();
        for pid in discarded {
            // Killed while it waited for a task, so this is short.
            if let Some(ended) = pidfd::reap(pid, true) {
                self.ended(ended);
            }
        }
        let others: Vec<i32> = self.children.keys().copied().collect();
        for pid in others {
            if let Some(ended) = pidfd::reap(pid, false) {
                self.ended(ended);
            }
        }
        self.children.is_empty()
    }

    /// Sends what there is to report, as far as the socket takes it: a template
    /// never waits for its owner.
    pub(super) fn report(&mut self, socket: BorrowedFd<'_>) {
        while !self.reports.is_empty() {
            fail::point("template: before report");
            let count = self.reports.len().min(BATCH);
            let body = Report::encode(&self.reports[..count]);
            match link::send(socket, Head::new(Kind::Exits, 0), &[&body], &[], false) {
                Ok(()) => {
                    self.reports.drain(..count);
                    fail::point("template: after report");
                }
                Err(Trouble::Busy) => return,
                // Nobody is there to be told.
                Err(_) => self.reports.clear(),
            }
        }
    }

    fn pid_of(&self, id: u64) -> Option<i32> {
        self.pids.get(&id).copied()
    }
}
