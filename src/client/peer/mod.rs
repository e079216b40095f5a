//! One process at the other end of a socket.

mod end;
mod inbox;

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use self::inbox::Inbox;
pub(crate) use self::inbox::{Answer, Closed, Waited};
use super::{ending, forks::Forks};
use crate::{
    error::{Error, Kind as ErrorKind, Result},
    exit::Exit,
    sys::{epoch, fail, fork, ours::Ours, pidfd, poll::Deadline, socket},
    wire::{
        frame::{Fate, Head, Kind, SAME_OWNER},
        link::{self, Trouble},
    },
};

/// How long an exit may go unreported before it is asked about, and how long a
/// thread waits for another that reads before it looks for itself.
const PATIENCE: Duration = Duration::from_millis(1);

/// How long a process may take to end that was killed.
#[cfg(feature = "exec")]
const LAST: Duration = Duration::from_secs(1);

/// A process at the other end of a socket, and what is known about it.
#[derive(Debug)]
pub(crate) struct Peer {
    socket: Ours,
    /// The process that this handle was made in. A copy of it must not speak.
    epoch: u64,
    /// The process that forked it, and its number there. That process's socket
    /// stays open as long as this one is asked about.
    origin: Option<(Arc<Peer>, u64)>,
    /// The early template's process id: it is a child of this process, and may
    /// die before it can say so.
    child: OnceLock<i32>,
    /// It was asked for as a spare. Its `Hello` should be there.
    from_stock: AtomicBool,
    /// It was found to be gone, and had never said a word.
    vanished: AtomicBool,
    /// It was told something that another process would not know.
    told: AtomicBool,
    /// It is, or was, the default template.
    default: AtomicBool,
    /// It was found dead. A child that was just being forked may hold its socket
    /// open for a moment, and nobody reads there.
    dead: AtomicBool,
    hello: OnceLock<Hello>,
    /// Why there will be no `Hello`.
    never: OnceLock<Error>,
    inbox: Mutex<Inbox>,
    /// Signalled when the thread that reads stops reading.
    arrived: Condvar,
    pub(super) forks: Forks,
}

/// What a process says of itself, first of all.
#[derive(Debug)]
pub(crate) struct Hello {
    pub(crate) pid: u32,
    pub(crate) pidfd: Ours,
}

