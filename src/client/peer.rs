//! One process at the other end of a socket.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::forks::Forks;
use crate::{
    error::{Error, Kind as ErrorKind, Result},
    exit::Exit,
    sys::{
        epoch,
        fd::Ours,
        fork, pidfd,
        poll::{Deadline, Want, poll},
        socket,
    },
    wire::{
        frame::{Failure, Fate, Frame, Head, Kind, Report, SAME_OWNER},
        link::{self, Trouble},
    },
};

/// How long an exit may go unreported before it is asked about, and how long a
/// thread waits for another that reads before it looks for itself.
const PATIENCE: Duration = Duration::from_millis(1);

/// A process at the other end of a socket, and what is known about it.
#[derive(Debug)]
pub(crate) struct Peer {
    socket: Ours,
    /// The process that this handle was made in. A copy of it must not speak.
    epoch: u64,
    /// The process that forked it, and its number there. That process's socket
    /// stays open as long as this one is asked about.
    origin: Option<(Arc<Peer>, u64)>,
    /// It waited in stock, so its `Hello` is there.
    from_stock: AtomicBool,
    /// It was told something that another process would not know.
    told: AtomicBool,
    /// It is, or was, the default template.
    default: AtomicBool,
    hello: OnceLock<Hello>,
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

/// What has arrived and was not taken yet.
#[derive(Debug, Default)]
struct Inbox {
    /// A thread is reading from the socket; it stores for all.
    reading: bool,
    /// How many threads wait for it to stop.
    waiting: usize,
    answer: Option<Answer>,
    detached: bool,
    /// The children whose handles live; what became of them.
    fates: BTreeMap<u64, Option<Fate>>,
    closed: Option<Closed>,
    /// This program had no room for the pidfd.
    hello_lost: bool,
    /// What arrived could not be understood or kept.
    trouble: Option<Error>,
    /// There was no room for it: a moment later there may be.
    trouble_passes: bool,
}

/// The answer to a request to run something.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    Value { body: Vec<u8>, fds: Vec<OwnedFd> },
    Failed(Failure),
}

/// The socket is at its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    /// The task was never read.
    pub(crate) unread: bool,
}

