//! The children of a template, and what is to be reported about them. Pure: the
//! functions that look at a child and send a report are passed in.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    sys::{pidfd::Reaped, poll::Deadline},
    wire::{
        frame::{Fate, Report},
        link::Trouble,
    },
};

/// Up to this many children, all are looked at after every exit, which takes the kernel
/// a microsecond or two. SIGCHLD is not queued: when two children end together, one may
/// be missed.
const FEW: usize = 64;

/// When there are more, this many are looked at after every exit: those forked last.
const YOUNG: usize = 16;

/// How long after an exit all children are looked at. With thousands of them, that
/// takes the kernel longer than a fork.
const SWEEP: Duration = Duration::from_millis(50);

/// The most reports in one frame.
const BATCH: usize = 64;

/// The number of a child that was forked for an earlier owner.
const NOBODY: u64 = u64::MAX;

/// The children that live, and what has not been reported about the others.
#[derive(Debug, Default)]
pub(super) struct Children {
    /// By process id; an ordered map, because a hashed one would give every
    /// worker the same `HashMap` keys.
    living: BTreeMap<i32, Child>,
    /// The process ids of the children that the owner asks about, by the owner's
    /// numbers.
    pids: BTreeMap<u64, i32>,
    reports: Vec<Report>,
    sweep: Option<Deadline>,
}

#[derive(Clone, Copy, Debug)]
struct Child {
    id: u64,
    /// Whether nobody asks about it any more.
    forgotten: bool,
    /// Whether it was killed on request, so that it is gone in a moment.
    discarded: bool,
}

/// `look` is given a process id, or −1 for any child, and whether to wait until that
/// child has ended.
impl Children {
    pub(super) fn len(&self) -> usize {
        self.living.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.living.is_empty()
    }

    pub(super) fn has_reports(&self) -> bool {
        !self.reports.is_empty()
    }

    /// Tells when [`reap`](Self::reap) should run even if no signal has come.
    pub(super) fn wake(&self) -> Deadline {
        self.sweep.unwrap_or(Deadline::NEVER)
    }

    pub(super) fn add(&mut self, pid: i32, id: u64) {
        let child = Child {
            id,
            forgotten: false,
            discarded: false,
        };
        self.living.insert(pid, child);
        self.pids.insert(id, pid);
    }

    /// Notes that a child was asked for and cannot be forked.
    pub(super) fn unborn(&mut self, report: Report) {
        self.reports.push(report);
    }

    /// Takes the status of the children that have ended, after a signal from this one.
    /// Waits by process id, since a wait for any child looks at each one that lives.
    pub(super) fn reap(
        &mut self,
        signalled: Option<i32>,
        mut look: impl FnMut(i32, bool) -> Option<Reaped>,
    ) {
        if let Some(pid) = signalled {
            self.ended(look(pid, false));
            // Its signal may have swallowed the signal of another child.
            if self.living.len() <= FEW {
                self.reap_any(&mut look);
            } else {
                self.reap_youngest(&mut look);
                self.sweep.get_or_insert_with(|| Deadline::after(SWEEP));
            }
        }
        if self.sweep.is_some_and(Deadline::passed) {
            self.sweep = None;
            self.reap_any(look);
        }
    }

    /// Looks at the children forked last, which are the likeliest to have ended.
    fn reap_youngest(&mut self, mut look: impl FnMut(i32, bool) -> Option<Reaped>) {
        let youngest: Vec<i32> = self.pids.values().rev().take(YOUNG).copied().collect();
        for pid in youngest {
            self.ended(look(pid, false));
        }
    }

    fn reap_any(&mut self, mut look: impl FnMut(i32, bool) -> Option<Reaped>) {
        while !self.living.is_empty() && self.ended(look(-1, false)) {}
    }

    /// Looks at one child, whatever the signals say.
    pub(super) fn look_at(&mut self, id: u64, look: impl FnOnce(i32, bool) -> Option<Reaped>) {
        if let Some(pid) = self.pid_of(id) {
            self.ended(look(pid, false));
        }
    }

    /// Takes in what a look has found, and tells whether it found a child.
    fn ended(&mut self, found: Option<Reaped>) -> bool {
        let Some(ended) = found else { return false };
        if let Some(child) = self.living.remove(&ended.pid) {
            self.pids.remove(&child.id);
            if !child.forgotten {
                let (status, rusage) = (ended.status, ended.rusage);
                self.reports.push(Report {
                    child: child.id,
                    fate: Fate::Ended { status, rusage },
                });
            }
        }
        true
    }

