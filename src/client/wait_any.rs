//! Waiting for the first of several workers.

use std::{os::fd::AsFd, time::Instant};

use super::worker::Worker;
use crate::{
    error::{Error, Result},
    sys::poll::{Deadline, poll_many},
};

/// Waits until one of the workers has exited; gives its place. As every wait it
/// closes a piped stdin that was not taken. `None` when the
/// deadline passes first; no deadline waits for ever. Without workers it
/// returns `None` at once.
///
/// # Errors
///
/// `poll` failed.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// #[zygote::entry]
/// fn nap(ms: u64) -> u64 {
///     std::thread::sleep(Duration::from_millis(ms));
///     ms
/// }
///
/// let mut workers = vec![nap::spawn(60_000)?, nap::spawn(1)?];
/// let deadline = Instant::now() + Duration::from_secs(30);
/// assert_eq!(zygote::wait_any(&workers, Some(deadline))?, Some(1));
/// assert_eq!(workers.remove(1).join()?, 1);
/// # Ok::<(), zygote::Error>(())
/// ```
pub fn wait_any<'w, R: 'w>(
    workers: impl IntoIterator<Item = &'w Worker<R>>,
    deadline: Option<Instant>,
) -> Result<Option<usize>> {
    let workers = workers.into_iter().inspect(|worker| worker.close_stdin());
    let pidfds: Vec<_> = workers.map(AsFd::as_fd).collect();
    if pidfds.is_empty() {
        return Ok(None);
    }
    let ready = poll_many(&pidfds, Deadline::at(deadline))
        .map_err(|error| Error::os("poll for the exit of workers failed", error))?;
    Ok(ready.first().copied())
}
