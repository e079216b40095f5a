//! `Process`: a process that has not been told yet what to run.

mod give;
mod preload;
mod raw;

use std::{
    fmt,
    marker::PhantomData,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::Duration,
};

use super::{
    peer::{Peer, gone},
    template,
    worker::Worker,
};
use crate::{
    error::{Error, Kind as ErrorKind, Result},
    sys::{epoch, poll::Deadline},
    task::{Anywhere, Load, RunsIn, Task},
    wire::{
        frame::{FROM_STOCK, Head, Kind, call},
        link::Trouble,
    },
};

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
        template::with_living_default(Self::fork_of).map(Self::from_peer)
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
        let peer = self.peer().fork(self.until(template::PATIENCE))?;
        let mut process = Self::from_peer(peer);
        process.patience = self.patience;
        Ok(process)
    }

    /// Runs a task in this process, which becomes its worker.
    ///
    /// Returns when the worker exists, not when it has ended. The task is not
    /// used up: clone it to run it again.
    ///
    /// # Errors
    ///
    /// The arguments could not be encoded; the process could not be forked, or
    /// the template died ([`is_template_gone`](Error::is_template_gone)); the
    /// deadline passed. In all these cases no code of the entry has run
    /// ([`is_unstarted`](Error::is_unstarted)).
    pub fn run<R, K: RunsIn<S>>(self, task: Task<R, K>) -> Result<Worker<R>> {
        let deadline = self.until(template::PATIENCE);
        let peer = start(self.lease, task.load(), &[], deadline)?;
        begin(peer, &task, deadline)
    }

    #[doc(hidden)]
    pub fn __spawn_on<R, K: RunsIn<S>>(&self, task: Task<R, K>) -> Result<Worker<R>> {
        task.load().check()?;
        self.fork()?.run(task)
    }

    /// Runs each task in a fork of this process: all are asked for before the
    /// first is waited for. One result for each task, in order.
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
        let asked: Vec<_> = tasks
            .into_iter()
            .map(|task| {
                let process = self.fork();
                let peer =
                    process.and_then(|process| start(process.lease, task.load(), &[], deadline));
                (task, peer)
            })
            .collect();
        asked
            .into_iter()
            .map(|(task, peer)| begin(peer?, &task, deadline))
            .collect()
    }
}

/// Sends a task to a process, without waiting for anything. One that died while
/// it waited in stock is replaced.
fn start(
    lease: Lease,
    load: &Load,
    more: &[BorrowedFd<'_>],
    deadline: Deadline,
) -> Result<Arc<Peer>> {
    let named = |error: Error| error.unstarted().with_entry(load.entry.path());
    load.check()?;
    let mut peer = Arc::clone(lease.peer());
    peer.check_epoch().map_err(named)?;
    peer.discard_stock();
    if peer.has_children() {
        let text = "a process that has live workers cannot run an entry: fork it first";
        return Err(named(Error::invalid(text)));
    }
    let owner = u64::from(epoch::pid());
    loop {
        let stock = if peer.is_from_stock() { FROM_STOCK } else { 0 };
        let head = Head::new(Kind::Run, owner | stock);
        let all: Vec<_> = load
            .fds
            .iter()
            .map(AsFd::as_fd)
            .chain(more.iter().copied())
            .collect();
        let body: [&[u8]; 2] = [&call::encode(load.entry.id()), &load.bytes];
        match peer.send(head, &body, &all, deadline) {
            Ok(()) => break,
            Err(Trouble::Closed { .. }) if peer.is_replaceable() => {
                let origin = peer.origin().cloned().ok_or_else(gone).map_err(named)?;
                peer = template::fork_again(&origin, deadline).map_err(named)?;
            }
            Err(closed @ Trouble::Closed { .. }) => {
                // Why it is not there is what its first words, or their
                // absence, say.
                peer.hello(deadline).map_err(named)?;
                return Err(named(lost(closed, "sending a task")));
            }
            Err(trouble) => return Err(named(trouble.into_error("sending a task"))),
        }
    }
    drop(lease.release());
    Ok(peer)
}

/// Waits until a process that was sent a task exists.
fn begin<R, K>(peer: Arc<Peer>, task: &Task<R, K>, deadline: Deadline) -> Result<Worker<R>> {
    let entry = task.load().entry.path();
    match peer.hello(deadline) {
        Ok(_) => Ok(Worker::new(peer, entry, task.decode())),
        Err(error) => {
            if !error.is_unstarted() {
                // It exists, and this program has no room for its handle.
                peer.kill_by_template();
            }
            Err(error.with_entry(entry))
        }
    }
}

fn lost(trouble: Trouble, tried: &str) -> Error {
    match trouble {
        Trouble::Closed { .. } => Error::new(
            ErrorKind::TemplateGone,
            format!("{tried}: the process is gone"),
        ),
        other => other.into_error(tried),
    }
    .unstarted()
}

impl<S> fmt::Debug for Process<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("id", &self.peer().known().map(|hello| hello.pid))
            .finish_non_exhaustive()
    }
}
