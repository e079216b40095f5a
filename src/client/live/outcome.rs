//! What becomes of a call.

#[cfg(feature = "tokio")]
use std::task::Waker;

use super::Live;
use crate::{
    client::{
        ending,
        line::{Answer, Inbox, ONLY, Waited},
    },
    error::{Error, ErrorKind, Result},
    exit::Exit,
    parcel::Decoder,
    sys::poll::Deadline,
    wire::page::Phase,
};

/// How far a call is.
impl Live {
    /// Tells whether it has begun. In a copy of the program nothing is known.
    pub(crate) fn has_begun(&self, number: u64) -> bool {
        let phase = self.page.phase(number);
        self.peer.is_current() && matches!(phase, Phase::Begun | Phase::Cancelled)
    }

    /// Tells whether its outcome is known.
    pub(crate) fn is_finished(&self, number: u64) -> bool {
        let is_here = |inbox: &mut Inbox| inbox.has_answer(number).then_some(());
        self.has_ended()
            || match self.peer.line.look(is_here) {
                Ok(waited) => matches!(waited, Waited::Got(())),
                Err(error) => error.kind() == ErrorKind::Protocol,
            }
    }

    /// Takes a call back that has not begun: then it never begins. Gives false if it has
    /// begun.
    pub(crate) fn withdraw(&self, number: u64) -> bool {
        self.peer.is_current() && self.page.withdraw(number)
    }

    /// Tells the worker that a call which has begun should end.
    pub(crate) fn cancel(&self, number: u64) {
        if self.peer.is_current() {
            self.page.cancel(number);
        }
    }

    /// Notes that nobody asks for the outcome any more.
    pub(crate) fn forget(&self, number: u64) {
        if self.peer.is_current() {
            let forget = |inbox: &mut Inbox| inbox.answers.forget(number);
            self.peer.line.with_inbox(forget);
        }
    }
}

/// Its outcome.
impl Live {
    /// Waits for the outcome of a call; `None` when the deadline passes first.
    pub(crate) fn outcome(&self, number: u64, deadline: Deadline) -> Result<Option<Decoder>> {
        self.peer.check_epoch()?;
        ending::look();
        match self.answer(number, deadline) {
            Ok(Waited::Got(answer)) => decode(answer).map(Some),
            Ok(Waited::TimedOut) => Ok(None),
            Ok(Waited::Watched | Waited::Closed(_)) => self.ended(number, deadline),
            Err(error) => {
                // A worker that says what makes no sense cannot be trusted with more.
                if error.kind() == ErrorKind::Protocol {
                    let _ = self.kill();
                }
                Err(error)
            }
        }
    }

    /// Has this future woken when the outcome may be known or somebody must read.
    #[cfg(feature = "tokio")]
    pub(crate) fn wake(&self, number: u64, waker: &Waker) {
        if self.peer.is_current() {
            let wake = |inbox: &mut Inbox| inbox.answers.wake(number, waker);
            self.peer.line.with_inbox(wake);
        }
    }

    fn answer(&self, number: u64, deadline: Deadline) -> Result<Waited<Answer>> {
        let take = |inbox: &mut Inbox| inbox.take_answer(number);
        self.peer.line.wait(deadline, Some(self.pidfd()), take)
    }

    /// Says how the worker ended: there is no answer, and there will be none.
    fn ended(&self, number: u64, deadline: Deadline) -> Result<Option<Decoder>> {
        let Some(exit) = self.exit(deadline)? else {
            return Ok(None);
        };
        // It may have been said between the wait and the end.
        if let Ok(Waited::Got(answer)) = self.answer(number, Deadline::NOW) {
            return decode(answer).map(Some);
        }
        let error = self.why_ended(exit, "the service");
        Err(match self.is_unstarted(number) {
            true => error.unstarted(),
            false => error,
        })
    }

    /// Tells whether no code of the entry has run. Ask when it can begin no more calls.
    pub(crate) fn is_unstarted(&self, number: u64) -> bool {
        matches!(self.page.phase(number), Phase::Given | Phase::Withdrawn)
    }

    /// Makes the error of the calls that it can answer no more.
    pub(crate) fn why_ended(&self, exit: Exit, who: &str) -> Error {
        // A template whose hook fails ends its child, and says why.
        let why = |inbox: &mut Inbox| inbox.failure(ONLY).cloned();
        let why = self.peer.line.with_inbox(why);
        let error = why.unwrap_or_else(|| self.peer.without_result(exit, who));
        error.with_pid(self.id())
    }
}

pub(super) fn decode(answer: Answer) -> Result<Decoder> {
    match answer {
        Answer::Value { body, fds } => Ok(Decoder::new(body, fds)),
        Answer::Failed(failure) => Err(failure),
        Answer::Done => Err(Error::new(
            ErrorKind::Protocol,
            "a call was answered as a preload is",
        )),
    }
}
