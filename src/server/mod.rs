//! What runs in templates and workers.
//!
//! `hook` decides before `main` what this process is, `asked` whether it was
//! executed to be a template; `serve` is the loop of a
//! process that has not been told what to run, `forking` makes others from it,
//! asked or by itself as `stock` says, `family` keeps its children,
//! `preload` runs a preload in it, `worker` an entry; `hooks` runs what the program registered around forks and entries; `perform`
//! is the boundary to all code of the user's, `panics` records its panics.
//!
//! In a template no user code runs but preloads and the hooks around forks, and
//! every signal is blocked for life. It has one thread.

#[cfg(feature = "exec")]
mod asked;
mod family;
mod forking;
mod hook;
mod hooks;
mod panics;
mod perform;
mod preload;
mod program;
mod serve;
mod stock;
mod streams;
mod worker;

pub(crate) use serve::serve_copy;
