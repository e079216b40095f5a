//! The program's side: handles on processes and workers.
//!
//! `line` is one socket and what has arrived on it; `peer` is the process at its other
//! end, seen from outside, with its `birth` and its `stock` of spares; `template` keeps
//! the default one; `ending` collects what was told to end; `tree` kills what a worker
//! has started; `process` and `worker` are the handles that users hold. There is no
//! thread, no signal handler and no timer: the thread that waits reads. `README.md`
//! beside this file tells how.

mod birth;
mod ending;
#[cfg(feature = "exec")]
mod execute;
mod launcher;
mod line;
mod peer;
mod process;
mod stock;
mod sync;
mod template;
mod tree;
mod wait_any;
mod worker;

pub(crate) use peer::Peer;
pub(crate) use process::lend;
pub use process::{Process, spawn};
pub(crate) use template::other_group;
pub use template::renew_template;
pub use wait_any::{wait_any, wait_any_timeout};
pub use worker::Worker;
