//! Hooks, with a template that was forked before `main`.

#![allow(missing_docs, clippy::unwrap_used, reason = "these are tests")]

#[path = "hooks/cases.rs"]
mod cases;
mod util;

zygote::early!();