    /// Forgets this child: nobody asks about it any more.
    pub(super) fn forget(&mut self, id: u64) {
        self.reports.retain(|report| report.child != id);
        if let Some((_, child)) = self.child_mut(id) {
            child.forgotten = true;
        }
    }

    /// Forgets all children: a new owner starts to count anew, and what was forked for
    /// the previous one is none of its business.
    pub(super) fn disown(&mut self) {
        self.reports.clear();
        self.pids.clear();
        for child in self.living.values_mut() {
            child.id = NOBODY;
            child.forgotten = true;
        }
    }

    /// Gives the process id of a child that nobody wants, to be killed. The child was
    /// not waited for, so the id is still its own.
    pub(super) fn discard(&mut self, id: u64) -> Option<i32> {
        let (pid, child) = self.child_mut(id)?;
        child.forgotten = true;
        child.discarded = true;
        Some(pid)
    }

    /// Waits for the discarded children, and tells whether no child is left.
    pub(super) fn settle(&mut self, mut look: impl FnMut(i32, bool) -> Option<Reaped>) -> bool {
        let all: Vec<_> = self
            .living
            .iter()
            .map(|(pid, it)| (*pid, it.discarded))
            .collect();
        for (pid, discarded) in all {
            // It was killed while it waited for a task, so waiting for it does not take
            // long.
            self.ended(look(pid, discarded));
        }
        self.living.is_empty()
    }

    /// Sends what there is to report, as far as the socket takes it: a template
    /// never waits for its owner.
    pub(super) fn report(&mut self, mut send: impl FnMut(&[u8]) -> Result<(), Trouble>) {
        while !self.reports.is_empty() {
            let count = self.reports.len().min(BATCH);
            match send(&Report::encode(&self.reports[..count])) {
                Ok(()) => drop(self.reports.drain(..count)),
                Err(Trouble::Busy) => return,
                // Nobody is there to be told.
                Err(_) => self.reports.clear(),
            }
        }
    }

    fn pid_of(&self, id: u64) -> Option<i32> {
        self.pids.get(&id).copied()
    }

