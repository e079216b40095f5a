//! The types of what a process is made of: limits, rights, places, confinement.
//!
//! The methods of [`Process`](crate::Process#what-a-process-is-made-of) and of
//! [`Command`](crate::Command) take them.

// A `Setting` is a `What` with its values, and all settings of a process are its
// `Settings`. They are recorded in the program, sent with the task, and applied in the
// new process. The table of all kinds, with their order, is in `what`. Each topic has a
// file with the methods that record its settings and the functions that apply them:
// `stdio`, `raw_arg`, `variables`, `surroundings`, `place`, `tree`, `namespaces`, `limits`,
// `identity`, `detached`, `init`, `confine`. `apply` goes through them in the new process.

mod apply;
mod capability;
#[cfg(feature = "confine")]
mod confine;
mod detached;
mod identity;
mod init;
mod limits;
mod namespaces;
mod place;
mod raw_arg;
mod resource;
mod setting;
pub(crate) mod stdio;
mod surroundings;
mod tree;
mod user_map;
mod variables;
mod what;

pub use self::capability::Capability;
#[cfg(feature = "confine")]
pub use self::confine::Confine;
pub use self::limits::{IoPriority, Scheduler};
pub use self::namespaces::Namespaces;
pub use self::place::Cgroup;
pub use self::resource::Resource;
pub(crate) use self::setting::{Setting, Settings};
pub(crate) use self::stdio::{Ends, STREAMS};
pub use self::user_map::UserMap;
pub(crate) use self::what::What;
