//! The raw layer: octets and descriptors for an entry that
//! [`Process::run_raw`](crate::Process::run_raw) runs by its name.
//! [`Process::send_arg`](crate::Process::send_arg) and
//! [`send_fd`](crate::Process::send_fd) send them with the task, and they arrive in the
//! order in which they were sent.

use std::{cell::RefCell, mem::ManuallyDrop, os::fd::OwnedFd};

/// One raw argument.
#[derive(Debug)]
pub enum Arg {
    /// What [`Process::send_arg`](crate::Process::send_arg) sent.
    Bytes(Vec<u8>),
    /// What [`Process::send_fd`](crate::Process::send_fd) sent; close-on-exec.
    Fd(OwnedFd),
}

/// The raw arguments of a process, in the order in which they were sent.
///
/// It is an ordinary iterator. What you do not take out is dropped with it, and its
/// descriptors are closed.
#[derive(Debug, Default)]
pub struct Args(std::vec::IntoIter<Arg>);

impl Iterator for Args {
    type Item = Arg;

    fn next(&mut self) -> Option<Arg> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Args {}

thread_local! {
    /// What this process was sent and nobody has taken. It has no destructor:
    /// registering one would cost each new process a handful of page faults, and the
    /// list lives as long as the process.
    static HELD: ManuallyDrop<RefCell<Vec<Arg>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

/// Takes, and clears, the raw arguments sent to this process so far.
///
/// A preload that calls it gets those that were sent before the preload. A worker that
/// is forked afterwards has what the preload did not take, and what is sent later; its
/// entry may call this, too. In the program itself there are none, and in a worker only
/// the entry's thread has them.
///
/// # Examples
///
/// ```
/// use zygote::{Process, raw::Arg};
///
/// #[zygote::preload]
/// fn configure() -> Vec<u8> {
///     zygote::raw::take_args()
///         .filter_map(|arg| match arg {
///             Arg::Bytes(bytes) => Some(bytes),
///             Arg::Fd(_) => None,
///         })
///         .flatten()
///         .collect()
/// }
///
/// #[zygote::entry]
/// fn show(config: &Vec<u8>) -> (Vec<u8>, usize) {
///     (config.clone(), zygote::raw::take_args().len())
/// }
///
/// let process = Process::new()?.send_arg("verbose").send_arg("=1");
/// let process = process.preload(configure::task())?;
/// assert_eq!(show::spawn(&process)?.join()?, (b"verbose=1".to_vec(), 0));
/// # Ok::<(), zygote::Error>(())
/// ```
#[must_use]
pub fn take_args() -> Args {
    Args(HELD.with(|held| held.take()).into_iter())
}

/// Puts an argument at the end of this process's list.
pub(crate) fn hold(arg: Arg) {
    HELD.with(|held| held.borrow_mut().push(arg));
}
