//! Named queues.

use super::{map::Map, ready::Ready, with::With};
use crate::{
    call::Call,
    error::Result,
    task::{RunsIn, Task},
};

/// A named queue of a pool; [`Pool::queue`](super::Pool::queue) gives it.
///
/// The queues of a pool are served by turns, so that a full one does not hold up the
/// others. Each has room for as many calls as the pool was built for, and may have a
/// limit on how many of its calls run at once. The handle keeps the pool, as a clone of
/// the pool does.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use zygote::{Pool, Process};
///
/// #[zygote::entry]
/// fn nap(ms: u64) -> u64 {
///     std::thread::sleep(Duration::from_millis(ms));
///     ms
/// }
///
/// let pool = Pool::new(2)?;
/// let reports = pool.queue("reports");
/// reports.concurrency(1);
/// let slow = [(); 3].map(|()| reports.call(nap::task(60_000)));
/// // The second worker is free.
/// assert_eq!(pool.call(nap::task(1)).join()?, 1);
/// assert_eq!(reports.len(), 2);
/// pool.shutdown(Duration::ZERO)?;
/// # Ok::<(), zygote::Error>(())
/// ```
#[derive(Debug)]
pub struct Queue<S = ()> {
    pub(super) with: With<S>,
}

impl<S> Clone for Queue<S> {
    fn clone(&self) -> Self {
        Self {
            with: self.with.clone(),
        }
    }
}

impl<S> Queue<S> {
    /// Gives a task to the pool, as [`Pool::call`](super::Pool::call) does.
    pub fn call<R, K: RunsIn<S>>(&self, task: Task<R, K>) -> Call<R> {
        self.with.call(task)
    }

    /// Gives a task to the pool if this queue has room, as
    /// [`Pool::try_call`](super::Pool::try_call) does.
    ///
    /// # Errors
    ///
    /// Fails as that does.
    pub fn try_call<R, K: RunsIn<S>>(&self, task: Task<R, K>) -> Result<Call<R>> {
        self.with.try_call(task)
    }

    /// Waits until this queue has room, as [`Pool::ready`](super::Pool::ready) does.
    pub fn ready(&self) -> Ready<S> {
        self.with.ready()
    }

    /// Runs each task, as [`Pool::map`](super::Pool::map) does.
    pub fn map<R, K, I>(&self, tasks: I) -> Map<R, K, I::IntoIter, S>
    where
        K: RunsIn<S>,
        I: IntoIterator<Item = Task<R, K>>,
    {
        self.with.map(tasks)
    }

    /// Gives options for calls in this queue.
    pub fn with(&self) -> With<S> {
        self.with.clone()
    }

    /// Limits how many calls of this queue run at once, from now on. Those that run go
    /// on. With 0 none begins until you call this again. By default there is no limit
    /// but the number of workers.
    pub fn concurrency(&self, most: usize) {
        let shared = &self.with.owner.shared;
        if shared.is_current() {
            shared.change(|state| state.desk.set_concurrency(self.with.queue, most));
        }
    }

    /// Tells how many calls wait.
    #[must_use]
    pub fn len(&self) -> usize {
        let shared = &self.with.owner.shared;
        match shared.is_current() {
            true => shared.lock().desk.waiting(self.with.queue),
            false => 0,
        }
    }

    /// Tells whether no call waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
