//! What runs in templates and workers.
//!
//! `hook` decides before `main` what this process is, `asked` whether it was
//! executed to be a template; `serve` is the loop of a
//! process that has not been told what to run, `family` keeps its children,
//! `preload` runs a preload in it, `worker` an entry; `panics` records panics.
//!
//! In a template no user code runs but preloads, and every signal is blocked
//! for life. It has one thread.

#[cfg(feature = "exec")]
mod asked;
mod family;
mod hook;
mod panics;
mod preload;
mod serve;
mod worker;

pub(crate) use serve::serve_copy;