impl Hello {
    /// Its pidfd, for what must not be done to another process.
    pub(crate) fn open_pidfd(&self) -> Result<BorrowedFd<'_>> {
        self.pidfd.still().ok_or_else(|| {
            Error::invalid(
                "this program has closed the descriptors of the handle (`close_range`, \
                 `closefrom`): what becomes of the process cannot be known",
            )
            .with_pid(self.pid)
        })
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peer {
    pub(crate) fn new(socket: impl Into<Ours>, origin: Option<(Arc<Self>, u64)>) -> Arc<Self> {
        Arc::new(Self {
            socket: socket.into(),
            epoch: epoch::current(),
            origin,
            child: OnceLock::new(),
            from_stock: AtomicBool::new(false),
            vanished: AtomicBool::new(false),
            told: AtomicBool::new(false),
            default: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            hello: OnceLock::new(),
            never: OnceLock::new(),
            inbox: Mutex::default(),
            arrived: Condvar::new(),
            forks: Forks::default(),
        })
    }

    /// A child of this process, which it forked just now. Where there is no room
    /// for its pidfd, that comes with its first word.
    pub(crate) fn child(socket: OwnedFd, child: i32) -> Arc<Self> {
        ending::look();
        let peer = Self::new(socket, None);
        if let Ok(pidfd) = pidfd::open(child) {
            let (pid, pidfd) = (child.cast_unsigned(), Ours::new(pidfd));
            let _ = peer.hello.set(Hello { pid, pidfd });
        }
        peer
    }

    /// The early template, of this process id.
    pub(super) fn early(socket: Ours, child: i32) -> Arc<Self> {
        let peer = Self::new(socket, None);
        let _ = peer.child.set(child);
        peer
    }

    pub(crate) fn is_from_stock(&self) -> bool {
        self.from_stock.load(Ordering::Relaxed)
    }

    /// Whether another process from stock is as good: nobody knows this one.
    pub(crate) fn is_replaceable(&self) -> bool {
        self.is_from_stock() && !self.told.load(Ordering::Relaxed) && self.known().is_none()
    }

    /// Whether this spare is gone and never said a word, so that it ran nothing.
    pub(crate) fn has_vanished(&self) -> bool {
        self.vanished.load(Ordering::Relaxed)
    }

    pub(crate) fn mark_told(&self) {
        self.told.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_default(&self) -> bool {
        self.default.load(Ordering::Relaxed)
    }

    /// Whether something from here is unread, or was when it ended.
    #[cfg(feature = "exec")]
    pub(super) fn has_unread(&self) -> bool {
        let closed = lock(&self.inbox).closed;
        closed.is_some_and(|closed| closed.unread) || socket::has_unread(self.socket.as_fd())
    }

    /// Kills a template that was cloned from an executed program and has not said
    /// its `Hello`; how it ended, where that is known.
    #[cfg(feature = "exec")]
    pub(super) fn kill_born(&self) -> Option<Exit> {
        let born = lock(&self.inbox).born.take()?;
        let _ = pidfd::signal(born.as_fd(), libc::SIGKILL);
        pidfd::await_end(born.as_fd(), Deadline::after(LAST));
        // A program that is the reaper of orphans has it as a child by now.
        let status = pidfd::collect(born.as_fd())
            .status()
            .or_else(|| pidfd::exit_status(born.as_fd()));
        Some(Exit::new(Some(status?), None))
    }

    /// Its process id, if that is known by now.
    pub(super) fn pid(&self) -> Option<i32> {
        let said = self.known().and_then(|hello| i32::try_from(hello.pid).ok());
        said.or_else(|| self.child.get().copied())
    }

    /// Whether that is its id in this process's PID namespace, too.
    pub(super) fn is_numbered_here(&self) -> bool {
        match (self.known(), self.pid()) {
            (Some(hello), pid) => pidfd::id(hello.pidfd.as_fd()) == pid,
            // It is a child.
            (None, pid) => pid.is_some(),
        }
    }

    pub(super) fn mark_default(&self) {
        self.default.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Whether it was found dead, or has closed its socket.
    fn is_gone(&self) -> bool {
        self.is_dead() || lock(&self.inbox).closed.is_some()
    }

    /// Nothing more is asked of it.
    pub(super) fn found_dead(&self) -> Error {
        self.dead.store(true, Ordering::Relaxed);
        gone()
    }

    pub(crate) fn origin(&self) -> Option<&Arc<Self>> {
        self.origin.as_ref().map(|(origin, _)| origin)
    }

    pub(super) fn mark_from_stock(&self) {
        self.from_stock.store(true, Ordering::Relaxed);
    }

    /// Whether it is known that it never existed.
    pub(super) fn never_was(&self) -> bool {
        self.never.get().is_some()
    }

    /// Its number at its origin.
    pub(super) fn number(&self) -> Option<u64> {
        self.origin.as_ref().map(|(_, number)| *number)
    }

    /// Refuses in a copy of the process that the handle was made in.
    pub(crate) fn check_epoch(&self) -> Result<()> {
        if self.is_current() {
            return Ok(());
        }
        Err(Error::invalid(
            "the handle was made before this process was forked and belongs to the process it \
             was forked from; spawn anew",
        )
        .unstarted())
    }

    pub(super) fn is_current(&self) -> bool {
        self.epoch == epoch::current()
    }

    /// Sends one frame, waiting for room up to the deadline.
    pub(crate) fn send(
        &self,
        head: Head,
        body: &[&[u8]],
        fds: &[BorrowedFd<'_>],
        deadline: Deadline,
    ) -> Result<(), Trouble> {
        link::send_until(self.open_socket()?, head, body, fds, deadline)
    }

    /// Sends without waiting. Whoever cannot be told has no use for it.
    pub(crate) fn tell(&self, kind: Kind, number: u64, body: &[u8]) {
        if let Ok(socket) = self.open_socket() {
            let _ = link::send(socket, Head::new(kind, number), &[body], &[], false);
        }
    }

    /// What the process said of itself.
    pub(crate) fn known(&self) -> Option<&Hello> {
        self.hello.get()
    }

    /// Waits until the process exists, or until it is known that it never will:
    /// then it is certain that it runs nothing.
    pub(crate) fn hello(&self, deadline: Deadline) -> Result<&Hello> {
        if let Some(hello) = self.known() {
            return Ok(hello);
        }
        if let Some(error) = self.never.get() {
            return Err(error.clone());
        }
        fail::point("program: before Hello");
        if std::mem::take(&mut lock(&self.inbox).hello_lost) {
            self.introduce(SAME_OWNER, deadline)?;
        }
        let template = match self.origin() {
            Some(origin) => Some(origin.hello(deadline)?.pidfd.as_fd()),
            None => None,
        };
        if self.is_from_stock() {
            let now = Deadline::after(Duration::ZERO);
            let waited = self.wait_for(now, None, true, |inbox| self.begun(inbox))?;
            if matches!(waited, Waited::TimedOut) {
                // Where that fails, the wait below finds out why.
                let _ = self.hurry(deadline);
            }
        }
        let waited = self.word(deadline, template, |inbox| self.begun(inbox))?;
        if matches!(waited, Waited::Closed(_) | Waited::Watched) {
            self.vanished.store(self.is_from_stock(), Ordering::Relaxed);
        }
        let never = match waited {
            Waited::Got(None) => return self.known().ok_or_else(gone),
            Waited::Got(Some(failure)) => failure.unstarted(),
            Waited::Closed(_) => self.unborn("before it was told what to run"),
            Waited::Watched => self.origin().map_or_else(gone, |it| it.found_dead()),
            Waited::TimedOut => {
                // It may be there, and stay in a hook, or a constructor.
                self.kill_by_template();
                if let Some(child) = self.child.get() {
                    pidfd::kill_silent(*child);
                }
                Error::timeout(
                    "the template did not fork the process before the deadline, or a prepare or \
                     child hook was not done",
                )
                .unstarted()
            }
        };
        Err(self.never.get_or_init(|| never).clone())
    }

    /// Waits for a word without which the process does not go on. When this
    /// gives up, it is certain that the word was not said.
    fn word<T>(
        &self,
        deadline: Deadline,
        watch: Option<BorrowedFd<'_>>,
        mut pick: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<Waited<T>> {
        let waited = self.wait_for(deadline, watch, false, &mut pick)?;
        if !matches!(waited, Waited::Watched | Waited::TimedOut) {
            return Ok(waited);
        }
        let last = self.last_word(pick)?;
        Ok(last.map_or(waited, Waited::Got))
    }

    /// From here on the process cannot say a word any more, and whoever cannot
    /// say it ends. It may have said it just now.
    fn last_word<T>(&self, pick: impl FnMut(&mut Inbox) -> Option<T>) -> Result<Option<T>> {
        if let Ok(socket) = self.open_socket() {
            socket::refuse_more(socket);
        }
        let last = Deadline::after(Duration::ZERO);
        match self.wait_for(last, None, true, pick)? {
            Waited::Got(found) => Ok(Some(found)),
            _ => Ok(None),
        }
    }

    /// Waits until a worker has applied its settings; when this fails, no code
    /// of the entry has run and none will.
    pub(crate) fn ready(&self, deadline: Deadline) -> Result<()> {
        let pidfd = self.hello(deadline)?.pidfd.as_fd();
        let pick = |inbox: &mut Inbox| match inbox.ready {
            true => Some(None),
            false => inbox.take_failure().map(Some),
        };
        let begun = |found: Option<Error>| match found {
            None => Ok(()),
            Some(failure) => Err(failure.unstarted()),
        };
        match self.wait_for(deadline, Some(pidfd), false, pick)? {
            Waited::Got(found) => begun(found),
            Waited::TimedOut => {
                if let Some(found) = self.last_word(pick)? {
                    return begun(found);
                }
                let _ = pidfd::signal(pidfd, libc::SIGKILL);
                let text = "the worker did not apply its settings before the deadline";
                Err(Error::timeout(text).unstarted())
            }
            Waited::Closed(_) | Waited::Watched => {
                let error = self.unborn("before its settings were applied");
                // A template whose hook fails ends its child, then says why.
                let now = Deadline::after(Duration::ZERO);
                match self.wait_for(now, None, true, pick)? {
                    Waited::Got(found) => begun(found),
                    _ => Err(error),
                }
            }
        }
    }

    /// Waits until a process has executed another program, which closes its
    /// socket.
    pub(crate) fn executed(&self, deadline: Deadline) -> Result<()> {
        let pidfd = self.hello(deadline)?.pidfd.as_fd();
        let wait = |deadline| self.wait_for(deadline, Some(pidfd), false, Inbox::take_failure);
        let waited = match wait(deadline)? {
            // A short program: its template may not have closed the socket yet.
            Waited::Watched => wait(Deadline::after(Duration::ZERO))?,
            waited => waited,
        };
        match waited {
            Waited::Got(failure) => Err(failure),
            Waited::Closed(Closed { unread: true }) => {
                Err(self.unborn("before it executed a program"))
            }
            Waited::Closed(_) | Waited::Watched => Ok(()),
            Waited::TimedOut => {
                let _ = pidfd::signal(pidfd, libc::SIGKILL);
                let text = "no program was executed before the deadline";
                Err(Error::timeout(text))
            }
        }
    }

    /// Says who its owner is, and so asks for its first words.
    pub(crate) fn introduce(&self, owner: u64, deadline: Deadline) -> Result<()> {
        let own = pidfd::open(fork::own_pid())
            .map_err(|error| Error::descriptor("pidfd_open of this process failed", error))?;
        let head = Head::new(Kind::Owner, owner);
        self.send(head, &[], &[own.as_fd()], deadline)
            .map_err(|trouble| match trouble {
                Trouble::Closed { .. } => gone(),
                other => other.into_error("introducing this program to a process"),
            })
    }

    fn begun(&self, inbox: &Inbox) -> Option<Option<Error>> {
        if self.known().is_some() {
            return Some(None);
        }
        match &inbox.answer {
            // It stays, for whoever asks next.
            Some(Answer::Failed(failure)) => Some(Some(failure.clone())),
            _ => None,
        }
    }

    /// Why a process ended so early.
    fn unborn(&self, when: &str) -> Error {
        let deadline = Deadline::after(Duration::from_millis(100));
        match self.fate(deadline) {
            Ok(Some(Fate::Unborn { code })) => Error::os(
                "the template has no room for the descriptor of a new process, raise its limit \
                 (RLIMIT_NOFILE)",
                std::io::Error::from_raw_os_error(code),
            ),
            Ok(Some(Fate::Ended { status, rusage })) => {
                let exit = Exit::new(Some(status), Some(rusage));
                let text = format!("the new process {exit} {when}");
                let kind = match exit.is_signal() {
                    true => ErrorKind::Signal,
                    false => ErrorKind::Exit,
                };
                Error::new(kind, text).with_exit(exit)
            }
            Ok(None) => Error::new(
                ErrorKind::Protocol,
                "the template dropped the request for a new process and does not say why",
            ),
            Err(error) => error,
        }
        .unstarted()
    }

    /// What became of this process, from the template that forked it; `None`
    /// when the deadline passes first.
    ///
    /// # Errors
    ///
    /// The template is gone, or there is none.
    pub(crate) fn fate(&self, deadline: Deadline) -> Result<Option<Fate>> {
        let Some((origin, id)) = &self.origin else {
            return Err(gone());
        };
        let template = origin.hello(deadline)?.pidfd.as_fd();
        loop {
            let waited =
                origin.wait_for(deadline.within(PATIENCE), Some(template), false, |inbox| {
                    inbox.fates.get(id).copied().flatten()
                })?;
            match waited {
                Waited::Got(fate) => return Ok(Some(fate)),
                Waited::Closed(_) | Waited::Watched => return Err(origin.found_dead()),
                Waited::TimedOut if deadline.passed() => return Ok(None),
                // Two exits at the same time may look like one to the template.
                Waited::TimedOut => origin.tell(Kind::Reap, *id, &[]),
            }
        }
    }

    /// Waits for the answer to what it was told to run. `watch` is its pidfd.
    pub(crate) fn answer(
        &self,
        deadline: Deadline,
        watch: BorrowedFd<'_>,
    ) -> Result<Waited<Answer>> {
        fail::point("program: before result");
        // One that ended may have answered before: then its answer is found first.
        self.wait_for(deadline, Some(watch), false, |inbox| inbox.answer.take())
    }

    /// Waits until it has said that it is detached.
    pub(crate) fn detached(&self, deadline: Deadline, watch: BorrowedFd<'_>) -> Result<Waited<()>> {
        self.wait_for(deadline, Some(watch), false, |inbox| {
            inbox.detached.then_some(())
        })
    }
}

impl Peer {
    /// Closes the socket: it has said the last word.
    pub(super) fn close(&mut self) {
        self.socket.close();
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Its socket, to read from or to write to. One that the program has closed is
    /// as good as closed by the process: the number may be the program's by now.
    pub(crate) fn open_socket(&self) -> Result<BorrowedFd<'_>, Trouble> {
        self.socket.still().ok_or(Trouble::Closed { unread: false })
    }
}

/// The template died, and no code of an entry ran.
pub(crate) fn gone() -> Error {
    Error::new(ErrorKind::TemplateGone, "the template is gone").unstarted()
}
