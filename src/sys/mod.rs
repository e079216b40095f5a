//! The operating system: the only unsafe code of the crate.
//!
//! A safe function here is safe for every caller, at any time: what is sound in one
//! thread only, or before `main` only, takes a proof of that ([`single::Single`],
//! [`image::BeforeMain`]). Nothing here knows a frame, an entry or a handle. What every
//! new process calls goes through `syscall`, for which one page of code is enough: each
//! function of the C library is another page that the process must get first.
//!
//! Each file promises:
//!
//! - `allocator`: tells a worker's owner that the worker got no memory
//! - `confine`: `fstat` below a filter
//! - `environment`: variables, directory, what `/proc` tells of a thread
//! - `epoch`: whether this process is still the one that made a handle
//! - `epoll`: waiting for any number of descriptors, and for a bell
//! - `exec`: becoming another program
//! - `executable`: which file this program is, in memory and on disk
//! - `fail`: faults on request, for tests only
//! - `fd`: closing what is not kept, 0 to 2, higher numbers
//! - `fork`: new processes and their end
//! - `huge`: huge pages for memory that forks share
//! - `identity`: capabilities
//! - `image`: the running executable: constructors, the time before `main`, title
//! - `leaked`: values that are published and never freed
//! - `limits`: resources and priorities
//! - `memory`: sealed memory, copied or mapped
//! - `memory_use`: how much memory a process has
//! - `namespace`: namespaces of this process
//! - `ours`: descriptors of our own in the user's program
//! - `pages`: memory made a process's own in advance
//! - `pidfd`: other processes, by a handle that is never reused
//! - `place`: session, group, terminal, cgroup, root
//! - `poll`: waiting with a deadline
//! - `prepared`: a message for code that must not allocate or wait
//! - `profile`: coverage counters
//! - `shared`: one page that two processes share
//! - `signal`: masks, dispositions, the parent-death signal
//! - `single`: whether this is the only thread
//! - `socket`: messages with descriptors, whole or an error
//! - `spawn`: this executable once more
//! - `stale`: numbers that code before `main` knows, taken by nothing
#![expect(
    unsafe_code,
    reason = "system calls that nix lacks or whose contract it cannot carry"
)]

/// Makes a name for the linker. It contains the version, because two versions of this
/// crate may be in one binary.
macro_rules! symbol {
    ($name:literal) => {
        concat!(
            "zygote_",
            env!("CARGO_PKG_VERSION_MAJOR"),
            "_",
            env!("CARGO_PKG_VERSION_MINOR"),
            "_",
            $name
        )
    };
}

pub(crate) mod allocator;
#[cfg(feature = "confine")]
pub(crate) mod confine;
#[cfg(test)]
pub(crate) mod counted;
pub(crate) mod environment;
pub(crate) mod epoch;
#[cfg(feature = "pool")]
pub(crate) mod epoll;
pub(crate) mod exec;
pub(crate) mod executable;
pub(crate) mod fail;
pub(crate) mod fd;
pub(crate) mod fork;
pub(crate) mod huge;
pub(crate) mod identity;
pub(crate) mod image;
pub(crate) mod leaked;
pub(crate) mod limits;
pub(crate) mod memory;
#[cfg(feature = "pool")]
pub(crate) mod memory_use;
pub(crate) mod namespace;
pub(crate) mod ours;
pub(crate) mod pages;
pub(crate) mod pidfd;
pub(crate) mod place;
pub(crate) mod poll;
mod prepared;
pub(crate) mod profile;
pub(crate) mod shared;
pub(crate) mod signal;
pub(crate) mod single;
pub(crate) mod socket;
#[cfg(feature = "exec")]
pub(crate) mod spawn;
pub(crate) mod stale;

use std::io;

/// Turns the −1 of a system call into its errno.
fn check<T: PartialOrd + From<i8>>(result: T) -> io::Result<T> {
    if result < T::from(0) {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// Does this, and leaves the thread's errno as it was.
fn keep_errno(act: impl FnOnce()) {
    // SAFETY: it has no conditions. (Both C libraries have this name for it.)
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: errno is a thread-local int that lives as long as the thread.
    let saved = unsafe { *errno };
    act();
    // SAFETY: as above.
    unsafe { *errno = saved };
}
