//! `Process`: a process that has not been told yet what to run.

mod give;
mod init;
mod launch;
mod lend;
mod preload;
mod raw;
mod run;
mod serve;
mod started;

use std::{fmt, marker::PhantomData, sync::Arc};

pub use self::run::spawn;
#[cfg(feature = "pool")]
pub(crate) use self::serve::Starting;
pub(crate) use self::{lend::lend, started::Manner};
use super::{peer::Peer, template};
use crate::{error::Result, settings::Settings, sys::poll::Deadline};

/// A process that waits to be told what to run.
///
/// It can become a worker ([`run`](Self::run)), or a live worker that answers calls
/// ([`serve`](Self::serve)), or be a template for others ([`fork`](Self::fork)): a fork
/// has everything that was done to the process so far.
/// `S` is the type of the preloaded value that it holds, at first `()`.
///
/// It comes to be in one of five ways, with these things of the program:
///
/// | birth | made by | has |
/// |---|---|---|
/// | [`new`](Process::new) | the default template | nothing of the program's memory and descriptors |
/// | [`fresh`](Process::fresh) | this program, executed anew | the environment and the arguments as they are now, and another address layout |
/// | [`fork`](Self::fork) | the process that you fork | everything that was done to that process so far |
/// | [`fork_current`](Process::fork_current) | the program | a copy of the program's memory as it is now |
/// | [`from_fd`](Self::from_fd), or as an argument or a result | the process that gives it away | everything that was done to it there |
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
    pub(crate) settings: Settings,
    state: PhantomData<fn() -> S>,
}

/// The one handle on a process, which ends when the handle is dropped.
struct Lease(Option<Arc<Peer>>);

impl Lease {
    fn peer(&self) -> &Arc<Peer> {
        match &self.0 {
            Some(peer) => peer,
            None => unreachable!("only `release` takes it, and consumes the lease"),
        }
    }

    /// Gives the process that is told to run or to preload something: this one, if a
    /// template of this program forked it and it dies with that template.
    ///
    /// A process that was taken over, or is a copy of the program, watches its owner,
    /// and only a template does that. So it stays a template, until its fork has ended.
    fn worker(self, deadline: Deadline) -> Result<Self> {
        let peer = self.peer();
        if peer.origin().is_some() {
            return Ok(self);
        }
        peer.fork_now(deadline).map(|fork| Self(Some(fork)))
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
    /// Makes a fork of the default template. That is the early one, if the program's
    /// root says [`early!`](crate::early!); otherwise it is this program, executed once
    /// as a template when it is first needed, and kept. A template that has died is
    /// replaced.
    ///
    /// Does not wait for the fork; only the first call waits, for the template.
    ///
    /// # Errors
    ///
    /// No socket pair can be made; the template cannot be started; or it takes no
    /// requests within 10 s.
    pub fn new() -> Result<Self> {
        template::with_living_default(|template| {
            template.fork_living(Deadline::after(template::PATIENCE))
        })
        .map(Self::from_peer)
    }

    /// Makes a fork of the default template, with these settings.
    pub(crate) fn made_of(settings: Settings) -> Result<Self> {
        let peer = template::with_default(Self::fork_of)?;
        Ok(Self {
            settings,
            ..Self::from_peer(peer)
        })
    }

    fn fork_of(template: &Arc<Peer>) -> Result<Arc<Peer>> {
        template.fork(Deadline::after(template::PATIENCE))
    }

    /// Makes a process of a newly executed image, which has its own address layout and
    /// its own stack protector and allocator secrets. It costs an `exec`; forks of it
    /// cost what others do.
    ///
    /// Its environment and arguments are the program's as they are now.
    ///
    /// # Errors
    ///
    /// The program cannot be executed: there is no /proc, the feature `exec` is off, or
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
}

impl<S> Process<S> {
    pub(crate) fn from_peer(peer: Arc<Peer>) -> Self {
        Self {
            lease: Lease(Some(peer)),
            settings: Settings::default(),
            state: PhantomData,
        }
    }

    fn peer(&self) -> &Arc<Peer> {
        self.lease.peer()
    }

    /// Limits how many forks of this process wait in stock: 16 by default, and with 0
    /// there is no stock. A fork takes the limit over for its own forks.
    ///
    /// A process that is forked more than once keeps some forks ready, as many as were
    /// in use at the same time, and at least 8. A task that is given to one of them
    /// waits for no fork. The process makes the next ones when workers have ended and
    /// it has nothing else to do. These forks are not workers, and have no handles.
    /// Each has about 50 KiB of its own, and one descriptor in this program. They end
    /// with the process, and are made anew when a preload changes it. `ps` shows them as
    /// `zygote: in stock of PID`.
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

    /// Gives its process id. Waits until the process exists.
    ///
    /// # Errors
    ///
    /// The process could not be forked, or the deadline passed.
    pub fn id(&self) -> Result<u32> {
        Ok(self
            .peer()
            .hello(self.settings.until(template::PATIENCE))?
            .pid)
    }

    /// Makes a new process, forked from this one with everything that was done to it so
    /// far: preloads, settings and raw arguments.
    ///
    /// Does not wait for the fork: if it fails, what you then do with the new process
    /// gives the error. Any number of threads may fork from one process; forks are made
    /// in the order in which they are asked for.
    ///
    /// # Errors
    ///
    /// No socket pair can be made, or the process is gone.
    pub fn fork(&self) -> Result<Self> {
        let peer = self
            .peer()
            .fork_living(self.settings.until(template::PATIENCE))?;
        self.peer().restock();
        Ok(self.child(peer))
    }

    fn child(&self, peer: Arc<Peer>) -> Self {
        Self {
            settings: self.settings.clone(),
            ..Self::from_peer(peer)
        }
    }
}

impl<S> fmt::Debug for Process<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("id", &self.peer().known().map(|hello| hello.pid))
            .finish_non_exhaustive()
    }
}
