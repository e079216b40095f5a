//! What runs in templates and workers.
//!
//! Before `main`, `hook` decides what this process is, and `asked` whether it was
//! executed to be a template; `root` makes it one. `host` is what a process is and says
//! of itself, `serve` the loop of one that has not been told what to run. `forking`
//! makes other processes from it, when it is asked or when `backlog` says so, and
//! `launch` launches other executables. `family` keeps its children, by the rules in
//! `children`.
//!
//! `preload` runs a preload in a process, `worker` an entry with its `settings`, `calls`
//! one entry after the other;
//! `keeper` is what stays around a worker in a PID namespace. `job` is what a preload or
//! an entry is given, `streams` are the streams that are lent with it, `output` writes
//! out what it leaves in buffers. `hooks` runs what the program registered around forks
//! and entries. `perform` is the boundary to all user code, and `panics` records its
//! panics.
//!
//! The only user code that runs in a template is preloads and the hooks around forks.
//! Every signal is blocked in it for life, and it has one thread.

#[cfg(feature = "exec")]
mod asked;
mod backlog;
pub(crate) mod calls;
mod children;
mod family;
mod forking;
mod hook;
mod hooks;
mod host;
mod init;
mod job;
mod keeper;
mod launch;
mod output;
mod panics;
mod perform;
mod preload;
mod root;
mod serve;
mod streams;
mod worker;

pub(crate) use root::serve_copy;
