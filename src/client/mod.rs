//! The program's side: handles on processes and workers.
//!
//! `peer` is one process at the other end of a socket, with everything that is
//! known about it; `forks` is what it forks; `template` keeps the default one;
//! `ending` collects what was told to end;
//! `tree` kills what a worker has started; `process` and `worker` are
//! the handles that users hold. No thread, no signal handler, no timer: whoever
//! waits reads.

mod ending;
#[cfg(feature = "exec")]
mod execute;
mod forks;
mod launcher;
mod peer;
mod process;
mod template;
mod tree;
mod wait_any;
mod worker;

pub(crate) use peer::Peer;
pub use process::Process;
pub(crate) use process::lend;
pub(crate) use template::other_group;
pub use template::renew_template;
pub use wait_any::wait_any;
pub use worker::Worker;
