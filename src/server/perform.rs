//! The boundary to the user's code: its panics end here, and so do its copies.
//!
//! Entries, preloads and hooks run in here. So do the steps before an exec: they
//! are part of the entry that executes.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::panics;
use crate::{
    error::Result,
    sys::{fork, ours},
};

/// The exit code of a worker whose entry panicked, the same as that of a Rust program.
pub(super) const PANICKED: i32 = 101;

/// Runs user code, and gives its result or the error for its panic.
///
/// Code that forks returns twice. Only the process that was asked goes on; a copy ends
/// here, with the exit code of a Rust program whose `main` ends in the same way.
pub(super) fn perform<T>(code: impl FnOnce() -> Result<T>) -> Result<T> {
    let result = catch_unwind(AssertUnwindSafe(code));
    fork::end_copy(if result.is_ok() { 0 } else { PANICKED });
    result.unwrap_or_else(|payload| {
        let error = panics::caught(&*payload);
        // Its drop may panic again.
        mem::forget(payload);
        Err(error)
    })
}

/// Ends this process if user code has closed its socket: nobody hears it any more, and
/// the number may be that of a file of that code.
pub(super) fn end_unheard() {
    if ours::with_main_socket(|_| ()).is_none() {
        fork::exit(1);
    }
}
