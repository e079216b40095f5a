//! What is not a frame of this library, between living processes: what a
//! program feeds to its processes, and what a worker sends to its program.

#![allow(
    missing_docs,
    unsafe_code,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "these are tests, and do what no user of the library does"
)]

mod fed;
mod frames;
#[cfg(feature = "pool")]
mod pool;
mod service;
#[path = "../util/mod.rs"]
mod util;
mod worker;

zygote::early!();

#[zygote::entry]
fn hello() -> String {
    "hello".to_owned()
}
