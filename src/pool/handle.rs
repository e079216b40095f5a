//! The handle on a pool.

use std::{fmt, ops::RangeInclusive, sync::Arc, time::Duration};

use super::{
    map::Map,
    queue::Queue,
    ready::Ready,
    shared::Shared,
    stats::Stats,
    template::{Forks, Template},
    with::With,
};
use crate::{
    call::Call,
    error::Result,
    task::{RunsIn, Task},
};

/// Workers that answer calls, as many as are needed.
///
/// Each worker is a fork of one process, keeps its state from call to call, and runs one
/// call at a time. A crash costs the call that ran, and no other: its worker is
/// replaced. Each call has exactly one outcome.
///
/// A pool has one thread, `zygote-pool`, and a second one, `zygote-start`, while it
/// starts workers or runs closures of yours. No signal is delivered to them. The pool is
/// cheap to clone, and any thread may use it.
///
/// Dropping the last handle never waits: the calls that were made are run, and then the
/// workers and the thread end. [`shutdown`](Self::shutdown) waits for that. When the
/// program ends, however it ends, so do the workers. In a copy of the program (`fork`)
/// the handle, and those of its calls, are an error at once.
///
/// # Examples
///
/// ```
/// #[zygote::entry]
/// fn parse(text: String) -> Result<i64, String> {
///     text.parse().map_err(|error| format!("{text}: {error}"))
/// }
///
/// let pool = zygote::Pool::new(2)?;
/// let calls = ["17", "x"].map(|text| pool.call(parse::task(text.into())));
/// let results = calls.map(|call| call.join().unwrap());
/// assert_eq!(results[0], Ok(17));
/// assert!(results[1].is_err());
/// # Ok::<(), zygote::Error>(())
/// ```
pub struct Pool<S = ()> {
    pub(super) with: With<S>,
}

/// Calls.
impl<S> Pool<S> {
    /// Gives a task to the pool. Never blocks and never fails: what goes wrong is the
    /// error of the call. It waits in the queue, however many wait there, until a worker
    /// is free.
    pub fn call<R, K: RunsIn<S>>(&self, task: Task<R, K>) -> Call<R> {
        self.with.call(task)
    }

    /// Gives a task to the pool if its queue has room. Never blocks. Clone the task if
    /// you want to try again.
    ///
    /// # Errors
    ///
    /// There is no room ([`is_full`](crate::Error::is_full)); the pool was shut down
    /// ([`is_closed`](crate::Error::is_closed)); or the arguments could not be encoded. No
    /// code of the entry has run.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use zygote::{Pool, Process};
    ///
    /// #[zygote::entry]
    /// fn nap() {
    ///     std::thread::sleep(Duration::from_secs(60));
    /// }
    ///
    /// let pool = Pool::builder(Process::new()?).workers(1..=1).queue(4).build()?;
    /// let mut calls = Vec::new();
    /// let error = loop {
    ///     match pool.try_call(nap::task()) {
    ///         Ok(call) => calls.push(call),
    ///         Err(error) => break error,
    ///     }
    /// };
    /// assert!(error.is_full() && error.is_unstarted());
    /// assert!(calls.len() >= 4);
    /// pool.shutdown(Duration::ZERO)?;
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn try_call<R, K: RunsIn<S>>(&self, task: Task<R, K>) -> Result<Call<R>> {
        self.with.try_call(task)
    }

    /// Waits until the queue has room: by [`wait`](Ready::wait),
    /// [`wait_timeout`](Ready::wait_timeout) or `await`. Gives a [`Permit`](super::Permit), which is room
    /// for one call that nobody else takes.
    pub fn ready(&self) -> Ready<S> {
        self.with.ready()
    }

    /// Runs each task, and gives one result for each, in order. Takes tasks only as
    /// there is room, see [`Map`].
    pub fn map<R, K, I>(&self, tasks: I) -> Map<R, K, I::IntoIter, S>
    where
        K: RunsIn<S>,
        I: IntoIterator<Item = Task<R, K>>,
    {
        self.with.map(tasks)
    }

    /// Gives options for calls: limits, priority, key.
    pub fn with(&self) -> With<S> {
        self.with.clone()
    }

    /// Gives the queue of this name, which is made at the first use.
    pub fn queue(&self, name: &str) -> Queue<S> {
        let shared = self.shared();
        let number = match shared.is_current() {
            true => shared.change(|state| state.desk.queue(name)),
            // Its calls are errors.
            false => 0,
        };
        Queue {
            with: With {
                queue: number,
                ..self.with.clone()
            },
        }
    }
}

/// Workers.
impl<S: 'static> Pool<S> {
    /// Replaces the process of which the workers are forks. Waits until the new process
    /// is there; then workers are replaced one after the other, when they have no call,
    /// and never fewer than the least number take calls.
    ///
    /// # Errors
    ///
    /// The closure that makes the process failed, or the handle is from before a fork.
    /// Then everything stays as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use zygote::{Pool, Process};
    ///
    /// #[zygote::preload]
    /// fn version(n: u32) -> u32 {
    ///     n
    /// }
    ///
    /// #[zygote::entry]
    /// fn which(version: &u32) -> u32 {
    ///     *version
    /// }
    ///
    /// let load = |n| move || Process::new()?.preload(version::task(n));
    /// let pool = Pool::builder(load(1)).workers(2..=2).build()?;
    /// assert_eq!(pool.call(which::task()).join()?, 1);
    /// pool.reload(load(2))?;
    /// while pool.call(which::task()).join()? == 1 {}
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn reload(&self, template: impl Into<Template<S>>) -> Result<()> {
        let shared = self.shared();
        shared.check()?;
        let mut template = template.into();
        template.prepare()?;
        shared.renew(Box::new(template));
        Ok(())
    }
}

impl<S> Pool<S> {
    /// Changes how many workers there are at least and at most. Returns at once; workers
    /// that are too many end after their calls.
    pub fn resize(&self, workers: RangeInclusive<usize>) {
        let shared = self.shared();
        if shared.is_current() {
            shared.change(|state| state.desk.resize(&workers));
        }
    }

    /// Gives what the pool has done and what it has.
    #[must_use]
    pub fn stats(&self) -> Stats {
        match self.shared().is_current() {
            true => self.shared().stats(),
            false => Stats::default(),
        }
    }

    /// Takes no more calls, and waits for those that were made. When `grace` is over, the
    /// calls that are left are ended ([`is_closed`](crate::Error::is_closed)) and the
    /// workers killed; then this waits one second at most. Every worker is gone when it
    /// returns.
    ///
    /// # Errors
    ///
    /// A worker did not end although it was killed, and the error names it
    /// ([`is_timeout`](crate::Error::is_timeout)); or the handle is from before a fork.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// #[zygote::entry]
    /// fn nap(seconds: u64) -> u64 {
    ///     std::thread::sleep(Duration::from_secs(seconds));
    ///     seconds
    /// }
    ///
    /// let pool = zygote::Pool::new(2)?;
    /// let [short, long] = [0, 3600].map(|seconds| pool.call(nap::task(seconds)));
    /// pool.shutdown(Duration::from_millis(200))?;
    /// assert_eq!(short.join()?, 0);
    /// assert!(long.join().unwrap_err().is_closed());
    /// assert!(pool.try_call(nap::task(0)).unwrap_err().is_closed());
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn shutdown(&self, grace: Duration) -> Result<()> {
        self.shared().shut_down(grace)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.with.owner.shared
    }
}

impl<S> Clone for Pool<S> {
    fn clone(&self) -> Self {
        Self {
            with: self.with.clone(),
        }
    }
}

impl<S> fmt::Debug for Pool<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}
