//! `Process`: a process that has not been told yet what to run.

use std::{
    fmt,
    marker::PhantomData,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
    time::Duration,
};

use super::{
    peer::{Answer, Peer, Waited, gone},
    template,
    worker::{self, Worker},
};
use crate::{
    codec::Hand,
    error::{Error, Kind as ErrorKind, Result},
    parcel::{Decoder, Encoder},
    registry,
    sys::{fork, pidfd, poll::Deadline},
    task::{Anywhere, Load, Preload, RunsIn, Task},
    wire::{
        frame::{Head, Kind, call},
        link::Trouble,
    },
};

/// How long a preload may take unless a deadline is set.
const PRELOAD: Duration = Duration::from_secs(60);

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
        template::with_default(|default| default.fork(Deadline::after(template::PATIENCE)))
            .map(Self::from_peer)
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
        let process = Self::new().map_err(|error| error.with_entry(load.entry.path()))?;
        process.run(task)
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

    /// Runs a preload in this process. Its value stays there, and every fork
    /// made afterwards shares it copy-on-write.
    ///
    /// A preload may refer to the value of the one before it (`&A`); that value
    /// is replaced and never dropped. With `&mut S` it changes the value in
    /// place. Descriptors that it leaves open belong to its value, and forks
    /// have them too.
    ///
    /// Waits until the preload is done, at most 60 s or the
    /// [`deadline`](Self::deadline); then the process is killed.
    ///
    /// # Errors
    ///
    /// The preload's own error, its panic, its exit or death by a signal; the
    /// deadline; threads that it left running (a template must have one); live
    /// workers of this process: fork it first. After any of them the process
    /// has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::preload]
    /// fn table(size: usize) -> Result<Vec<usize>, String> {
    ///     if size > 1000 {
    ///         return Err(format!("{size} is too big"));
    ///     }
    ///     Ok((0..size).collect())
    /// }
    ///
    /// #[zygote::entry]
    /// fn sum(table: &Vec<usize>) -> usize {
    ///     table.iter().sum()
    /// }
    ///
    /// let error = zygote::Process::new()?.preload(table::task(2000)).unwrap_err();
    /// assert!(error.to_string().contains("2000 is too big"));
    ///
    /// let process = zygote::Process::new()?.preload(table::task(100))?;
    /// assert_eq!(sum::spawn(&process)?.join()?, 4950);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn preload<T, K: RunsIn<S>>(self, preload: Preload<T, K>) -> Result<Process<T>> {
        let load = preload.load();
        let deadline = self.until(PRELOAD);
        self.load(load, deadline)
            .map_err(|error| error.with_entry(load.entry.path()))?;
        Ok(Process {
            patience: self.patience,
            lease: self.lease,
            state: PhantomData,
        })
    }

    fn load(&self, load: &Load, deadline: Deadline) -> Result<()> {
        load.check()?;
        let peer = self.peer();
        peer.check_epoch()?;
        peer.discard_stock();
        send_load(peer, Head::new(Kind::Preload, 0), load, deadline)
            .map_err(|trouble| lost(trouble, "sending a preload"))?;
        let pidfd = peer.hello(deadline)?.pidfd.as_fd();
        let waited = match peer.answer(deadline, pidfd)? {
            // It may have answered before it ended.
            Waited::Watched => peer.answer(Deadline::after(Duration::ZERO), pidfd)?,
            waited => waited,
        };
        match waited {
            Waited::Got(Answer::Done) => Ok(()),
            Waited::Got(Answer::Failed(failure)) => Err(failure.into_error()),
            Waited::Got(Answer::Value { .. }) => Err(Error::new(
                ErrorKind::Protocol,
                "a result came for a preload",
            )),
            Waited::TimedOut => {
                let _ = pidfd::signal(pidfd, libc::SIGKILL);
                Err(Error::timeout(
                    "the preload was not done before the deadline",
                ))
            }
            Waited::Closed(_) | Waited::Watched => {
                let exit = worker::exit_of(peer, Deadline::after(template::PATIENCE))?;
                Err(exit.map_or_else(gone, |exit| worker::without_result(exit, "the preload")))
            }
        }
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

    /// Runs the raw entry of this name: its full path, or a last segment that
    /// only one raw entry has. It is given one end of a new stream socket, and
    /// the raw arguments; the other end is returned, non-blocking. Both are
    /// close-on-exec.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); a name that no raw entry has, or more than one
    /// ([`is_invalid`](Error::is_invalid)).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{io::{Read, Write}, os::unix::net::UnixStream};
    /// use zygote::{Arg, Args, Process};
    ///
    /// #[zygote::entry(raw)]
    /// fn greet(mut conn: UnixStream, args: Args) {
    ///     for arg in args {
    ///         if let Arg::Bytes(bytes) = arg {
    ///             conn.write_all(&bytes).expect("the program listens");
    ///         }
    ///     }
    /// }
    ///
    /// let process = Process::new()?;
    /// process.send_arg("hello, ")?.send_arg("world")?;
    /// let (worker, mut conn) = process.run_raw("greet")?;
    /// conn.set_nonblocking(false)?;
    /// let mut text = String::new();
    /// conn.read_to_string(&mut text)?;
    /// assert_eq!(text, "hello, world");
    /// worker.join()?;
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn run_raw(self, name: &str) -> Result<(Worker<()>, UnixStream)> {
        let entry = registry::find_raw(name).map_err(Error::unstarted)?;
        let tried = |error| Error::os("a socket pair for a raw entry failed", error).unstarted();
        let (near, far) = UnixStream::pair().map_err(tried)?;
        near.set_nonblocking(true).map_err(tried)?;
        let task: Task<(), Anywhere> = Task::new(entry, |_| Ok(()), |_| Ok(()));
        let deadline = self.until(template::PATIENCE);
        let peer = start(self.lease, task.load(), &[far.as_fd()], deadline)?;
        Ok((begin(peer, &task, deadline)?, near))
    }

    /// Sends octets as a raw argument. A fork has its own copy of all that was
    /// sent so far.
    ///
    /// # Errors
    ///
    /// The process is gone, or reads nothing before the deadline.
    pub fn send_arg(&self, bytes: impl AsRef<[u8]>) -> Result<&Self> {
        self.send(Kind::Arg, &[bytes.as_ref()], &[])
    }

    /// Sends a descriptor as a raw argument. The program's own is closed.
    ///
    /// # Errors
    ///
    /// As [`send_arg`](Self::send_arg).
    pub fn send_fd(&self, fd: impl Into<OwnedFd>) -> Result<&Self> {
        self.send(Kind::Fd, &[], &[fd.into().as_fd()])
    }

    fn send(&self, kind: Kind, body: &[&[u8]], fds: &[BorrowedFd<'_>]) -> Result<&Self> {
        let peer = self.peer();
        peer.check_epoch()?;
        // What waits in stock was forked without it.
        peer.discard_stock();
        peer.send(
            Head::new(kind, 0),
            body,
            fds,
            self.until(template::PATIENCE),
        )
        .map_err(|trouble| lost(trouble, "sending a raw argument"))?;
        Ok(self)
    }

    /// Gives the process away as a descriptor, for
    /// [`from_fd`](Process::from_fd) in this or in another process. (As an
    /// argument to an entry a `Process` is given away like this by itself.)
    ///
    /// # Errors
    ///
    /// The process has live workers, whose exits are reported to this program.
    ///
    /// # Examples
    ///
    /// ```
    /// use zygote::Process;
    ///
    /// #[zygote::entry]
    /// fn answer() -> u8 {
    ///     42
    /// }
    ///
    /// #[zygote::entry]
    /// fn delegate(process: Process) -> zygote::Result<u8> {
    ///     answer::spawn()?.join()?;
    ///     process.run(answer::task())?.join()
    /// }
    ///
    /// assert_eq!(delegate::spawn(Process::new()?)?.join()??, 42);
    ///
    /// let fd = Process::new()?.into_fd()?;
    /// let process = Process::<()>::from_fd(fd)?;
    /// assert_eq!(process.run(answer::task())?.join()?, 42);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn into_fd(self) -> Result<OwnedFd> {
        let peer = self.peer();
        peer.check_epoch()?;
        peer.discard_stock();
        if peer.has_children() {
            return Err(Error::invalid(
                "a process that has live workers cannot be given away: fork it first",
            ));
        }
        // Its first words are for this program.
        peer.hello(self.until(template::PATIENCE))?;
        let fd = peer.socket().try_clone_to_owned();
        let fd = fd.map_err(|error| Error::os("duplicating a process's socket failed", error))?;
        // Not ended: somebody else has it.
        drop(self.lease.release());
        Ok(fd)
    }

    /// Takes over a process that [`into_fd`](Self::into_fd) gave away. That it
    /// holds a value of type `S` is checked when a task needs it.
    ///
    /// Waits until the process has answered, at most 10 s.
    ///
    /// # Errors
    ///
    /// The descriptor is not a process's; the process is gone or does not
    /// answer.
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        let peer = Peer::new(fd, None);
        let deadline = Deadline::after(template::PATIENCE);
        let own = pidfd::open(fork::own_pid())
            .map_err(|error| Error::os("pidfd_open of this process failed", error))?;
        peer.send(Head::new(Kind::Owner, 0), &[], &[own.as_fd()], deadline)
            .map_err(|trouble| lost(trouble, "taking over a process"))?;
        peer.hello(deadline)?;
        Ok(Self::from_peer(peer))
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
    let head = Head::new(Kind::Run, u64::from(std::process::id()));
    loop {
        let all: Vec<_> = load
            .fds
            .iter()
            .map(AsFd::as_fd)
            .chain(more.iter().copied())
            .collect();
        let body: [&[u8]; 2] = [&call::encode(load.entry.id()), &load.bytes];
        match peer.send(head, &body, &all, deadline) {
            Ok(()) => break,
            Err(Trouble::Closed { .. }) if peer.is_from_stock() => {
                let origin = peer.origin().cloned().ok_or_else(gone).map_err(named)?;
                peer = origin.fork_now(deadline).map_err(named)?;
            }
            // Why it is not there is what its first words, or their absence,
            // say.
            Err(Trouble::Closed { .. }) => break,
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

fn send_load(peer: &Peer, head: Head, load: &Load, deadline: Deadline) -> Result<(), Trouble> {
    let fds: Vec<_> = load.fds.iter().map(AsFd::as_fd).collect();
    let body: [&[u8]; 2] = [&call::encode(load.entry.id()), &load.bytes];
    peer.send(head, &body, &fds, deadline)
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

/// As an argument, a process is given away.
impl<S> Hand for Process<S> {
    fn encode(self, out: &mut Encoder) -> Result<()> {
        out.push_fd(self.into_fd()?);
        Ok(())
    }

    fn decode(input: &mut Decoder) -> Result<Self> {
        Self::from_fd(input.take_fd()?)
    }
}
