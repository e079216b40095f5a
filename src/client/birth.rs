//! How a process came to be, and what is known of it before it speaks and after
//! it has died. Pure.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use crate::error::Error;

/// How a process came to be. `P` is a process.
#[derive(Debug)]
pub(super) enum Birth<P> {
    /// Forked before `main`. It is a child of this process, with this id, and may die
    /// before it can say so.
    Early(i32),
    /// Made by executing this program as a template.
    #[cfg_attr(
        not(feature = "exec"),
        expect(dead_code, reason = "nothing is executed without the feature")
    )]
    Executed,
    /// Forked as a copy of this program.
    Copied,
    /// Given to this program, by its socket.
    Given,
    /// Forked by another process, where it has this number. The line of that process
    /// stays open as long as somebody asks about this one.
    Forked {
        by: P,
        number: u64,
        /// Whether it was asked for before it was needed. Then its `Hello` should be
        /// there.
        is_spare: bool,
    },
}

impl<P> Birth<P> {
    /// Gives the process that forked it, and its number there.
    pub(super) fn origin(&self) -> Option<(&P, u64)> {
        match self {
            Self::Forked { by, number, .. } => Some((by, *number)),
            _ => None,
        }
    }

    /// Gives the id of a process that is a child of this one from the start.
    pub(super) fn child(&self) -> Option<i32> {
        match self {
            Self::Early(child) => Some(*child),
            _ => None,
        }
    }

    pub(super) fn is_spare(&self) -> bool {
        matches!(self, Self::Forked { is_spare: true, .. })
    }

    /// Tells whether it is a template that this program starts unasked, so that another
    /// may take its place.
    pub(super) fn is_default(&self) -> bool {
        matches!(self, Self::Early(_) | Self::Executed)
    }
}

/// What is known of a process apart from what it says. It is never taken back.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// Whether the process is dead. A child that it was just forking may hold its
    /// socket open for a moment, and nobody reads there.
    dead: AtomicBool,
    never: OnceLock<Never>,
}

/// Why there will be no `Hello`.
#[derive(Debug)]
struct Never {
    why: Error,
    /// Whether it was found gone and had never said a word, so that neither it nor this
    /// program has decided that.
    is_silent: bool,
}

impl Life {
    pub(super) fn mark_dead(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Notes that it will never say `Hello`. The first reason counts, and is given
    /// back.
    pub(super) fn mark_never(&self, why: Error, is_silent: bool) -> Error {
        let never = self.never.get_or_init(|| Never { why, is_silent });
        never.why.clone()
    }

    /// Tells why it will never say `Hello`, if that is known.
    pub(super) fn why_never(&self) -> Option<&Error> {
        self.never.get().map(|never| &never.why)
    }

    /// Tells whether it is certain that it ran nothing, and that its being gone is all
    /// that went wrong, so that another may take its place.
    pub(super) fn has_vanished(&self) -> bool {
        self.never.get().is_some_and(|never| never.is_silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &'static str) -> Error {
        Error::invalid(text)
    }

    #[test]
    fn only_a_fork_has_an_origin_and_only_the_early_one_a_number_here() {
        let births = [
            (Birth::<&str>::Early(7), None, Some(7), true),
            (Birth::Executed, None, None, true),
            (Birth::Copied, None, None, false),
            (Birth::Given, None, None, false),
        ];
        for (birth, origin, child, is_default) in births {
            assert_eq!((birth.origin(), birth.child()), (origin, child));
            assert_eq!((birth.is_default(), birth.is_spare()), (is_default, false));
        }
        for is_spare in [false, true] {
            let fork = Birth::Forked {
                by: "it",
                number: 3,
                is_spare,
            };
            assert_eq!((fork.origin(), fork.child()), (Some((&"it", 3)), None));
            assert_eq!((fork.is_default(), fork.is_spare()), (false, is_spare));
        }
    }

    #[test]
    fn only_one_that_is_gone_without_a_word_is_replaced() {
        let life = Life::default();
        assert!(!life.has_vanished() && !life.is_dead(), "it may be there");
        life.mark_dead();
        assert!(!life.has_vanished() && life.is_dead(), "it may have run");
        life.mark_never(error("gone"), true);
        assert!(life.has_vanished());
    }

    #[test]
    fn one_that_was_given_up_or_said_why_is_not_replaced() {
        let life = Life::default();
        life.mark_never(error("given up"), false);
        assert!(!life.has_vanished());
    }

    #[test]
    fn the_first_reason_counts() {
        let life = Life::default();
        assert!(life.why_never().is_none());
        life.mark_never(error("first"), false);
        assert_eq!(life.mark_never(error("second"), true).message(), "first");
        assert_eq!(life.why_never().map(Error::message), Some("first"));
        assert!(!life.has_vanished());
    }
}
