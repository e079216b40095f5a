//! `Process`: a process that has not been told yet what to run.

mod give;
mod lend;
mod preload;
mod raw;
mod started;

use std::{collections::VecDeque, fmt, marker::PhantomData, sync::Arc, time::Duration};

pub(crate) use self::lend::lend;
use self::started::Started;
use super::{peer::Peer, template, worker::Worker};
use crate::{
    error::Result,
    settings::Settings,
    sys::poll::Deadline,
    task::{Anywhere, RunsIn, Task},
    wire::frame::TELL_READY,
};

/// So many tasks are on their way before [`Process::run_all`] waits for the first.
/// Each lends three descriptors, and of those that nobody has received yet a user
/// may have only so many.
const AHEAD: usize = 32;

/// A process that waits to be told what to run.
///
/// It can become a worker ([`run`](Self::run)), or be a template for others
/// ([`fork`](Self::fork)): a fork has everything that was done to it so far.
/// `S` is the type of the preloaded value it holds, `()` at first.
///
/// It is forked from the default template, never from the program. It inherits
/// nothing of the program's memory and descriptors as they are now.
///
/// Dropping it before it was run ends it. When workers were forked from it, it
/// stays until they have ended. When the program ends, however it ends, so do
/// its processes.
///
/// # Examples
///
/// ```
/// use zygote::Process;
///
/// #[zygote::entry]
/// fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// let process = Process::new()?;
/// let workers = [process.fork()?.run(double::task(1))?, process.fork()?.run(double::task(2))?];
/// let results: Vec<u64> = workers
///     .into_iter()
///     .map(|worker| worker.join())
///     .collect::<Result<_, _>>()?;
/// assert_eq!(results, [2, 4]);
/// # Ok::<(), zygote::Error>(())
/// ```
#[must_use = "a process that is dropped ends"]
pub struct Process<S = ()> {
    lease: Lease,
    patience: Option<Duration>,
    pub(crate) settings: Settings,
    state: PhantomData<fn() -> S>,
}

/// The one handle on a process; ends it when dropped.
struct Lease(Option<Arc<Peer>>);

impl Lease {
    fn peer(&self) -> &Arc<Peer> {
        match &self.0 {
            Some(peer) => peer,
            None => unreachable!("only `release` takes it, and consumes the lease"),
        }
    }

    /// The process that is told to run or to preload something: this one, if a
    /// template of this program forked it and it dies with that.
    ///
    /// One that was taken over, or is a copy of the program, looks at its owner,
    /// and only a template does. So it stays one, until its fork has ended.
    fn worker(self, deadline: Deadline) -> Result<Self> {
        let peer = self.peer();
        if peer.origin().is_some() {
            return Ok(self);
        }
        let fork = peer.fork_now(deadline)?;
        fork.limit_stock(peer.stock_limit());
        Ok(Self(Some(fork)))
    }

    fn release(mut self) -> Arc<Peer> {
        match self.0.take() {
            Some(peer) => peer,
            None => unreachable!("only `release` takes it, and consumes the lease"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(peer) = &self.0 {
            peer.end();
        }
    }
}

impl Process<()> {
    /// A fork of the default template: the early one, if the program's root
    /// says [`early!`](crate::early!); else this program, executed once as a
    /// template at the first need and kept. A template that has died is
    /// replaced.
    ///
    /// Does not wait for the fork, except for the first one's template.
    ///
    /// # Errors
    ///
    /// No socket pair can be made; the template cannot be started; it takes no
    /// requests within 10 s.
    pub fn new() -> Result<Self> {
        template::with_living_default(|template| {
            template.fork_living(Deadline::after(template::PATIENCE))
        })
        .map(Self::from_peer)
    }

    /// A fork of the default template, with these settings.
    pub(crate) fn made_of(settings: Settings, patience: Option<Duration>) -> Result<Self> {
        let peer = template::with_default(Self::fork_of)?;
        Ok(Self {
            settings,
            patience,
            ..Self::from_peer(peer)
        })
    }

    fn fork_of(template: &Arc<Peer>) -> Result<Arc<Peer>> {
        template.fork(Deadline::after(template::PATIENCE))
    }

    /// A process of a newly executed image: its own address layout, its own
    /// stack protector and allocator secrets. Costs an `exec`; forks of it cost
    /// what others do.
    ///
    /// Its environment and arguments are the program's as they are now.
    ///
    /// # Errors
    ///
    /// The program cannot be executed: no /proc, the feature `exec` is off, or
    /// the library is not part of the main executable.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn place() -> usize {
    ///     place as usize
    /// }
    ///
    /// let places = [
    ///     zygote::Process::fresh()?.run(place::task())?.join()?,
    ///     zygote::Process::fresh()?.run(place::task())?.join()?,
    /// ];
    /// assert_ne!(places[0], places[1]);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn fresh() -> Result<Self> {
        let image = template::execute()?;
        // The executed process stays as its parent, and reports its exit.
        let process = image.fork_now(Deadline::after(template::PATIENCE))?;
        image.end();
        Ok(Self::from_peer(process))
    }

    #[doc(hidden)]
    pub fn __spawn<R>(task: Task<R, Anywhere>) -> Result<Worker<R>> {
        let load = task.load();
        load.check()?;
        let process = template::with_default(Self::fork_of);
        let process = process.map_err(|error| error.with_entry(load.entry.path()))?;
        Self::from_peer(process).run(task)
    }
}

impl<S> Process<S> {
    pub(crate) fn from_peer(peer: Arc<Peer>) -> Self {
        Self {
            lease: Lease(Some(peer)),
            patience: None,
            settings: Settings::default(),
            state: PhantomData,
        }
    }

