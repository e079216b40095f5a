//! Runs the program's hooks, in workers and around forks.

use std::cell::Cell;

use super::perform::{end_unheard, perform};
use crate::{
    error::Kind as ErrorKind,
    hooks::{self, Hook, When},
    phase::{self, Phase},
    wire::frame::Failure,
};

thread_local! {
    /// The hook that this thread runs. Without unwinding its panic is sent by
    /// the panic hook, which must know of it.
    static RUNNING: Cell<Option<&'static Hook>> = const { Cell::new(None) };
}

/// Runs the hooks of this kind, up to the first that fails.
pub(super) fn run(when: When) -> Result<(), Failure> {
    if !hooks::has(when) {
        return Ok(());
    }
    let before = phase::enter(Phase::Hooked);
    let result = hooks::of(when).into_iter().try_for_each(run_one);
    phase::enter(before);
    result
}

/// Whether anything runs around a fork.
pub(super) fn surround_forks() -> bool {
    [When::Prepare, When::Parent, When::Child]
        .into_iter()
        .any(hooks::has)
}

fn run_one(hook: &'static Hook) -> Result<(), Failure> {
    RUNNING.set(Some(hook));
    let result = perform(|| hook.run())
        .and_then(|result| result.map_err(|text| failure(hook, &format!("failed: {text}"))));
    RUNNING.set(None);
    end_unheard();
    result
}

/// What to say about a panic of this thread, if a hook is running in it.
pub(super) fn panicked(text: &str) -> Option<Failure> {
    RUNNING.get().map(|hook| failure(hook, text))
}

fn failure(hook: &Hook, text: &str) -> Failure {
    let (when, path) = (hook.when(), hook.path());
    Failure {
        kind: ErrorKind::Hook,
        // After a parent hook the child may have begun.
        unstarted: when != When::Parent,
        code: 0,
        text: format!("the {} hook `{path}` {text}", when.name()),
    }
}
