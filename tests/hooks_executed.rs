//! Hooks, with a template that is executed when it is first needed.

#![allow(missing_docs, clippy::unwrap_used, reason = "these are tests")]

#[path = "hooks/cases.rs"]
mod cases;
mod util;
