//! Calls with options.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    marker::PhantomData,
    sync::Arc,
    time::Duration,
};

use super::{
    asked::Placed,
    desk::Limits,
    owner::Owner,
    shared::{Cell, Entry, Ticket},
};
use crate::{
    call::Call,
    error::{Error, Result},
    task::{RunsIn, Task},
};

/// Options of calls, for [`Pool::with`](super::Pool::with) and
/// [`Queue::with`](super::Queue::with). What is not set is as the pool was built. Clone
/// it to use it again.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// #[zygote::entry]
/// fn nap(ms: u64) -> u32 {
///     std::thread::sleep(Duration::from_millis(ms));
///     std::process::id()
/// }
///
/// let pool = zygote::Pool::new(2)?;
/// let short = pool.with().time_limit(Duration::from_millis(50));
/// assert!(short.clone().call(nap::task(60_000)).join().unwrap_err().is_timeout());
/// assert!(short.call(nap::task(0)).join().is_ok());
///
/// // Calls of one key run in one worker, one after the other.
/// let user = pool.with().key("anna");
/// let pids = [(); 3].map(|()| user.call(nap::task(0)).join().unwrap());
/// assert_eq!(pids, [pids[0]; 3]);
/// # Ok::<(), zygote::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "options do nothing until something is called with them"]
pub struct With<S = ()> {
    pub(super) owner: Arc<Owner>,
    pub(super) limits: Limits,
    pub(super) queue: usize,
    pub(super) state: PhantomData<fn() -> S>,
}

impl<S> Clone for With<S> {
    fn clone(&self) -> Self {
        Self {
            owner: Arc::clone(&self.owner),
            ..*self
        }
    }
}

/// The options.
impl<S> With<S> {
    /// Limits the time from the call to its outcome. A call that waits until then is
    /// over and [unstarted](crate::Error::is_unstarted); if it runs, its worker is killed.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.limits.timeout = Some(time);
        self
    }

    /// Limits the time for which a call runs. Then its worker is killed.
    pub fn time_limit(mut self, time: Duration) -> Self {
        self.limits.time_limit = Some(time);
        self
    }

    /// Tells the entry when a call has run for this long, see
    /// [`is_cancelled`](crate::call::is_cancelled).
    pub fn soft_limit(mut self, time: Duration) -> Self {
        self.limits.soft_limit = Some(time);
        self
    }

    /// Lets calls run before those of a lower priority that wait in the same queue. The
    /// default is 0.
    pub fn priority(mut self, priority: i32) -> Self {
        self.limits.priority = priority;
        self
    }

    /// Runs calls with the same key in the same place of the pool, one after the other:
    /// in one worker as long as it lives, and then in the one that takes over from it.
    /// Keys share places when there are more of them, and move when the pool is
    /// [resized](super::Pool::resize).
    pub fn key(mut self, key: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.limits.key = Some(hasher.finish());
        self
    }

    /// Runs a call again, this many times at most, if its worker ends while it runs. Use
    /// it for entries that may run more than once. A call that had not begun runs
    /// elsewhere in any case.
    pub fn retries(mut self, times: u32) -> Self {
        self.limits.retries = times;
        self
    }
}

/// The calls.
impl<S> With<S> {
    /// Gives a task to the pool, as [`Pool::call`](super::Pool::call) does.
    pub fn call<R, K: RunsIn<S>>(&self, task: Task<R, K>) -> Call<R> {
        self.enter(&task, Entry::Always).0
    }

    /// Gives a task to the pool if its queue has room, as
    /// [`Pool::try_call`](super::Pool::try_call) does.
    ///
    /// # Errors
    ///
    /// There is no room ([`is_full`](crate::Error::is_full)); the pool was shut down; or
    /// the arguments could not be encoded. No code of the entry has run.
    pub fn try_call<R, K: RunsIn<S>>(&self, task: Task<R, K>) -> Result<Call<R>> {
        let (placed, error) = self.place(&task, Entry::IfRoom);
        match error {
            Some(error) => Err(error.with_entry(task.entry())),
            None => Ok(Call::new(&task, placed)),
        }
    }

    /// Makes a call, and tells whether the pool has taken it. If not, the call says why.
    pub(super) fn enter<R, K>(&self, task: &Task<R, K>, entry: Entry) -> (Call<R>, bool) {
        let (placed, error) = self.place(task, entry);
        let is_taken = error.is_none();
        if let Some(error) = error {
            placed.cell.outcome.put(Err(error));
        }
        (Call::new(task, placed), is_taken)
    }

    fn place<R, K>(&self, task: &Task<R, K>, entry: Entry) -> (Placed, Option<Error>) {
        let shared = Arc::clone(&self.owner.shared);
        let cell = Arc::new(Cell::default());
        let ticket = Ticket {
            cell: Arc::clone(&cell),
            load: task.shared_load(),
        };
        let (id, error) = match shared.call(ticket, self.limits, self.queue, entry) {
            Ok(id) => (Some(id), None),
            Err(error) => (None, Some(error)),
        };
        (Placed { shared, cell, id }, error)
    }
}
