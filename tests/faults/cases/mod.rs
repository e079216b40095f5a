//! The cases, for both ways to get a template.

#![allow(
    unsafe_code,
    clippy::exit,
    clippy::print_stdout,
    reason = "the test sends signals, ends programs and says what it did"
)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers that several tests share"
)]

#[path = "../../probe/clean.rs"]
mod clean;
#[path = "../../probe/mod.rs"]
mod probe;

mod ends;
mod pools;
mod scene;
mod starts;
mod steps;
mod templates;

#[test]
fn probe_roles() {
    probe::play(steps::play);
}
