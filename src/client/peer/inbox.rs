//! What has arrived from a process, and who reads it.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::PoisonError,
    time::Duration,
};

use super::{Hello, PATIENCE, Peer, lock};
use crate::{
    error::{Error, Kind as ErrorKind, Result},
    sys::{
        ours::Ours,
        poll::{Deadline, Want, poll},
    },
    wire::{
        frame::{Fate, Frame, Kind, Report, failure},
        link::{self, Trouble},
    },
};

/// So many frames are still read when a wait is over: more than a socket holds
/// by default. Whoever sends faster than that is not waited for.
const QUEUE: usize = 1024;

/// How long the report of a child that has ended may take.
const MOMENT: Duration = Duration::from_millis(100);

/// What has arrived and was not taken yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// A thread is reading from the socket; it stores for all.
    pub(super) reading: bool,
    /// How many threads wait for it to stop.
    pub(super) waiting: usize,
    pub(super) answer: Option<Answer>,
    pub(super) ready: bool,
    pub(super) detached: bool,
    /// The children whose handles live; what became of them.
    pub(super) fates: BTreeMap<u64, Option<Fate>>,
    pub(super) closed: Option<Closed>,
    /// The template that was cloned from an executed program, until its `Hello`.
    pub(super) born: Option<Ours>,
    /// This program had no room for the pidfd.
    pub(super) hello_lost: bool,
    /// What arrived could not be understood or kept.
    pub(super) trouble: Option<Error>,
    /// There was no room or no memory for it: a moment later there may be.
    pub(super) trouble_passes: bool,
}

impl Inbox {
    pub(super) fn take_failure(&mut self) -> Option<Error> {
        match self.answer.take()? {
            Answer::Failed(failure) => Some(failure),
            other => {
                self.answer = Some(other);
                None
            }
        }
    }
}

/// The answer to a request to run something.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    Value { body: Vec<u8>, fds: Vec<OwnedFd> },
    Failed(Error),
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

impl Peer {
    /// Waits until `pick` finds what it looks for among what has arrived, the
    /// socket ends, or `watch` is ready (then the socket was read once more).
    /// One thread reads at a time; the others are woken when it stops.
    ///
    /// With `eager`, something is expected to be there: it is read before it is
    /// waited for.
    pub(super) fn wait_for<T>(
        &self,
        deadline: Deadline,
        watch: Option<BorrowedFd<'_>>,
        mut eager: bool,
        mut pick: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<Waited<T>> {
        let (mut watched, mut timed_out, mut late) = (false, false, 0);
        let is_open = self.open_socket().is_ok();
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
            if !is_open {
                return Ok(Waited::Closed(Closed { unread: false }));
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
            // What is in the queue by then still counts.
            let passed = deadline.passed();
            late += usize::from(ready || passed);
            let heard = matches!(frame, Err(Trouble::Busy)) || late > QUEUE;
            (watched, timed_out) = (ready && heard, passed && heard);
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
            // It is only needed where the template hangs.
            Err(Trouble::NoRoom {
                kind: Kind::Born, ..
            }) => return,
            Err(Trouble::Closed { unread }) => {
                // The kernel says so, once, before it gives what the peer said
                // before it closed: why there is no process, for one.
                while unread
                    && inbox.trouble.is_none()
                    && let Ok(frame) = link::receive(self.socket.as_fd(), false)
                {
                    self.store(inbox, Ok(frame));
                }
                inbox.closed = Some(Closed { unread });
                return;
            }
            Err(trouble) => {
                if let Trouble::NoRoom { kind, .. } = trouble {
                    inbox.hello_lost |= kind == Kind::Hello;
                }
                inbox.trouble_passes = !matches!(trouble, Trouble::Foreign(_));
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
                    inbox.born = None;
                }
                _ => inbox.trouble = Some(foreign(frame.kind)),
            },
            Kind::Born if self.known().is_none() => inbox.born = frame.fds.pop().map(Ours::new),
            Kind::Born => {}
            // The first answer counts.
            kind @ (Kind::Done | Kind::Value | Kind::Failed) if inbox.answer.is_some() => {
                inbox.trouble = Some(foreign(kind));
            }
            Kind::Done => inbox.answer = Some(Answer::Done),
            Kind::Value => {
                let (body, fds) = (frame.body, frame.fds);
                inbox.answer = Some(Answer::Value { body, fds });
            }
            Kind::Failed => match failure::decode(&frame.body) {
                // A result that is there is not taken back by what follows.
                Some(failure) => {
                    inbox.answer.get_or_insert(Answer::Failed(failure));
                }
                None => inbox.trouble = Some(foreign(frame.kind)),
            },
            Kind::Ready => inbox.ready = true,
            Kind::Detached => inbox.detached = true,
            Kind::Exits => {
                for report in Report::decode(&frame.body) {
                    match inbox.fates.get_mut(&report.child) {
                        Some(fate) => *fate = Some(report.fate),
                        // Dropped meanwhile.
                        None => self.reported(report.child),
                    }
                }
            }
            kind => inbox.trouble = Some(foreign(kind)),
        }
    }
}

/// The children of this process, as far as their handles live.
impl Peer {
    /// Takes reports about a child from here on.
    pub(in crate::client) fn expect(&self, id: u64) {
        lock(&self.inbox).fates.insert(id, None);
    }

    /// Takes none any more; whether there has been one.
    pub(in crate::client) fn dismiss(&self, id: u64) -> bool {
        lock(&self.inbox).fates.remove(&id).flatten().is_some()
    }

    /// How many handles of its children live, those in stock included.
    pub(in crate::client) fn children(&self) -> usize {
        lock(&self.inbox).fates.len()
    }

    /// Whether children live that have handles. The report of one that has just
    /// ended may need a moment: a child that lives is waited for as long.
    pub(crate) fn has_live_children(&self) -> bool {
        let all_ended = |inbox: &mut Inbox| {
            let all = inbox.fates.values().all(Option::is_some);
            all.then_some(())
        };
        let moment = Deadline::after(MOMENT);
        // Of one that is gone nothing lives; that it is shows when it is asked.
        matches!(
            self.wait_for(moment, None, true, all_ended),
            Ok(Waited::TimedOut)
        )
    }

    /// Takes in what has been reported, so that it does not pile up.
    pub(in crate::client) fn drain(&self) {
        self.take_in(|frame| frame == Some(Kind::Exits));
    }

    /// Takes in what is there, as long as `more` of it is wanted after one of
    /// this kind.
    pub(in crate::client) fn take_in(&self, more: impl Fn(Option<Kind>) -> bool) {
        let Ok(socket) = self.open_socket() else {
            return;
        };
        let mut inbox = lock(&self.inbox);
        if inbox.reading {
            return;
        }
        inbox.reading = true;
        drop(inbox);
        for _ in 0..QUEUE {
            let frame = link::receive(socket, false);
            // What fails now is tried again by whoever waits for something.
            let passes = matches!(frame, Err(Trouble::Os(..)));
            let kind = frame.as_ref().ok().map(|frame| frame.kind);
            if !passes {
                self.store(&mut lock(&self.inbox), frame);
            }
            if !more(kind) {
                break;
            }
        }
        self.stop_reading(&mut lock(&self.inbox));
    }
}

fn foreign(kind: Kind) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("a process sent a frame that makes no sense here: {kind:?}"),
    )
}
