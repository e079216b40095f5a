//! Listening on a line: who reads, and until when.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    task::Waker,
};

use super::{
    Held, Line, Waited,
    inbox::{Closed, Inbox},
    turn::{self, Over, Wait},
};
use crate::{
    client::sync::lock,
    error::{Error, Result},
    sys::poll::{Deadline, Want, poll},
    wire::{
        frame::Frame,
        link::{self, Trouble},
    },
};

impl Line {
    /// Waits until `pick` finds what it looks for among what has arrived, the
    /// socket ends, or `watch` is ready. One thread reads at a time; the others are
    /// woken when it stops.
    pub(in crate::client) fn wait<T>(
        &self,
        deadline: Deadline,
        watch: Option<BorrowedFd<'_>>,
        pick: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<Waited<T>> {
        let receive = || {
            let watched = await_frame(self.socket.as_fd(), watch, deadline)?;
            Ok((self.receive(), watched))
        };
        self.listen(deadline, receive, pick)
    }

    /// Does the same as `wait` for what should be there already, without waiting.
    pub(in crate::client) fn look<T>(
        &self,
        pick: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<Waited<T>> {
        self.listen(Deadline::NOW, || Ok((self.receive(), false)), pick)
    }

    fn receive(&self) -> Result<Frame, Trouble> {
        link::receive_within(self.socket.as_fd(), false, self.longest.load(Relaxed))
    }

    fn listen<T>(
        &self,
        deadline: Deadline,
        receive: impl Fn() -> Result<(Result<Frame, Trouble>, bool)>,
        mut pick: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<Waited<T>> {
        let mut wait = Wait::default();
        let is_open = self.open().is_ok();
        let mut held = lock(&self.held);
        loop {
            if let Some(end) = found(&mut held.inbox, &mut pick, is_open, &wait)? {
                return Ok(end);
            }
            if !held.turn.take() {
                held = self.sleep(held, deadline);
                wait.after_sleep(deadline.passed());
                continue;
            }
            // No lock is held while this waits.
            drop(held);
            let received = receive();
            held = lock(&self.held);
            let stored = received.map(|(frame, watched)| {
                let nothing = matches!(frame, Err(Trouble::Busy));
                wait.after_read(nothing, watched, deadline.passed());
                self.store(&mut held.inbox, frame);
            });
            self.give_back(&mut held);
            stored?;
        }
    }

    /// Takes in what is there, so that it does not pile up, or is found without
    /// waiting. Another thread that reads does the same.
    pub(in crate::client) fn take_in(&self) {
        if self.open().is_err() || !lock(&self.held).turn.take() {
            return;
        }
        for _ in 0..turn::QUEUE {
            let frame = self.receive();
            let is_last = frame.is_err();
            // What fails now is tried again by the next thread that waits.
            if !matches!(frame, Err(Trouble::Os(..))) {
                self.store(&mut lock(&self.held).inbox, frame);
            }
            if is_last {
                break;
            }
        }
        self.give_back(&mut lock(&self.held));
    }

    /// Sleeps, while another thread reads, until that one stops or for a moment.
    fn sleep<'held>(
        &self,
        mut held: MutexGuard<'held, Held>,
        deadline: Deadline,
    ) -> MutexGuard<'held, Held> {
        let time = held.turn.sleep(deadline.remaining());
        let woken = self.arrived.wait_timeout(held, time);
        let mut held = woken.unwrap_or_else(PoisonError::into_inner).0;
        held.turn.wake();
        held
    }

    fn give_back(&self, held: &mut Held) {
        if held.turn.give_back() {
            self.arrived.notify_all();
        }
        // Futures look only when they are woken, which tokio does without polling them.
        let is_missed = held.turn.was_missed();
        let woken = held.inbox.answers.woken(is_missed);
        woken.into_iter().for_each(Waker::wake);
    }

    fn store(&self, inbox: &mut Inbox, frame: Result<Frame, Trouble>) {
        match frame {
            Ok(frame) => inbox.put(frame, &self.hello),
            Err(trouble) => {
                // A reset is told once, before what the other end said before it
                // closed: why there is no process, for example.
                let is_reset = matches!(trouble, Trouble::Closed { unread: true });
                while is_reset
                    && !inbox.is_faulty()
                    && let Ok(frame) = self.receive()
                {
                    inbox.put(frame, &self.hello);
                }
                inbox.miss(trouble);
            }
        }
    }
}

/// Tells whether and how a wait has ended. What has arrived comes first, so that a word
/// that was said before the end is never lost.
fn found<T>(
    inbox: &mut Inbox,
    pick: &mut impl FnMut(&mut Inbox) -> Option<T>,
    is_open: bool,
    wait: &Wait,
) -> Result<Option<Waited<T>>> {
    if let Some(found) = pick(inbox) {
        return Ok(Some(Waited::Got(found)));
    }
    if let Some(error) = inbox.fault() {
        return Err(error);
    }
    let closed = inbox
        .closed
        .or((!is_open).then_some(Closed { unread: false }));
    Ok(closed.map(Waited::Closed).or(match wait.over() {
        Some(Over::Watched) => Some(Waited::Watched),
        Some(Over::TimedOut) => Some(Waited::TimedOut),
        None => None,
    }))
}

/// Waits for a frame until the deadline or until `watch` is ready, and tells whether
/// `watch` is ready. A process says its last word before it ends, so what has arrived is
/// read even when it was `watch` that ended the wait.
fn await_frame(
    socket: BorrowedFd<'_>,
    watch: Option<BorrowedFd<'_>>,
    deadline: Deadline,
) -> Result<bool> {
    let watch = watch.map_or(Want::Nothing, Want::Read);
    let [_, watched] = poll([Want::Read(socket), watch], deadline)
        .map_err(|error| Error::os("poll for a process's answer failed", error))?;
    Ok(watched)
}
