//! `Worker`: a process that runs an entry.

use std::{
    fmt,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use super::{
    ending,
    peer::{Answer, Closed, Hello, Peer, Waited, lock},
    tree::Tree,
};
use crate::{
    error::{Error, Kind as ErrorKind, Result},
    exit::Exit,
    parcel::Decoder,
    settings::Ends,
    sys::{
        pidfd,
        poll::{Deadline, Want, poll},
        signal,
    },
    wire::frame::Fate,
};

/// How long a worker may take to say that it is detached.
const DETACH: Duration = Duration::from_secs(1);

/// A process that runs an entry.
///
/// Dropping it leaves the worker running and leaves no zombie: its template
/// reaps it. When the program ends, however it ends, its workers are killed
/// within milliseconds, unless they were [detached](Self::detach).
///
/// Each wait first closes a piped stdin that was not taken, so that a worker which
/// reads it sees the end; [`try_wait`](Self::try_wait) does not. What a worker
/// writes to pipes is for you to read, or it waits when they are full.
///
/// `wait`, `kill`, `signal` and their kin take `&self` and may be called from
/// several threads. As a descriptor it is the
/// worker's pidfd: readable once the worker has exited, so that any event loop
/// can wait for it.
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
/// let worker = sleep::spawn()?;
/// assert!(worker.wait_timeout(Duration::from_millis(5))?.is_none());
/// worker.kill()?;
/// assert_eq!(worker.wait()?.to_string(), "was killed by SIGKILL");
/// assert!(worker.join().unwrap_err().is_signal());
/// # Ok::<(), zygote::Error>(())
/// ```
pub struct Worker<R> {
    peer: Arc<Peer>,
    entry: &'static str,
    decode: fn(&mut Decoder) -> Result<R>,
    /// Apart from the other ends: a wait, which may be any thread's, closes it.
    stdin: Mutex<Option<ChildStdin>>,
    ends: Ends,
    tree: Tree,
    exit: OnceLock<Exit>,
    kill_on_drop: bool,
    /// The outcome was given out.
    joined: bool,
}

impl<R> Worker<R> {
    /// For a peer that has said hello.
    pub(super) fn new(
        peer: Arc<Peer>,
        entry: &'static str,
        decode: fn(&mut Decoder) -> Result<R>,
        mut ends: Ends,
        tree: Tree,
    ) -> Self {
        Self {
            peer,
            entry,
            decode,
            stdin: Mutex::new(ends.stdin.take()),
            ends,
            tree,
            exit: OnceLock::new(),
            kill_on_drop: false,
            joined: false,
        }
    }

    /// Its process id, as it sees it itself; in a
    /// [PID namespace](crate::Namespaces::pid) it sees another.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.peer.known().map_or(0, |hello| hello.pid)
    }

    fn hello(&self) -> &Hello {
        match self.peer.known() {
            Some(hello) => hello,
            None => unreachable!("a worker is made of a process that has said hello"),
        }
    }

    fn pidfd(&self) -> BorrowedFd<'_> {
        self.hello().pidfd.as_fd()
    }

    fn open_pidfd(&self) -> Result<BorrowedFd<'_>> {
        self.hello().open_pidfd()
    }

    /// The program's end of the worker's [piped](crate::Stdio::piped) stdin;
    /// once. The first wait closes one that was not taken.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        let stdin = self.stdin.get_mut();
        stdin.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Nobody can write to it any more: its reader must see the end, or the wait
    /// has none.
    pub(super) fn close_stdin(&self) {
        drop(lock(&self.stdin).take());
    }

    /// The program's end of the worker's [piped](crate::Stdio::piped) stdout;
    /// once. A worker that writes more than a pipe holds, 64 KiB, waits until
    /// somebody reads.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.ends.stdout.take()
    }

    /// As [`take_stdout`](Self::take_stdout), for stderr.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.ends.stderr.take()
    }

    /// Waits for the result.
    ///
    /// Returns as soon as the result is there; the process may need a moment
    /// more to end. Without a result it returns when the worker has ended.
    ///
    /// # Errors
    ///
    /// The entry panicked; the worker exited or was killed before it gave a
    /// result; the arguments or the result could not be decoded; the template
    /// died, and the worker with it.
    pub fn join(mut self) -> Result<R> {
        self.close_stdin();
        match self.outcome(Deadline::NEVER)? {
            Some(result) => Ok(result),
            None => unreachable!("a wait without a deadline ends with an outcome"),
        }
    }

    /// [`join`](Self::join), but for this long; `None` when there is no outcome
    /// by then. May be called again. However short the wait is, it closes a piped
    /// stdin that was not taken.
    ///
    /// # Errors
    ///
    /// As `join`; and after the outcome was given out once, that it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// #[zygote::entry]
    /// fn nap() -> u8 {
    ///     std::thread::sleep(Duration::from_millis(100));
    ///     7
    /// }
    ///
    /// let mut worker = nap::spawn()?;
    /// assert_eq!(worker.join_timeout(Duration::ZERO)?, None);
    /// assert_eq!(worker.join_timeout(Duration::from_secs(60))?, Some(7));
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn join_timeout(&mut self, timeout: Duration) -> Result<Option<R>> {
        self.close_stdin();
        self.outcome(Deadline::after(timeout))
    }

    pub(crate) fn outcome(&mut self, deadline: Deadline) -> Result<Option<R>> {
        if self.joined {
            return Err(Error::invalid("the worker's outcome was given out already"));
        }
        ending::look();
        let result = self
            .try_outcome(deadline)
            .map_err(|error| error.with_entry(self.entry).with_pid(self.id()));
        self.joined = !matches!(result, Ok(None));
        result
    }

    /// Nothing more comes.
    fn hang_up(&mut self) {
        if let Some(peer) = Arc::get_mut(&mut self.peer) {
            peer.close();
        }
    }

    fn try_outcome(&mut self, deadline: Deadline) -> Result<Option<R>> {
        self.peer.check_epoch()?;
        match self.peer.answer(deadline, self.pidfd())? {
            Waited::Got(answer) => {
                self.hang_up();
                self.decode(answer).map(Some)
            }
            Waited::TimedOut => Ok(None),
            Waited::Watched => self.ended(Closed { unread: false }, deadline),
            Waited::Closed(closed) => self.ended(closed, deadline),
        }
    }

    fn decode(&self, answer: Answer) -> Result<R> {
        match answer {
            Answer::Value { body, fds } => (self.decode)(&mut Decoder::new(body, fds)),
            Answer::Failed(failure) => Err(failure),
            Answer::Done => Err(Error::new(
                ErrorKind::Protocol,
                "an entry answered as a preload does",
            )),
        }
    }

    /// There is no result and there will be none: how did it end?
    fn ended(&self, closed: Closed, deadline: Deadline) -> Result<Option<R>> {
        let Some(exit) = self.exit(deadline)? else {
            return Ok(None);
        };
        // A template whose hook fails ends its child, then says why, then ends.
        let now = Deadline::after(Duration::ZERO);
        if let Ok(Waited::Got(answer)) = self.peer.answer(now, self.pidfd()) {
            return self.decode(answer).map(Some);
        }
        let error = without_result(exit, "the worker", &self.peer);
        Err(if closed.unread {
            error.unstarted()
        } else {
            error
        })
    }

    /// Waits until the worker has exited, and says how. Does not take the
    /// result: `join` still gives it.
    ///
    /// # Errors
    ///
    /// A system call failed, or the handle is from before a fork.
    pub fn wait(&self) -> Result<Exit> {
        self.close_stdin();
        match self.exit(Deadline::NEVER)? {
            Some(exit) => Ok(exit),
            None => unreachable!("a wait without a deadline ends with an exit"),
        }
    }

    /// [`wait`](Self::wait) that does not wait, and closes nothing.
    ///
    /// # Errors
    ///
    /// As `wait`.
    pub fn try_wait(&self) -> Result<Option<Exit>> {
        self.exit(Deadline::after(Duration::ZERO))
    }

    /// [`wait`](Self::wait), but for this long; `None` when it still runs.
    ///
    /// # Errors
    ///
    /// As `wait`.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<Exit>> {
        self.close_stdin();
        self.exit(Deadline::after(timeout))
    }

    fn exit(&self, deadline: Deadline) -> Result<Option<Exit>> {
        if let Some(exit) = self.exit.get() {
            return Ok(Some(*exit));
        }
        self.peer.check_epoch()?;
        ending::look();
        let exit = exit_of(&self.peer, deadline)?;
        Ok(exit.map(|exit| *self.exit.get_or_init(|| exit)))
    }

    /// Sends SIGKILL. A worker that has exited is not an error.
    ///
    /// # Errors
    ///
    /// The kernel refuses: the worker has changed its user, for example.
    pub fn kill(&self) -> Result<()> {
        self.signal(libc::SIGKILL)
    }

    /// Sends a signal, by pidfd: never to another process that has the same id.
    /// A worker that has exited is not an error.
    ///
    /// # Errors
    ///
    /// As [`kill`](Self::kill); a number that is no signal.
    pub fn signal(&self, signal: i32) -> Result<()> {
        self.peer.check_epoch()?;
        pidfd::signal(self.open_pidfd()?, signal).map_err(|error| {
            let tried = format!("sending signal {signal} failed (pidfd_send_signal)");
            Error::os(tried, error).with_pid(self.id())
        })
    }

    /// Kills the worker and what it has started, as far as settings hold that
    /// together:
    ///
    /// | setting | what is killed | what is not |
    /// |---|---|---|
    /// | a [PID namespace](crate::Namespaces::pid) | everything in it | |
    /// | [`cgroup`](crate::Process::cgroup) of version 2 | **everything** in it and below, by `cgroup.kill` (Linux 5.14) | what was moved out; all of version 1 |
    /// | [`process_group(0)`](crate::Process::process_group), [`session`](crate::Process::session) | the group | what has made a group of its own, as shells with job control and daemons do |
    ///
    /// With several of them all are used. It is no error when everything has
    /// ended. A group is killed also when the worker itself has ended; before
    /// Linux 6.9 only while it lives.
    ///
    /// Returns when the signals are sent. What is killed may need a moment more;
    /// the template reports the worker, others wait for theirs.
    ///
    /// # Errors
    ///
    /// None of these settings was made ([`is_invalid`](Error::is_invalid)), or
    /// the program itself is in that cgroup: then nothing was killed. The kernel
    /// refuses, or is too old.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn wait() {
    ///     std::thread::sleep(std::time::Duration::from_secs(3600));
    /// }
    ///
    /// let worker = zygote::Process::new()?.session().run(wait::task())?;
    /// worker.kill_tree()?;
    /// assert_eq!(worker.wait()?.to_string(), "was killed by SIGKILL");
    /// worker.kill_tree()?;
    ///
    /// let worker = wait::spawn()?.kill_on_drop(true);
    /// assert!(worker.kill_tree().unwrap_err().is_invalid());
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn kill_tree(&self) -> Result<()> {
        self.peer.check_epoch()?;
        self.tree.kill(self.open_pidfd()?, self.id())
    }

    /// Lets the worker live on when the program ends. Its result is lost.
    ///
    /// Waits until the worker has taken note, at most 1 s. (It is interrupted
    /// for that by SIGURG, which workers handle and which other programs
    /// ignore.)
    ///
    /// It stays in the program's process group and session. A daemon wants a
    /// session of its own: the kernel sends SIGHUP to a group that the program's
    /// death orphans, if a member of it is stopped.
    ///
    /// # Errors
    ///
    /// The worker did not take note: it blocks or handles SIGURG, is stopped,
    /// or has executed another program. Then it stays attached.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn daemon() {
    ///     std::thread::sleep(std::time::Duration::from_millis(10));
    /// }
    ///
    /// daemon::spawn()?.detach()?;
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn detach(mut self) -> Result<()> {
        self.kill_on_drop = false;
        if self.joined {
            return Ok(());
        }
        self.signal(signal::DETACH)?;
        let deadline = Deadline::after(DETACH);
        match self.peer.detached(deadline, self.pidfd())? {
            // One that has ended needs no more.
            Waited::Got(()) | Waited::Watched | Waited::Closed(_) => Ok(()),
            Waited::TimedOut => Err(Error::timeout(
                "the worker did not take note that it is detached",
            )
            .with_entry(self.entry)
            .with_pid(self.id())),
        }
    }

    /// Whether dropping the handle kills the worker. It does not by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{path::Path, thread, time::Duration};
    ///
    /// #[zygote::entry]
    /// fn work() {
    ///     thread::sleep(Duration::from_secs(3600));
    /// }
    ///
    /// let worker = work::spawn()?.kill_on_drop(true);
    /// let process = format!("/proc/{}", worker.id());
    /// assert!(Path::new(&process).exists());
    /// drop(worker);
    /// while Path::new(&process).exists() {
    ///     thread::sleep(Duration::from_millis(1));
    /// }
    /// # Ok::<(), zygote::Error>(())
    /// ```
    #[must_use = "it gives the worker back"]
    pub fn kill_on_drop(mut self, kill: bool) -> Self {
        self.kill_on_drop = kill;
        self
    }

    /// The socket that its result comes on.
    #[cfg(feature = "tokio")]
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.peer.socket()
    }
}

