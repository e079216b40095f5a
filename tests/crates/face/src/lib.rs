//! The public face in use, by a crate that depends on `zygote` alone, forbids
//! unsafe code and denies every lint of clippy's pedantic group.
//!
//! It compiles: that is most of the test. `tests/programs.rs` runs it.

#![forbid(unsafe_code)]
#![deny(
    clippy::pedantic,
    missing_debug_implementations,
    missing_docs,
    rust_2018_idioms,
    unnameable_types,
    unreachable_pub,
    unused,
    unused_qualifications,
    unused_results,
    warnings
)]
// The programs assert.
#![allow(clippy::missing_panics_doc)]

pub mod descriptors;
pub mod preloads;
pub mod raw;
pub mod typed;

/// What the programs return: any error.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
