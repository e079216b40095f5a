//! What user code leaves in buffers.

use std::io::Write;

use crate::sys::{fork, profile};

/// Writes it, and a profile. A stdout that cannot be written to is the business of that
/// code.
pub(super) fn write_out() {
    flush();
    profile::write();
}

/// Flushes Rust's and C's stdout.
pub(super) fn flush() {
    let _ = std::io::stdout().flush();
    fork::flush_c();
}
