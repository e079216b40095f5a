//! What went wrong with what arrived. Pure.

use crate::error::Error;

/// What arrived could not be understood or kept.
#[derive(Clone, Debug)]
struct Fault {
    error: Error,
    /// Whether there was only no room or no memory for it: a moment later there may be.
    passes: bool,
}

/// The fault that counts: the first that stays, or else the last that passes.
#[derive(Debug, Default)]
pub(super) struct Faults(Option<Fault>);

impl Faults {
    pub(super) fn note(&mut self, error: Error, passes: bool) {
        if self.0.as_ref().is_none_or(|fault| fault.passes) {
            self.0 = Some(Fault { error, passes });
        }
    }

    /// Tells why something that arrived is not here. What passes is told once.
    pub(super) fn take(&mut self) -> Option<Error> {
        let passed = self.0.take_if(|fault| fault.passes);
        let fault = passed.or_else(|| self.0.clone())?;
        Some(fault.error)
    }

    /// Tells whether something has arrived that makes everything after it doubtful.
    pub(super) fn are_there(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_stays_counts_and_is_told_every_time() {
        let mut faults = Faults::default();
        assert!(!faults.are_there() && faults.take().is_none());
        for (text, passes) in [("a", true), ("b", true)] {
            faults.note(Error::invalid(text), passes);
        }
        assert_eq!(faults.take().unwrap().message(), "b");
        assert!(!faults.are_there() && faults.take().is_none());
        for (text, passes) in [("c", true), ("d", false), ("e", true), ("f", false)] {
            faults.note(Error::invalid(text), passes);
        }
        for _ in 0..2 {
            assert_eq!(faults.take().unwrap().message(), "d");
            assert!(faults.are_there());
        }
    }
}
