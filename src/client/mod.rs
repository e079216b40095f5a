//! The program's side: handles on processes and workers.
//!
//! `line` is one socket and what has arrived on it; `peer` is the process at its other
//! end, seen from outside, with its `birth` and its `stock` of spares; `template` keeps
//! the default one; `ending` collects what was told to end; `tree` kills what a worker
//! has started; `process` and `worker` are the handles that users hold, and `live` is a
//! worker that takes calls, below the handles on it. There is no
//! thread, no signal handler and no timer: the thread that waits reads. `README.md`
//! beside this file tells how.

mod birth;
mod ending;
#[cfg(feature = "exec")]
mod execute;
mod launcher;
mod line;
mod live;
mod peer;
mod process;
mod stock;
mod sync;
mod template;
mod tree;
mod wait_any;
#[cfg(feature = "tokio")]
mod watch;
mod worker;

pub(crate) use live::Live;
pub(crate) use peer::Peer;
#[cfg(feature = "pool")]
pub(crate) use process::Starting;
pub(crate) use process::{Manner, lend};
pub use process::{Process, spawn};
pub(crate) use template::other_group;
pub use template::renew_template;
pub use wait_any::{wait_any, wait_any_timeout};
#[cfg(feature = "tokio")]
pub(crate) use watch::Watch;
pub use worker::Worker;
