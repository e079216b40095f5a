//! The children of the process at the other end, by their numbers.

use std::collections::BTreeMap;

use crate::wire::frame::{Fate, Report};

/// When this many children are forgotten, they are mentioned without waiting for the
/// next fork.
const FORGET_AT: usize = 64;

/// The children whose handles live, and those that the other end need not report.
#[derive(Debug, Default)]
pub(in crate::client) struct Children {
    /// How many there have been.
    count: u64,
    /// What became of those whose handles live.
    fates: BTreeMap<u64, Option<Fate>>,
    /// Those that nobody asks about any more, which the other end does not know yet.
    forgotten: Vec<u64>,
}

impl Children {
    /// Gives the number of a new child. Reports about it are kept from here on.
    pub(in crate::client) fn expect(&mut self) -> u64 {
        let number = self.count;
        self.count += 1;
        self.fates.insert(number, None);
        number
    }

    /// Tells how many handles live, including those in stock.
    pub(in crate::client) fn len(&self) -> usize {
        self.fates.len()
    }

    /// Tells what became of this child, if that was reported.
    pub(in crate::client) fn fate(&self, number: u64) -> Option<Fate> {
        self.fates.get(&number).copied().flatten()
    }

    /// Tells whether all children with handles were reported.
    pub(in crate::client) fn have_ended(&self) -> bool {
        self.fates.values().all(Option::is_some)
    }

    pub(super) fn report(&mut self, report: Report) {
        match self.fates.get_mut(&report.child) {
            Some(fate) => *fate = Some(report.fate),
            // Its handle is gone: there is nothing left to forget at the other end.
            None => self.forgotten.retain(|number| *number != report.child),
        }
    }

    /// Forgets this child: nobody asks about it any more. When many have been
    /// forgotten, gives the numbers that the other end should be told now.
    pub(in crate::client) fn forget(&mut self, number: u64) -> Option<Vec<u64>> {
        if self.fates.remove(&number).flatten().is_some() {
            // It has been reported already.
            return None;
        }
        self.forgotten.push(number);
        (self.forgotten.len() >= FORGET_AT).then(|| self.take_forgotten())
    }

    /// Takes the numbers to be mentioned with the next request.
    pub(in crate::client) fn take_forgotten(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(child: u64) -> Report {
        let fate = Fate::Unborn { code: 7 };
        Report { child, fate }
    }

    #[test]
    fn each_has_a_number_of_its_own_and_its_own_fate() {
        let mut children = Children::default();
        assert_eq!([(); 3].map(|()| children.expect()), [0, 1, 2]);
        children.report(report(1));
        let known = [0, 1, 2].map(|number| children.fate(number).is_some());
        assert_eq!(known, [false, true, false]);
        assert!(!children.have_ended());
        children.report(report(0));
        children.report(report(2));
        assert!(children.have_ended());
        assert_eq!(children.len(), 3, "their handles live");
    }

    #[test]
    fn the_other_end_is_told_of_those_that_it_has_not_reported() {
        let mut children = Children::default();
        for _ in 0..4 {
            children.expect();
        }
        children.report(report(0));
        for number in [0, 1, 2] {
            assert_eq!(children.forget(number), None);
        }
        // The report crosses with what is to be told.
        children.report(report(2));
        assert_eq!(children.take_forgotten(), [1]);
        assert_eq!(children.take_forgotten(), [0; 0], "once");
        assert_eq!(children.len(), 1);
        assert_eq!(children.fate(0), None, "nobody asks about it");
    }

    #[test]
    fn many_that_are_forgotten_are_told_at_once() {
        let mut children = Children::default();
        for _ in 1..FORGET_AT {
            let number = children.expect();
            assert_eq!(children.forget(number), None);
        }
        let last = children.expect();
        let told = children.forget(last);
        assert_eq!(told.map(|numbers| numbers.len()), Some(FORGET_AT));
        assert!(children.take_forgotten().is_empty());
    }
}
