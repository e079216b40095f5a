//! Whether the user code that runs now may start processes.
//!
//! Code that runs in every template or in every new process would start a process there
//! as well, in which it would run again, and so on without end. So it is refused where
//! it runs: a process always knows whose turn it is.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use crate::error::{Error, Result};

/// Whose turn it is in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The turn of constructors that run before this library's own.
    Loading,
    /// The turn of the program, a preload or an entry.
    Running,
    /// The turn of constructors that a template runs itself.
    Constructing,
    /// Nobody's turn: the process waits for requests.
    Serving,
    /// The turn of hooks.
    Hooked,
}

const ALL: [Phase; 5] = [
    Phase::Loading,
    Phase::Running,
    Phase::Constructing,
    Phase::Serving,
    Phase::Hooked,
];

static NOW: AtomicU8 = AtomicU8::new(Phase::Loading as u8);

/// Whether this worker was confined.
static IS_CONFINED: AtomicBool = AtomicBool::new(false);

/// How many templates there are one below the other, down to this process, each started
/// by a worker of the one above.
static DEPTH: AtomicU32 = AtomicU32::new(0);

/// The most templates that may be one below the other. Threads of hooks run while the
/// entry does, so nothing tells what they start from what the entry starts.
const DEEPEST: u32 = 32;

/// Says whose turn it is from here on, and gives whose it was.
pub(crate) fn enter(phase: Phase) -> Phase {
    let before = NOW.swap(phase as u8, Ordering::Relaxed);
    ALL.get(usize::from(before)).copied().unwrap_or(phase)
}

/// Refuses to start a process when that would have no end.
pub(crate) fn check() -> Result<()> {
    if IS_CONFINED.load(Ordering::Relaxed) {
        return Err(Error::invalid(CONFINED).unstarted());
    }
    let now = NOW.load(Ordering::Relaxed);
    match ALL.get(usize::from(now)).and_then(|phase| refusal(*phase)) {
        None => Ok(()),
        Some(text) => Err(Error::invalid(format!("no process can be started {text}")).unstarted()),
    }
}

/// Notes that this worker is confined.
#[cfg(feature = "confine")]
pub(crate) fn set_confined() {
    IS_CONFINED.store(true, Ordering::Relaxed);
}

const CONFINED: &str = "a confined worker cannot start a process: start it in the program, and \
                        pass the worker a `Sender` by which it asks, or run both as workers of \
                        the program that share a channel";

fn refusal(phase: Phase) -> Option<&'static str> {
    match phase {
        Phase::Running => None,
        Phase::Loading => Some(
            "before `main` in a constructor that runs before this library's own: start it from \
             `main` on",
        ),
        Phase::Constructing => Some(
            "by a constructor in a template: it runs in every template, would start another one \
             there, and so on without end. Start it from `main` on",
        ),
        Phase::Serving => Some(
            "by a thread of a process that waits to be told what to run: code that runs in each \
             of these would start another one there, and so on without end. Start it in an entry \
             or in a preload",
        ),
        Phase::Hooked => Some(
            "in a hook: hooks run in every process, would start another one there, and so on \
             without end. Start it in an entry or in a preload; a hook may start programs with \
             `std::process::Command`",
        ),
    }
}

/// Gives the depth of the next template that this process starts, or an error when that
/// is too deep.
pub(crate) fn deeper() -> Result<u32> {
    match DEPTH.load(Ordering::Relaxed) {
        depth if depth < DEEPEST => Ok(depth + 1),
        _ => Err(Error::invalid(format!(
            "no template can be started: {DEEPEST} stand one below the other, each started by a \
             worker of the one before. Something that runs in every worker seems to start one, \
             for example a thread of a hook"
        ))
        .unstarted()),
    }
}

/// Notes that this process is a template of this depth.
pub(crate) fn set_depth(depth: u32) {
    DEPTH.store(depth, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_has_its_place() {
        for (at, phase) in ALL.into_iter().enumerate() {
            assert_eq!(usize::from(phase as u8), at);
            assert_eq!(refusal(phase).is_none(), phase == Phase::Running);
        }
    }
}