/// How a wait ended.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    Got(T),
    Closed(Closed),
    /// The other descriptor is ready.
    Watched,
    TimedOut,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peer {
    pub(crate) fn new(socket: OwnedFd, origin: Option<(Arc<Self>, u64)>) -> Arc<Self> {
        Arc::new(Self {
            socket: Ours::new(socket),
            epoch: epoch::current(),
            origin,
            from_stock: AtomicBool::new(false),
            told: AtomicBool::new(false),
            default: AtomicBool::new(false),
            hello: OnceLock::new(),
            inbox: Mutex::default(),
            arrived: Condvar::new(),
            forks: Forks::default(),
        })
    }

    pub(crate) fn is_from_stock(&self) -> bool {
        self.from_stock.load(Ordering::Relaxed)
    }

    /// Whether another process from stock is as good: nobody knows this one.
    pub(crate) fn is_replaceable(&self) -> bool {
        self.is_from_stock() && !self.told.load(Ordering::Relaxed) && self.known().is_none()
    }

    pub(crate) fn mark_told(&self) {
        self.told.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_default(&self) -> bool {
        self.default.load(Ordering::Relaxed)
    }

    /// Whether it is known to have ended.
    pub(super) fn has_ended(&self) -> bool {
        let now = Deadline::after(Duration::ZERO);
        self.known()
            .is_some_and(|hello| matches!(poll([Want::read(&hello.pidfd)], now), Ok([true])))
    }

    pub(super) fn mark_default(&self) {
        self.default.store(true, Ordering::Relaxed);
    }

    pub(crate) fn origin(&self) -> Option<&Arc<Self>> {
        self.origin.as_ref().map(|(origin, _)| origin)
    }

    pub(super) fn mark_from_stock(&self) {
        self.from_stock.store(true, Ordering::Relaxed);
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
        link::send_until(self.socket.as_fd(), head, body, fds, deadline)
    }

    /// Sends without waiting. Whoever cannot be told has no use for it.
    pub(crate) fn tell(&self, kind: Kind, number: u64, body: &[u8]) {
        let _ = link::send(
            self.socket.as_fd(),
            Head::new(kind, number),
            &[body],
            &[],
            false,
        );
    }

    /// Waits until `pick` finds what it looks for among what has arrived, the
    /// socket ends, or `watch` is ready (then the socket was read once more).
    /// One thread reads at a time; the others are woken when it stops.
    ///
    /// With `eager`, something is expected to be there: it is read before it is
    /// waited for.
    fn wait_for<T>(
        &self,
        deadline: Deadline,
        watch: Option<BorrowedFd<'_>>,
        mut eager: bool,
        mut pick: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<Waited<T>> {
        let (mut watched, mut timed_out) = (false, false);
        let mut inbox = lock(&self.inbox);
        loop {
            if let Some(found) = pick(&mut inbox) {
                return Ok(Waited::Got(found));
            }
            if let Some(error) = inbox.trouble.clone() {
                if inbox.trouble_passes {
                    inbox.trouble = None;
                }
                return Err(error);
            }
            if let Some(closed) = inbox.closed {
                return Ok(Waited::Closed(closed));
            }
            if watched {
                return Ok(Waited::Watched);
            }
            if timed_out {
                return Ok(Waited::TimedOut);
            }
            if inbox.reading {
                let time = deadline
                    .remaining()
                    .map_or(PATIENCE, |left| left.min(PATIENCE));
                inbox.waiting += 1;
                let result = self.arrived.wait_timeout(inbox, time);
                inbox = result.unwrap_or_else(PoisonError::into_inner).0;
                inbox.waiting -= 1;
                timed_out = deadline.passed();
                continue;
            }
            inbox.reading = true;
            drop(inbox);
            let read = self.read(deadline, watch, eager);
            inbox = lock(&self.inbox);
            self.stop_reading(&mut inbox);
            let (frame, ready) = read?;
            eager = false;
            watched = ready;
            timed_out = matches!(frame, Err(Trouble::Busy)) && deadline.passed();
            self.store(&mut inbox, frame);
        }
    }

    fn stop_reading(&self, inbox: &mut Inbox) {
        inbox.reading = false;
        if inbox.waiting > 0 {
            self.arrived.notify_all();
        }
    }

    /// One frame, when it comes before the deadline and before `watch` is
    /// ready; whether `watch` is ready.
    fn read(
        &self,
        deadline: Deadline,
        watch: Option<BorrowedFd<'_>>,
        eager: bool,
    ) -> Result<(Result<Frame, Trouble>, bool)> {
        let socket = self.socket.as_fd();
        if eager {
            let frame = link::receive(socket, false);
            if !matches!(frame, Err(Trouble::Busy)) {
                return Ok((frame, false));
            }
        }
        let watch = watch.map_or(Want::Nothing, Want::Read);
        let [_, watched] = poll([Want::Read(socket), watch], deadline)
            .map_err(|error| Error::os("poll for a process's answer failed", error))?;
        Ok((link::receive(socket, false), watched))
    }

    fn store(&self, inbox: &mut Inbox, frame: Result<Frame, Trouble>) {
        let mut frame = match frame {
            Ok(frame) => frame,
            Err(Trouble::Busy) => return,
            Err(Trouble::Closed { unread }) => {
                // The kernel says so, once, before it gives what the peer said
                // before it closed: why there is no process, for one.
                while unread && let Ok(frame) = link::receive(self.socket.as_fd(), false) {
                    self.store(inbox, Ok(frame));
                }
                inbox.closed = Some(Closed { unread });
                return;
            }
            Err(trouble) => {
                if let Trouble::NoRoom { kind, .. } = trouble {
                    inbox.trouble_passes = true;
                    inbox.hello_lost |= kind == Kind::Hello;
                }
                inbox.trouble = Some(trouble.into_error("receiving from a process"));
                return;
            }
        };
        match frame.kind {
            Kind::Hello => match (u32::try_from(frame.number), frame.fds.pop()) {
                (Ok(pid), Some(pidfd)) => {
                    // A process that was given away says it twice.
                    let pidfd = Ours::new(pidfd);
                    let _ = self.hello.set(Hello { pid, pidfd });
                }
                _ => inbox.trouble = Some(foreign(frame.kind)),
            },
            Kind::Done => inbox.answer = Some(Answer::Done),
            Kind::Value => {
                let (body, fds) = (frame.body, frame.fds);
                inbox.answer = Some(Answer::Value { body, fds });
            }
            Kind::Failed => match Failure::decode(&frame.body) {
                Some(failure) => inbox.answer = Some(Answer::Failed(failure)),
                None => inbox.trouble = Some(foreign(frame.kind)),
            },
            Kind::Detached => inbox.detached = true,
            Kind::Exits => {
                for report in Report::decode(&frame.body) {
                    // Others were dropped meanwhile.
                    if let Some(fate) = inbox.fates.get_mut(&report.child) {
                        *fate = Some(report.fate);
                    }
                }
            }
            kind => inbox.trouble = Some(foreign(kind)),
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
        if std::mem::take(&mut lock(&self.inbox).hello_lost) {
            self.introduce(SAME_OWNER, deadline)?;
        }
        let template = match self.origin() {
            Some(origin) => Some(origin.hello(deadline)?.pidfd.as_fd()),
            None => None,
        };
        let eager = self.is_from_stock();
        let waited = self.wait_for(deadline, template, eager, |inbox| self.begun(inbox))?;
        let waited = match waited {
            Waited::Watched | Waited::TimedOut => {
                // From here on it cannot say it any more, and whoever cannot
                // say it ends. It may have said it just now.
                socket::refuse_more(self.socket.as_fd());
                let last = Deadline::after(Duration::ZERO);
                match self.wait_for(last, None, true, |inbox| self.begun(inbox))? {
                    Waited::Got(begun) => Waited::Got(begun),
                    _ => waited,
                }
            }
            waited => waited,
        };
        match waited {
            Waited::Got(Some(failure)) => Err(failure.into_error().unstarted()),
            Waited::Got(None) => self.known().ok_or_else(gone),
            Waited::Closed(_) => Err(self.unborn()),
            Waited::Watched => Err(gone()),
            Waited::TimedOut => Err(Error::timeout(
                "the template did not fork the process before the deadline",
            )
            .unstarted()),
        }
    }

    /// Says who its owner is, and so asks for its first words.
    pub(crate) fn introduce(&self, owner: u64, deadline: Deadline) -> Result<()> {
        let own = pidfd::open(fork::own_pid())
            .map_err(|error| Error::os("pidfd_open of this process failed", error))?;
        let head = Head::new(Kind::Owner, owner);
        self.send(head, &[], &[own.as_fd()], deadline)
            .map_err(|trouble| match trouble {
                Trouble::Closed { .. } => gone(),
                other => other.into_error("introducing this program to a process"),
            })
    }

    fn begun(&self, inbox: &mut Inbox) -> Option<Option<Failure>> {
        if self.known().is_some() {
            return Some(None);
        }
        match inbox.answer.take()? {
            Answer::Failed(failure) => Some(Some(failure)),
            other => {
                inbox.answer = Some(other);
                None
            }
        }
    }

    /// Why a process never began.
    fn unborn(&self) -> Error {
        let deadline = Deadline::after(Duration::from_millis(100));
        match self.fate(deadline) {
            Ok(Some(Fate::Unborn { code })) => Error::os(
                "the template has no room for the descriptor of a new process, raise its limit \
                 (RLIMIT_NOFILE)",
                std::io::Error::from_raw_os_error(code),
            ),
            Ok(Some(Fate::Ended { status, rusage })) => {
                let exit = Exit::new(Some(status), Some(rusage));
                let text = format!("the new process {exit} before it was told what to run");
                Error::new(ErrorKind::Exit, text).with_exit(exit)
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
                Waited::Closed(_) | Waited::Watched => return Err(gone()),
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
        let wait =
            |deadline| self.wait_for(deadline, Some(watch), false, |inbox| inbox.answer.take());
        match wait(deadline)? {
            // It may have answered before it ended.
            Waited::Watched => wait(Deadline::after(Duration::ZERO)),
            waited => Ok(waited),
        }
    }

    /// Waits until it has said that it is detached.
    pub(crate) fn detached(&self, deadline: Deadline, watch: BorrowedFd<'_>) -> Result<Waited<()>> {
        self.wait_for(deadline, Some(watch), false, |inbox| {
            inbox.detached.then_some(())
        })
    }
}

/// The children of this process, as far as their handles live.
impl Peer {
    /// Takes reports about a child from here on.
    pub(super) fn expect(&self, id: u64) {
        lock(&self.inbox).fates.insert(id, None);
    }

    /// Takes none any more; whether there has been one.
    pub(super) fn dismiss(&self, id: u64) -> bool {
        lock(&self.inbox).fates.remove(&id).flatten().is_some()
    }

    /// How many handles of its children live, those in stock included.
    pub(super) fn children(&self) -> usize {
        lock(&self.inbox).fates.len()
    }

    /// Whether handles of its children live.
    pub(crate) fn has_children(&self) -> bool {
        !lock(&self.inbox).fates.is_empty()
    }

    /// Takes in what has been reported, so that it does not pile up.
    pub(super) fn drain(&self) {
        let mut inbox = lock(&self.inbox);
        if inbox.reading {
            return;
        }
        inbox.reading = true;
        drop(inbox);
        loop {
            let frame = link::receive(self.socket.as_fd(), false);
            let mut inbox = lock(&self.inbox);
            if !matches!(
                frame,
                Ok(Frame {
                    kind: Kind::Exits,
                    ..
                })
            ) {
                self.stop_reading(&mut inbox);
                return self.store(&mut inbox, frame);
            }
            self.store(&mut inbox, frame);
        }
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
}

impl Drop for Peer {
    fn drop(&mut self) {
        if !self.is_current() {
            return;
        }
        if let Some((origin, id)) = &self.origin {
            origin.forget(*id);
        }
        if let Some(hello) = self.known()
            && self.origin.is_none()
        {
            pidfd::collect(hello.pidfd.as_fd());
        }
    }
}

/// The template died, and no code of an entry ran.
pub(crate) fn gone() -> Error {
    Error::new(ErrorKind::TemplateGone, "the template is gone").unstarted()
}

fn foreign(kind: Kind) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("a process sent a frame that makes no sense here: {kind:?}"),
    )
}