/// How a process ended, once it has; `None` when the deadline passes first.
pub(super) fn exit_of(peer: &Peer, deadline: Deadline) -> Result<Option<Exit>> {
    let pidfd = peer.hello(deadline)?.open_pidfd()?;
    let [ended] = poll([Want::Read(pidfd)], deadline)
        .map_err(|error| Error::os("poll for the exit of a process failed", error))?;
    if !ended {
        return Ok(None);
    }
    // A report is on its way by now, even for a wait that does not wait.
    let deadline = match deadline.passed() {
        true => Deadline::after(Duration::from_millis(20)),
        false => deadline,
    };
    match peer.fate(deadline) {
        Ok(Some(Fate::Ended { status, rusage })) => Ok(Some(Exit::new(Some(status), Some(rusage)))),
        Ok(Some(Fate::Unborn { .. })) => Ok(Some(Exit::new(None, None))),
        Ok(None) => Ok(None),
        Err(error) if error.is_template_gone() => Ok(Some(Exit::new(status_of(pidfd), None))),
        Err(error) => Err(error),
    }
}

/// The status of an ended process that no template reports: from the kernel,
/// which has it once whoever inherited the process has waited for it.
fn status_of(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let until = Deadline::after(Duration::from_millis(20));
    loop {
        let collected = pidfd::collect(pidfd).status();
        let status = collected.or_else(|| pidfd::exit_status(pidfd));
        if status.is_some() || until.passed() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The error for a process that ended without saying how it fared.
pub(super) fn without_result(exit: Exit, who: &str, peer: &Peer) -> Error {
    let kind = match exit.is_signal() {
        // Its template did not report it: it died, and the process with it.
        _ if exit.rusage().is_none() && peer.origin().is_some() => ErrorKind::TemplateGone,
        true => ErrorKind::Signal,
        false => ErrorKind::Exit,
    };
    let text = match kind {
        ErrorKind::TemplateGone => {
            format!("the template is gone, and {who} {exit} before it gave a result")
        }
        _ => format!("{who} {exit} before it gave a result"),
    };
    Error::new(kind, text).with_exit(exit)
}

impl<R> AsFd for Worker<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd()
    }
}

impl<R> AsRawFd for Worker<R> {
    fn as_raw_fd(&self) -> RawFd {
        self.pidfd().as_raw_fd()
    }
}

impl<R> Drop for Worker<R> {
    fn drop(&mut self) {
        // In a copy of the program this refuses, as it should; a filter may,
        // too.
        if self.kill_on_drop && self.kill().is_err() && self.peer.is_current() {
            self.peer.kill_by_template();
        }
    }
}

impl<R> fmt::Debug for Worker<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.id())
            .field("entry", &self.entry)
            .field("exit", &self.exit.get())
            .finish_non_exhaustive()
    }
}
