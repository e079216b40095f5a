//! Runs the program's hooks, in workers and around forks.

use super::{
    panics,
    perform::{end_unheard, perform},
};
use crate::{
    error::Result,
    hooks::{self, Hook, When},
    phase::{self, Phase},
};

/// Runs the hooks of this kind, up to the first one that fails.
pub(super) fn run(when: When) -> Result<()> {
    if !hooks::has(when) {
        return Ok(());
    }
    let before = phase::enter(Phase::Hooked);
    let result = hooks::of(when).into_iter().try_for_each(run_one);
    phase::enter(before);
    result
}

/// Tells whether anything runs around a fork.
pub(super) fn surround_forks() -> bool {
    [When::Prepare, When::Parent, When::Child]
        .into_iter()
        .any(hooks::has)
}

fn run_one(hook: &'static Hook) -> Result<()> {
    let code = || {
        let result = hook.run();
        result.map_err(|text| hook.failure(&format!("failed: {text}")))
    };
    let result = panics::named(hook, || perform(code));
    end_unheard();
    result
}
