//! The operating system: the only unsafe code of the crate.
//!
//! Nothing here knows a frame, an entry or a handle. Each file promises:
//!
//! - `epoch`: whether this process is still the one that made a handle
//! - `fd`: descriptors of our own, sealed memory, closing everything else
//! - `fork`: new processes and their end
//! - `image`: the running executable: constructors, arguments, title
//! - `pidfd`: other processes, by a handle that is never reused
//! - `poll`: waiting with a deadline
//! - `signal`: masks, dispositions, the parent-death signal
//! - `socket`: messages with descriptors, whole or an error
//! - `spawn`: this executable once more
#![expect(
    unsafe_code,
    reason = "system calls that nix lacks or whose contract it cannot carry"
)]

pub(crate) mod epoch;
pub(crate) mod fd;
pub(crate) mod fork;
pub(crate) mod image;
pub(crate) mod pidfd;
pub(crate) mod poll;
pub(crate) mod signal;
pub(crate) mod socket;
#[cfg(feature = "exec")]
pub(crate) mod spawn;

use std::io;

/// Turns the −1 of a system call into its errno.
fn check<T: PartialOrd + From<i8>>(result: T) -> io::Result<T> {
    if result < T::from(0) {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// What a pointer that was published by a leaked `Box` points to.
pub(crate) fn shared<T: Sync>(pointer: *mut T) -> Option<&'static T> {
    // SAFETY: the callers publish null or a pointer to a leaked box, which is
    // never freed or written through.
    unsafe { pointer.as_ref() }
}