    fn child_mut(&mut self, id: u64) -> Option<(i32, &mut Child)> {
        let pid = self.pid_of(id)?;
        Some((pid, self.living.get_mut(&pid)?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::exit::Rusage;

    /// A kernel with children that have ended, and how it was asked.
    #[derive(Default)]
    struct Kernel {
        ended: BTreeSet<i32>,
        asked: Vec<(i32, bool)>,
    }

    impl Kernel {
        fn with(ended: impl IntoIterator<Item = i32>) -> Self {
            let (ended, asked) = (ended.into_iter().collect(), Vec::new());
            Self { ended, asked }
        }

        fn look(&mut self, pid: i32, wait: bool) -> Option<Reaped> {
            self.asked.push((pid, wait));
            let pid = if pid == -1 { *self.ended.first()? } else { pid };
            // A child that is waited for ends.
            (self.ended.remove(&pid) || wait).then_some(Reaped {
                pid,
                status: pid * 10,
                rusage: Rusage::default(),
            })
        }
    }

    /// Makes children with these numbers and with process ids from 100 on.
    fn children(count: u64) -> Children {
        let mut children = Children::default();
        (100..)
            .zip(0..count)
            .for_each(|(pid, id)| children.add(pid, id));
        children
    }

    fn reap(children: &mut Children, signalled: Option<i32>, kernel: &mut Kernel) {
        children.reap(signalled, |pid, wait| kernel.look(pid, wait));
    }

    /// Gives what is reported: number and status.
    fn reported(children: &mut Children) -> Vec<(u64, i32)> {
        let mut all = Vec::new();
        children.report(|body| {
            all.extend(Report::decode(body));
            Ok(())
        });
        let fate = |fate| match fate {
            Fate::Ended { status, .. } => status,
            Fate::Unborn { code } => -code,
        };
        all.iter()
            .map(|report| (report.child, fate(report.fate)))
            .collect()
    }

    #[test]
    fn one_that_has_ended_is_reported_once_by_its_number() {
        let mut children = children(3);
        reap(&mut children, Some(101), &mut Kernel::with([101]));
        assert_eq!((children.len(), children.has_reports()), (2, true));
        assert_eq!(reported(&mut children), [(1, 1010)]);
        assert!(!children.has_reports());
        reap(&mut children, Some(101), &mut Kernel::default());
        assert!(!children.has_reports());
    }

    #[test]
    fn a_signal_that_swallowed_another_hides_none_of_a_few() {
        let mut children = children(3);
        reap(&mut children, Some(100), &mut Kernel::with([100, 102]));
        assert_eq!(reported(&mut children), [(0, 1000), (2, 1020)]);
        let mut kernel = Kernel::with([101, 7]);
        reap(&mut children, Some(101), &mut kernel);
        assert_eq!(kernel.asked, [(101, false)], "without children nobody asks");
    }

    #[test]
    fn of_many_the_youngest_are_looked_at_and_all_a_moment_later() {
        let many = FEW as u64 + 3;
        let mut children = children(many);
        let (first, old, young) = (120, 101, 160);
        let mut kernel = Kernel::with([first, old, young]);
        reap(&mut children, Some(first), &mut kernel);
        assert_eq!(kernel.asked.len(), 1 + YOUNG);
        assert!(!kernel.asked.contains(&(-1, false)));
        assert_eq!(reported(&mut children).len(), 2, "not the old one");
        assert!(children.wake().remaining().is_some());

        children.sweep = Some(Deadline::NOW);
        reap(&mut children, None, &mut kernel);
        assert_eq!(reported(&mut children), [(1, 1010)]);
        assert!(children.wake().remaining().is_none(), "once");
    }

    #[test]
    fn a_child_is_looked_at_on_request() {
        let mut children = children(2);
        let mut kernel = Kernel::with([101]);
        children.look_at(7, |pid, wait| kernel.look(pid, wait));
        assert_eq!(kernel.asked, []);
        children.look_at(1, |pid, wait| kernel.look(pid, wait));
        assert_eq!(kernel.asked, [(101, false)]);
        assert_eq!(reported(&mut children), [(1, 1010)]);
    }

    #[test]
    fn one_that_is_forgotten_is_not_reported_before_or_after_its_end() {
        let mut children = children(3);
        reap(&mut children, Some(100), &mut Kernel::with([100]));
        (0..2).for_each(|id| children.forget(id));
        reap(&mut children, Some(101), &mut Kernel::with([101, 102]));
        assert_eq!(reported(&mut children), [(2, 1020)]);
        assert_eq!(children.len(), 0);
    }

    #[test]
    fn a_new_owner_hears_nothing_of_what_was_there_before() {
        let mut children = children(3);
        reap(&mut children, Some(100), &mut Kernel::with([100]));
        children.disown();
        assert_eq!(children.discard(2), None);
        // The new owner uses the same numbers as the old one.
        children.add(200, 1);
        reap(&mut children, Some(101), &mut Kernel::with([101]));
        assert_eq!(reported(&mut children), []);
        assert_eq!(children.pid_of(1), Some(200));
        reap(&mut children, Some(200), &mut Kernel::with([200]));
        assert_eq!(reported(&mut children), [(1, 2000)]);
    }

    #[test]
    fn discarded_ones_are_waited_for_and_not_reported() {
        let mut children = children(3);
        assert_eq!(
            (children.discard(1), children.discard(9)),
            (Some(101), None)
        );
        let mut kernel = Kernel::with([102]);
        assert!(!children.settle(|pid, wait| kernel.look(pid, wait)));
        assert_eq!(kernel.asked, [(100, false), (101, true), (102, false)]);
        assert_eq!(reported(&mut children), [(2, 1020)]);
        assert!(children.settle(|pid, _| Kernel::with([100]).look(pid, false)));
    }

    #[test]
    fn reports_wait_until_there_is_room_and_end_with_the_owner() {
        let mut children = children(0);
        let fate = Fate::Unborn { code: 24 };
        for child in 0..BATCH as u64 + 1 {
            children.unborn(Report { child, fate });
        }
        let mut sent = Vec::new();
        children.report(|body| {
            sent.push(Report::decode(body).len());
            if sent.len() == 1 {
                Ok(())
            } else {
                Err(Trouble::Busy)
            }
        });
        assert_eq!(sent, [BATCH, 1]);
        assert_eq!(reported(&mut children), [(BATCH as u64, -24)]);
        children.unborn(Report { child: 1, fate });
        children.report(|_| Err(Trouble::Closed { unread: false }));
        assert!(!children.has_reports());
    }
}
