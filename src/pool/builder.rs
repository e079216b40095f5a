//! Building a pool.

use std::{fmt, marker::PhantomData, ops::RangeInclusive, sync::Arc, time::Duration};

use super::{
    desk::{Limits, Rules},
    handle::Pool,
    hooks::Hooks,
    info::Info,
    owner::Owner,
    shared::{Shared, State},
    starter::Starter,
    template::{Forks, Template},
    thread,
    with::With,
};
use crate::{
    client::{Manner, Process},
    error::{Error, Result},
    exit::Exit,
    phase,
    sys::poll::Deadline,
};

/// How many calls may wait if nothing else was said.
const WAITING: usize = 4096;

/// What a pool is made of; [`Pool::builder`] gives it. Nothing starts before
/// [`build`](Self::build).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use zygote::{Pool, Process};
///
/// #[zygote::entry]
/// fn decode(picture: Vec<u8>) -> Result<usize, String> {
///     match picture.first() {
///         Some(b'!') => std::process::abort(),
///         Some(_) => Ok(picture.len()),
///         None => Err("the file is empty".into()),
///     }
/// }
///
/// let pool = Pool::builder(|| Process::new())
///     .workers(1..=4)
///     .calls(500)
///     .queue(1000)
///     .time_limit(Duration::from_secs(2))
///     .build()?;
/// let calls = [&b"png"[..], b"!", b""].map(|file| pool.call(decode::task(file.into())));
/// let [good, crashed, empty] = calls.map(|call| call.join());
/// assert_eq!(good?, Ok(3));
/// assert!(crashed.unwrap_err().is_signal());
/// assert!(empty?.is_err());
/// # Ok::<(), zygote::Error>(())
/// ```
#[must_use = "a builder does nothing until it builds"]
pub struct Builder<S = ()> {
    template: Template<S>,
    rules: Rules,
    limits: Limits,
    waiting: usize,
    hooks: Hooks,
}

impl Pool {
    /// Makes a pool of this many workers, at least one, which are forks of the default
    /// template. Waits until they have started.
    ///
    /// # Errors
    ///
    /// Fails as [`Builder::build`] does.
    pub fn new(workers: usize) -> Result<Self> {
        let workers = workers.max(1);
        Self::builder(Process::new)
            .workers(workers..=workers)
            .build()
    }

    /// Builds a pool whose workers are forks of a process, with its preloaded value and
    /// its settings. Give it the process, or better a closure that makes it, so that the
    /// pool outlives it: see [`Template`].
    pub fn builder<S: 'static>(template: impl Into<Template<S>>) -> Builder<S> {
        Builder::new(template.into())
    }
}

