//! The program's and the template's death, with the early template.

#![allow(
    unsafe_code,
    clippy::exit,
    clippy::print_stdout,
    reason = "the test sends signals, ends programs and shows what it measured"
)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers that several tests share"
)]

#[path = "probe/mod.rs"]
mod probe;

#[path = "probe/death.rs"]
mod cases;

zygote::early!();