    fn peer(&self) -> &Arc<Peer> {
        self.lease.peer()
    }

    /// Limits every wait of this process and of its forks: for a fork to exist
    /// (10 s by default) and for a preload to be done (60 s by default).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// #[zygote::preload]
    /// fn never() {
    ///     std::thread::sleep(Duration::from_secs(3600));
    /// }
    ///
    /// let process = zygote::Process::new()?.deadline(Duration::from_millis(20));
    /// assert!(process.preload(never::task()).unwrap_err().is_timeout());
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn deadline(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// How many forks of this process may wait in stock; 16 if nothing is said, 0
    /// turns it off. A fork takes it over for its own forks.
    ///
    /// A process that is forked more than once has some forks ready, as many as
    /// were in use at the same time, at least 8: a task that is given to one waits
    /// for no fork. It makes the next ones when workers have ended and it has
    /// nothing else to do. They are no workers and have no handles, each has about
    /// 50 KiB and one descriptor of its own in this program, they end with the
    /// process, and they are made anew when it changes (a preload, a raw argument).
    /// `ps` shows them as `zygote: in stock of PID`.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn parent() -> u32 {
    ///     std::os::unix::process::parent_id()
    /// }
    ///
    /// let process = zygote::Process::new()?.stock(0);
    /// for _ in 0..3 {
    ///     let worker = process.fork()?.run(parent::task())?;
    ///     assert_eq!(worker.join()?, process.id()?);
    /// }
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn stock(self, most: usize) -> Self {
        self.peer().limit_stock(most);
        self
    }

    fn until(&self, default: Duration) -> Deadline {
        Deadline::after(self.patience.unwrap_or(default))
    }

    /// Its process id. Waits until it exists.
    ///
    /// # Errors
    ///
    /// The process could not be forked; the deadline passed.
    pub fn id(&self) -> Result<u32> {
        Ok(self.peer().hello(self.until(template::PATIENCE))?.pid)
    }

    /// A new process, forked from this one with everything that was done to it
    /// so far: preloads, raw arguments.
    ///
    /// Does not wait for the fork: what goes wrong with it is the error of what
    /// is done with the new process. Any number of threads may fork from one
    /// process; forks are made in the order asked.
    ///
    /// # Errors
    ///
    /// No socket pair can be made; the process is gone.
    pub fn fork(&self) -> Result<Self> {
        let peer = self.peer().fork_living(self.until(template::PATIENCE))?;
        self.peer().restock();
        Ok(self.child(peer))
    }

    /// [`fork`](Self::fork) for what is run at once.
    fn fork_to_run(&self) -> Result<Self> {
        let peer = self.peer().fork(self.until(template::PATIENCE))?;
        Ok(self.child(peer))
    }

    fn child(&self, peer: Arc<Peer>) -> Self {
        let mut process = Self::from_peer(peer);
        process.patience = self.patience;
        process.peer().limit_stock(self.peer().stock_limit());
        process.settings = self.settings.clone();
        process
    }

    /// Runs a task in this process, which becomes its worker.
    ///
    /// Returns when the worker exists, not when it has ended. The task is not
    /// used up: clone it to run it again.
    ///
    /// # Errors
    ///
    /// The arguments could not be encoded; the process could not be forked, or
    /// the template died ([`is_template_gone`](crate::Error::is_template_gone)); the
    /// deadline passed. In all these cases no code of the entry has run
    /// ([`is_unstarted`](crate::Error::is_unstarted)).
    pub fn run<R, K: RunsIn<S>>(self, task: Task<R, K>) -> Result<Worker<R>> {
        let deadline = self.until(template::PATIENCE);
        let started = self.start(task.load(), &[], TELL_READY, deadline)?;
        started.begin(&task, &[], deadline)
    }

    /// Runs a task that executes another program. Returns when it has.
    pub(crate) fn execute(self, task: &Task<()>) -> Result<Worker<()>> {
        let deadline = self.until(template::PATIENCE);
        let started = self.start(task.load(), &[], 0, deadline)?;
        started.begin_program(task, &[], deadline)
    }

    #[doc(hidden)]
    pub fn __spawn_on<R, K: RunsIn<S>>(&self, task: Task<R, K>) -> Result<Worker<R>> {
        task.load().check()?;
        self.fork_to_run()?.run(task)
    }

    /// Runs each task in a fork of this process: 32 are asked for before the first
    /// is waited for. One result for each task, in order.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn square(n: u32) -> u32 {
    ///     n * n
    /// }
    ///
    /// let process = zygote::Process::new()?;
    /// let mut sum = 0;
    /// for worker in process.run_all((1..=10).map(square::task)) {
    ///     sum += worker?.join()?;
    /// }
    /// assert_eq!(sum, 385);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn run_all<R, K: RunsIn<S>>(
        &self,
        tasks: impl IntoIterator<Item = Task<R, K>>,
    ) -> Vec<Result<Worker<R>>> {
        let deadline = self.until(template::PATIENCE);
        let mut asked = VecDeque::with_capacity(AHEAD);
        let mut workers = Vec::new();
        let begin =
            |(task, started): (Task<R, K>, Result<Started>)| started?.begin(&task, &[], deadline);
        for task in tasks {
            if asked.len() == AHEAD {
                workers.extend(asked.pop_front().map(begin));
            }
            let process = self.fork_to_run();
            let started =
                process.and_then(|process| process.start(task.load(), &[], TELL_READY, deadline));
            asked.push_back((task, started));
        }
        workers.extend(asked.into_iter().map(begin));
        workers
    }
}

impl<S> fmt::Debug for Process<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("id", &self.peer().known().map(|hello| hello.pid))
            .finish_non_exhaustive()
    }
}