impl<S: 'static> Builder<S> {
    fn new(template: Template<S>) -> Self {
        Self {
            template,
            rules: Rules::new(),
            limits: Limits::default(),
            waiting: WAITING,
            hooks: Hooks::default(),
        }
    }

    /// Says how many workers there are at least and at most. Those above the least number
    /// start when calls wait, and end when they have been [idle](Self::idle). By default
    /// it is none at least, and at most as many as the program has CPUs
    /// ([`available_parallelism`](std::thread::available_parallelism)).
    pub fn workers(mut self, workers: RangeInclusive<usize>) -> Self {
        self.rules.set_workers(&workers);
        self
    }

    /// Replaces a worker when it has run this many calls. With 1, each call has a process
    /// of its own, forked from [stock](crate::Process::stock). From 64 on it is up to an
    /// eighth more, different for each worker, so that not all are replaced at once. By
    /// default workers stay.
    pub fn calls(mut self, calls: u64) -> Self {
        self.rules.calls = Some(calls);
        self
    }

    /// Replaces a worker when it is this old, and up to an eighth more, after the call
    /// that it runs.
    pub fn age(mut self, age: Duration) -> Self {
        self.rules.age = Some(age);
        self
    }

    /// Replaces a worker when the memory that it shares with no other process has grown
    /// by this many bytes since it started. It is measured after a call, when the next one
    /// may run already, but not more than once a second, from `/proc/PID/smaps_rollup`;
    /// where that cannot be read, nothing is replaced.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.rules.memory = Some(bytes);
        self
    }

    /// Says for how long a worker above the least number may have no call. By default it
    /// is 10 s.
    pub fn idle(mut self, time: Duration) -> Self {
        self.rules.idle = time;
        self
    }

    /// Says how many calls a worker is given at once: at least 1, which is the default,
    /// and at most 128. With more, short calls flow faster, but each may wait behind a
    /// long one although another worker is free. A crash costs one call in any case.
    pub fn depth(mut self, calls: usize) -> Self {
        self.rules.depth = calls.clamp(1, 128);
        self
    }

    /// Says how many calls may wait in a queue: [`try_call`](Pool::try_call) refuses more,
    /// [`ready`](Pool::ready) and [`map`](Pool::map) wait. [`call`](Pool::call) takes
    /// them in any case. By default it is 4,096.
    pub fn queue(mut self, calls: usize) -> Self {
        self.waiting = calls;
        self
    }

    /// Limits the time from each call to its outcome, see [`With::timeout`].
    pub fn timeout(mut self, time: Duration) -> Self {
        self.limits.timeout = Some(time);
        self
    }

    /// Limits the time for which each call runs, see [`With::time_limit`].
    pub fn time_limit(mut self, time: Duration) -> Self {
        self.limits.time_limit = Some(time);
        self
    }

    /// Tells entries when they have run for this long, see [`With::soft_limit`].
    pub fn soft_limit(mut self, time: Duration) -> Self {
        self.limits.soft_limit = Some(time);
        self
    }

    /// Runs calls again whose worker ended while they ran, see [`With::retries`].
    pub fn retries(mut self, times: u32) -> Self {
        self.limits.retries = times;
        self
    }

    /// Limits how long the start of a worker may take, until it is what its settings,
    /// hooks and initialisers make of it. By default it is what the process has
    /// ([`Process::start_timeout`](crate::Process::start_timeout)), or 10 s.
    pub fn boot(mut self, time: Duration) -> Self {
        self.template.boot(time);
        self
    }

    /// Keeps a worker after a panic in an entry that takes `&mut S`. By default it is
    /// replaced, because nobody can say what its value is then.
    pub fn keep_after_panic(mut self) -> Self {
        self.rules.keeps_after_panic = true;
        self
    }

    /// Runs this when a worker has started, before it is given a call, on the pool's
    /// thread `zygote-start`. If it panics, the worker ends.
    pub fn on_start(mut self, run: impl Fn(&Info) + Send + Sync + 'static) -> Self {
        self.hooks.on_start = Some(Box::new(run));
        self
    }

    /// Runs this when a worker has ended, on the pool's thread `zygote-start`. Nothing
    /// starts meanwhile.
    pub fn on_stop(mut self, run: impl Fn(&Info, &Exit) + Send + Sync + 'static) -> Self {
        self.hooks.on_stop = Some(Box::new(run));
        self
    }

    /// Makes the process of which the workers are forks, starts the pool's thread
    /// `zygote-pool`, and waits until the least number of workers has started.
    ///
    /// # Errors
    ///
    /// The closure that makes the process, or a worker, failed; a thread could not be
    /// started; or no process can be started here, for example in a hook or in a confined
    /// worker. Then nothing is left of the pool.
    pub fn build(self) -> Result<Pool<S>> {
        self.start().map_err(Error::unstarted)
    }

    fn start(self) -> Result<Pool<S>> {
        phase::check()?;
        let Self {
            mut template,
            rules,
            limits,
            waiting,
            hooks,
        } = self;
        template.prepare()?;
        let manner = Manner {
            keeps: rules.keeps_after_panic,
            once: rules.calls.is_some_and(|calls| calls <= 1),
        };
        let starter = Starter::new(Box::new(template), hooks, manner, rules.memory.is_some());
        let least = rules.least;
        let shared = Arc::new(Shared::new(rules, waiting, starter)?);
        thread::start(&shared)?;
        let with = With {
            owner: Arc::new(Owner { shared }),
            limits,
            queue: 0,
            state: PhantomData,
        };
        let pool = Pool { with };
        let started = |state: &State| match state.desk.ready() {
            (_, Some(error)) => Some(Err(error.clone())),
            (ready, None) => (ready >= least || state.end.is_some()).then_some(Ok(())),
        };
        if let Some(Err(error)) = pool.shared().wait(Deadline::NEVER, started) {
            // One that is just being started ends a little later.
            let _ = pool.shutdown(Duration::ZERO);
            return Err(error);
        }
        Ok(pool)
    }
}

impl<S> fmt::Debug for Builder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("template", &self.template)
            .field("rules", &self.rules)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
