//! Waiting for the first of several descriptors: workers, programs, listeners.

use std::{os::fd::AsFd, time::Duration};

use crate::{
    error::{Error, Result},
    sys::poll::{Deadline, poll_many},
};

/// Waits until at least one of these descriptors can be read, and gives the places of
/// all that can. A [`Worker`](crate::Worker) and a [`Child`](crate::Child) can be read
/// once they have exited, a listener when a client waits, and a socket or a pipe when
/// something is there or its other end is closed.
///
/// The places count from 0, in the order in which you give the descriptors, and are
/// returned in that order. Without descriptors it returns at once, with no places. It
/// takes nothing from any descriptor.
///
/// To wait for a signal as well, block it and give a `signalfd(2)`, as the second
/// example does. Workers start with no signal blocked. What a
/// [`Command`](crate::Command) starts has the signals blocked that the calling thread
/// blocks, as with std: a task for [`before_exec`](crate::Command::before_exec) can
/// unblock them.
///
/// Unlike a worker's own waits, it closes no piped stdin: drop what
/// [`take_stdin`](crate::Worker::take_stdin) gives when you have written everything, or
/// a worker that reads to the end never finds it.
///
/// # Errors
///
/// `poll` failed: the kernel has no memory, for example.
///
/// # Examples
///
/// ```
/// use std::{os::fd::AsFd, os::unix::net::UnixStream, time::Duration};
///
/// #[zygote::entry]
/// fn nap(ms: u64) -> u64 {
///     std::thread::sleep(Duration::from_millis(ms));
///     ms
/// }
///
/// let mut workers = vec![nap::spawn(60_000)?, nap::spawn(1)?];
/// assert_eq!(zygote::wait_any(&workers)?, [1]);
/// assert_eq!(workers.remove(1).join()?, 1);
///
/// // A worker beside something else.
/// let (mut tell, stop) = UnixStream::pair()?;
/// std::io::Write::write_all(&mut tell, b"stop")?;
/// assert_eq!(zygote::wait_any([workers[0].as_fd(), stop.as_fd()])?, [1]);
/// workers[0].kill()?;
/// # Ok::<(), zygote::Error>(())
/// ```
///
/// ```
/// use std::os::fd::AsFd;
/// use nix::sys::{signal::{SigSet, Signal, raise}, signalfd::SignalFd};
///
/// #[zygote::entry]
/// fn serve() {
///     std::thread::sleep(std::time::Duration::from_secs(3600));
/// }
///
/// let terminate = SigSet::from(Signal::SIGTERM);
/// terminate.thread_block()?; // before the program has other threads
/// let terminated = SignalFd::new(&terminate)?;
///
/// let workers = [serve::spawn()?, serve::spawn()?];
/// raise(Signal::SIGTERM)?; // as `kill` does from outside
/// let these = workers.iter().map(AsFd::as_fd);
/// assert_eq!(zygote::wait_any(these.chain([terminated.as_fd()]))?, [2]);
/// for worker in &workers {
///     worker.signal(Signal::SIGTERM as i32)?;
///     assert_eq!(worker.wait()?.to_string(), "was killed by SIGTERM");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_any<F: AsFd>(these: impl IntoIterator<Item = F>) -> Result<Vec<usize>> {
    ready(these, Deadline::NEVER)
}

/// Waits as [`wait_any`] does, but only this long; gives no places if no descriptor can
/// be read by then. With [`Duration::ZERO`] it looks and does not wait.
///
/// # Errors
///
/// Fails as `wait_any` does.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// #[zygote::entry]
/// fn sleep() {
///     std::thread::sleep(Duration::from_secs(3600));
/// }
///
/// let worker = sleep::spawn()?.kill_on_drop(true);
/// let ready = zygote::wait_any_timeout([&worker], Duration::from_millis(5))?;
/// assert!(ready.is_empty());
/// # Ok::<(), zygote::Error>(())
/// ```
pub fn wait_any_timeout<F: AsFd>(
    these: impl IntoIterator<Item = F>,
    timeout: Duration,
) -> Result<Vec<usize>> {
    ready(these, Deadline::after(timeout))
}

fn ready<F: AsFd>(these: impl IntoIterator<Item = F>, deadline: Deadline) -> Result<Vec<usize>> {
    let these: Vec<F> = these.into_iter().collect();
    if these.is_empty() {
        return Ok(Vec::new());
    }
    let fds: Vec<_> = these.iter().map(AsFd::as_fd).collect();
    poll_many(&fds, deadline)
        .map_err(|error| Error::os("poll for the first of several descriptors failed", error))
}
