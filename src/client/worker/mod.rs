//! `Worker`: a process that runs an entry.

mod outcome;
mod wait;

use std::{
    fmt,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use super::{
    line::{Hello, Waited},
    peer::Peer,
    sync::lock,
    tree::Tree,
};
use crate::{
    error::{Error, Result},
    exit::Exit,
    parcel::Decoder,
    settings::Ends,
    sys::{pidfd, poll::Deadline, signal},
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
/// reads it sees the end; [`try_wait`](Self::try_wait) does not. Read what a worker
/// writes to pipes: it waits while they are full.
///
/// `wait`, `kill`, `signal` and the like take `&self` and may be called from several
/// threads. As a descriptor it is the worker's pidfd: readable once the worker has
/// exited, so that any event loop can wait for it.
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
    /// It is apart from the other ends, because a wait, on any thread, closes it.
    stdin: Mutex<Option<ChildStdin>>,
    ends: Ends,
    tree: Tree,
    exit: OnceLock<Exit>,
    kill_on_drop: bool,
    /// Whether the outcome was given out.
    joined: bool,
}

impl<R> Worker<R> {
    /// Makes the handle on a peer that has said hello.
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

    /// Gives its process id. The worker sees the same id, except in a [PID
    /// namespace](crate::settings::Namespaces::pid), where it sees another.
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

    /// Takes the program's end of the worker's [piped](crate::Stdio::piped) stdin,
    /// once. The first wait closes an end that was not taken.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        let stdin = self.stdin.get_mut();
        stdin.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Closes a stdin that nobody can write to any more: its reader must see the end,
    /// or the wait has none.
    pub(super) fn close_stdin(&self) {
        drop(lock(&self.stdin).take());
    }

    /// Takes the program's end of the worker's [piped](crate::Stdio::piped) stdout,
    /// once. A worker that writes more than a pipe holds, 64 KiB, waits until somebody
    /// reads.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.ends.stdout.take()
    }

    /// Takes the end of stderr, as [`take_stdout`](Self::take_stdout) takes that of
    /// stdout.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.ends.stderr.take()
    }

    /// Sends SIGKILL. It is no error if the worker has exited. With
    /// [`tree`](crate::Process::tree) it kills what the worker has started as well.
    ///
    /// # Errors
    ///
    /// The kernel refuses, for example because the worker has changed its user.
    pub fn kill(&self) -> Result<()> {
        match self.tree.is_one() {
            true => self.kill_tree(),
            false => self.signal(libc::SIGKILL),
        }
    }

    /// Sends a signal by pidfd, and so never to another process that has the same id.
    /// It is no error if the worker has exited.
    ///
    /// # Errors
    ///
    /// Fails as [`kill`](Self::kill) does, and for a number that is no signal.
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
    /// | [`tree`](crate::Process::tree) | what the strongest means below that the machine allows can reach | |
    /// | a [PID namespace](crate::settings::Namespaces::pid) | everything in it | |
    /// | [`cgroup`](crate::Process::cgroup) of version 2 | **everything** in it and below, by `cgroup.kill` (Linux 5.14) | what was moved out; all of version 1 |
    /// | [`process_group(0)`](crate::Process::process_group), [`session`](crate::Process::session) | the group | what has made a group of its own, as shells with job control and daemons do |
    ///
    /// If several of them are set, all are used. It is no error if everything has
    /// ended. A group is killed even if the worker itself has ended; before Linux 6.9
    /// only while it lives.
    ///
    /// Returns when the signals are sent. What is killed may need a moment more;
    /// the template reports the worker, others wait for theirs.
    ///
    /// # Errors
    ///
    /// None of these settings is set ([`is_invalid`](Error::is_invalid)), or the
    /// program itself is in that cgroup: then nothing was killed. The kernel refuses,
    /// or is too old.
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
    /// Waits until the worker has taken note, at most 1 s. (SIGURG interrupts it for
    /// that; workers handle this signal, and other programs ignore it.)
    ///
    /// It stays in the program's process group and session. A daemon needs a session of
    /// its own, because the kernel sends SIGHUP to a group that the program's death
    /// orphans, if a member of it is stopped.
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
        match self.peer.detached(deadline)? {
            // One that has ended needs no more.
            Waited::Got(()) | Waited::Watched | Waited::Closed(_) => Ok(()),
            Waited::TimedOut => Err(Error::timeout(
                "the worker did not take note that it is detached",
            )
            .with_entry(self.entry)
            .with_pid(self.id())),
        }
    }

    /// Sets whether dropping the handle kills the worker. By default it does not.
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

    /// Gives the socket that its result comes on.
    #[cfg(feature = "tokio")]
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.peer.line.socket.as_fd()
    }
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
        // In a copy of the program `kill` refuses, as it should; a filter may refuse,
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
