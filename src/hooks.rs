//! The hooks of the program: a distributed slice, filled at link time, and the
//! order they run in.

use std::fmt::Display;

use crate::error::{Error, ErrorKind};

/// One function annotated `#[zygote::hook]`.
#[derive(Debug)]
pub struct Hook {
    path: &'static str,
    line: u32,
    column: u32,
    order: i32,
    when: When,
    run: fn() -> Result<(), String>,
}

/// When a [`Hook`] runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// In a worker, before the entry.
    Worker,
    /// In a template, before a fork.
    Prepare,
    /// In a template, after a fork.
    Parent,
    /// In a new process, before anything else.
    Child,
}

/// Every hook that was linked into this program, as the linker placed them.
#[zygote_macros::slice]
pub static HOOKS: [Hook];

impl Hook {
    /// Makes what the macro puts into the slice.
    #[must_use]
    pub const fn new(
        path: &'static str,
        line: u32,
        column: u32,
        order: i32,
        when: When,
        run: fn() -> Result<(), String>,
    ) -> Self {
        Self {
            path,
            line,
            column,
            order,
            when,
            run,
        }
    }

    pub(crate) fn run(&self) -> Result<(), String> {
        (self.run)()
    }

    /// Makes the error for a hook that failed or panicked.
    pub(crate) fn failure(&self, text: &str) -> Error {
        let text = format!("the {} hook `{}` {text}", self.when.name(), self.path);
        let error = Error::new(ErrorKind::Hook, text);
        match self.when {
            // The child may have begun.
            When::Parent => error,
            _ => error.unstarted(),
        }
    }

    fn place(&self) -> (i32, &'static str, u32, u32) {
        (self.order, self.path, self.line, self.column)
    }
}

impl When {
    /// Gives the word in the attribute.
    fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Prepare => "prepare",
            Self::Parent => "parent",
            Self::Child => "child",
        }
    }
}

/// Tells whether there is a hook of this kind.
pub(crate) fn has(when: When) -> bool {
    !HOOKS.is_empty() && HOOKS.iter().any(|hook| hook.when == when)
}

/// Gives the hooks of this kind in the order in which they run. Prepare hooks run in
/// reverse, as with `pthread_atfork`: what was taken last is given back first.
pub(crate) fn of(when: When) -> Vec<&'static Hook> {
    let mut found = sorted(HOOKS.iter().filter(|hook| hook.when == when).collect());
    if when == When::Prepare {
        found.reverse();
    }
    found
}

fn sorted(mut hooks: Vec<&Hook>) -> Vec<&Hook> {
    hooks.sort_by_key(|hook| hook.place());
    hooks
}

/// What a hook may return.
#[diagnostic::on_unimplemented(
    message = "a hook returns `()` or `Result<(), E>` with `E: Display`",
    label = "not what a hook returns"
)]
pub trait Outcome {
    /// Gives the text of the error, if it is one. The compiler would suggest this trait
    /// to a user who calls a method with a plainer name.
    fn outcome_of_hook(self) -> Result<(), String>;
}

impl Outcome for () {
    fn outcome_of_hook(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Display> Outcome for Result<(), E> {
    fn outcome_of_hook(self) -> Result<(), String> {
        // The alternate form of an `anyhow::Error` has the causes.
        self.map_err(|error| format!("{error:#}"))
    }
}

/// Takes what the function returned; an expansion calls it.
pub fn outcome<T: Outcome>(returned: T) -> Result<(), String> {
    returned.outcome_of_hook()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_number_path_and_line() {
        let hook = |order, path, line| Hook::new(path, line, 1, order, When::Child, || Ok(()));
        let hooks = [
            hook(0, "b", 1),
            hook(10, "a", 1),
            hook(0, "a", 9),
            hook(-3, "z", 5),
            hook(0, "a", 2),
        ];
        let places: Vec<_> = sorted(hooks.iter().collect())
            .into_iter()
            .map(|hook| (hook.order, hook.path, hook.line))
            .collect();
        assert_eq!(
            places,
            [
                (-3, "z", 5),
                (0, "a", 2),
                (0, "a", 9),
                (0, "b", 1),
                (10, "a", 1)
            ]
        );
    }

    #[test]
    fn a_failure_names_the_hook_and_says_whether_something_ran() {
        let hook = |when| Hook::new("app::seed", 1, 1, 0, when, || Ok(()));
        let error = hook(When::Child).failure("failed: no entropy");
        assert!(error.is_hook() && error.is_unstarted());
        assert_eq!(
            error.to_string(),
            "the child hook `app::seed` failed: no entropy"
        );
        assert!(!hook(When::Parent).failure("failed").is_unstarted());
    }

    #[test]
    fn an_outcome_has_the_text_of_the_error() {
        assert_eq!(outcome(()), Ok(()));
        assert_eq!(outcome(Ok::<(), &str>(())), Ok(()));
        assert_eq!(outcome(Err("no entropy")), Err("no entropy".to_owned()));
    }
}
