//! How a process becomes what it is to be: its first words, or why there are none.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use super::{Peer, gone};
use crate::{
    client::line::{Closed, Hello, Inbox, ONLY, Waited},
    error::{Error, ErrorKind, Result},
    exit::Exit,
    sys::{fail, fork, pidfd, poll::Deadline},
    wire::{
        frame::{Fate, Head, Kind, SAME_OWNER},
        link::Trouble,
    },
};

/// How long an exit may go unreported before this program asks about it.
const PATIENCE: Duration = Duration::from_millis(1);

/// How long the report of a process that ended too early may take.
const MOMENT: Duration = Duration::from_millis(100);

impl Peer {
    /// Waits until the process exists, or until it is known that it never will:
    /// then it is certain that it runs nothing.
    pub(in crate::client) fn hello(&self, deadline: Deadline) -> Result<&Hello> {
        if let Some(hello) = self.known() {
            return Ok(hello);
        }
        if let Some(error) = self.life.why_never() {
            return Err(error.clone());
        }
        fail::point("program: before Hello");
        let is_lost = |inbox: &mut Inbox| std::mem::take(&mut inbox.hello_lost);
        if self.line.with_inbox(is_lost) {
            self.introduce(SAME_OWNER, deadline)?;
        }
        let template = match self.origin() {
            Some(origin) => Some(origin.hello(deadline)?.pidfd.as_fd()),
            None => None,
        };
        // A template forks a spare when it has nothing else to do. So it is told before
        // the wait, or this would wait until whatever keeps the template busy is over.
        if self.birth.is_spare()
            && matches!(self.line.look(|inbox| self.begun(inbox))?, Waited::TimedOut)
        {
            // If that fails, the wait below finds out why.
            let _ = self.hurry(deadline);
        }
        let waited = self.word(deadline, template, |inbox| self.begun(inbox))?;
        let is_silent = matches!(waited, Waited::Closed(_) | Waited::Watched);
        let never = match waited {
            Waited::Got(None) => return self.known().ok_or_else(gone),
            Waited::Got(Some(failure)) => failure.unstarted(),
            Waited::Closed(_) => self.unborn("before it was told what to run"),
            Waited::Watched => self.origin().map_or_else(gone, |it| it.found_dead()),
            Waited::TimedOut => {
                self.give_up_unborn();
                Error::timeout(
                    "the template did not fork the process before the deadline, or a prepare or \
                     child hook was not done",
                )
                .unstarted()
            }
        };
        Err(self.life.mark_never(never, is_silent))
    }

    /// Kills a process that may be there and hang in a hook or a constructor.
    fn give_up_unborn(&self) {
        self.kill_by_template();
        if let Some(child) = self.birth.child() {
            pidfd::kill_silent(child);
        }
    }

    /// Waits for a word without which the process does not go on. When this
    /// gives up, it is certain that the word was not said.
    fn word<T>(
        &self,
        deadline: Deadline,
        watch: Option<BorrowedFd<'_>>,
        mut pick: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<Waited<T>> {
        let waited = self.line.wait(deadline, watch, &mut pick)?;
        if !matches!(waited, Waited::Watched | Waited::TimedOut) {
            return Ok(waited);
        }
        let last = self.last_word(pick)?;
        Ok(last.map_or(waited, Waited::Got))
    }

    /// Refuses every further word: a process that cannot say the word ends. It may have
    /// said it between the wait and the refusal, so what is there is read afterwards.
    fn last_word<T>(&self, pick: impl FnMut(&mut Inbox) -> Option<T>) -> Result<Option<T>> {
        self.line.refuse_more();
        match self.line.look(pick)? {
            Waited::Got(found) => Ok(Some(found)),
            _ => Ok(None),
        }
    }

    /// Waits until a worker has applied its settings; when this fails, no code
    /// of the entry has run and none will.
    pub(in crate::client) fn ready(&self, deadline: Deadline) -> Result<()> {
        let pidfd = self.hello(deadline)?.pidfd.as_fd();
        let pick = |inbox: &mut Inbox| match inbox.is_ready {
            true => Some(None),
            false => inbox.take_failure(ONLY).map(Some),
        };
        let begun = |found: Option<Error>| match found {
            None => Ok(()),
            Some(failure) => Err(failure.unstarted()),
        };
        match self.line.wait(deadline, Some(pidfd), pick)? {
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
                // A template whose hook fails ends its child and then says why on this
                // line, so nothing is refused here.
                match self.line.look(pick)? {
                    Waited::Got(found) => begun(found),
                    _ => Err(error),
                }
            }
        }
    }

    /// Waits until a process has become another executable, which closes its socket.
    pub(in crate::client) fn executed(&self, deadline: Deadline) -> Result<()> {
        let pidfd = self.hello(deadline)?.pidfd.as_fd();
        let pick = |inbox: &mut Inbox| inbox.take_failure(ONLY);
        let wait = |deadline| self.line.wait(deadline, Some(pidfd), pick);
        let waited = match wait(deadline)? {
            // It ran for a short time: its template may not have closed the socket
            // yet.
            Waited::Watched => wait(Deadline::NOW)?,
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

    /// Tells the process who its owner is, and so asks for its first words.
    pub(in crate::client) fn introduce(&self, owner: u64, deadline: Deadline) -> Result<()> {
        let own = pidfd::open(fork::own_pid())
            .map_err(|error| Error::descriptor("pidfd_open of this process failed", error))?;
        let head = Head::new(Kind::Owner, owner);
        self.line
            .send(head, &[], &[own.as_fd()], deadline)
            .map_err(|trouble| match trouble {
                Trouble::Closed { .. } => gone(),
                other => other.into_error("introducing this program to a process"),
            })
    }

    /// Tells whether its first word is there, or gives the failure in place of it,
    /// which stays for the next caller that asks.
    fn begun(&self, inbox: &Inbox) -> Option<Option<Error>> {
        if self.known().is_some() {
            return Some(None);
        }
        inbox.failure(ONLY).cloned().map(Some)
    }

    /// Makes the error that says why a process ended so early.
    fn unborn(&self, when: &str) -> Error {
        match self.fate(Deadline::after(MOMENT)) {
            Ok(Some(Fate::Unborn { code })) => Error::os(
                "the template has no room for the descriptor of a new process, raise its limit \
                 (RLIMIT_NOFILE)",
                io::Error::from_raw_os_error(code),
            ),
            Ok(Some(Fate::Ended { status, rusage })) => {
                let exit = Exit::new(Some(status), Some(rusage));
                self.ended(exit, "the new process", when)
            }
            Ok(None) => Error::new(
                ErrorKind::Protocol,
                "the template dropped the request for a new process and does not say why",
            ),
            Err(error) => error,
        }
        .unstarted()
    }

    /// Looks for the report of its template, which is asked for it if it is not there
    /// although the process has ended.
    #[cfg(feature = "pool")]
    pub(super) fn look_for_fate(&self) -> Result<Option<Fate>> {
        let Some((origin, number)) = self.birth.origin() else {
            return Err(gone());
        };
        let reported = |inbox: &mut Inbox| inbox.children.fate(number);
        match origin.line.look(reported)? {
            Waited::Got(fate) => Ok(Some(fate)),
            Waited::Closed(_) | Waited::Watched => Err(origin.found_dead()),
            Waited::TimedOut if origin.has_ended() => Err(origin.found_dead()),
            Waited::TimedOut => {
                if self.has_ended() {
                    origin.line.tell(Head::new(Kind::Reap, number), &[]);
                }
                Ok(None)
            }
        }
    }

    /// Asks the template that forked this process what became of it; `None` when the
    /// deadline passes first.
    ///
    /// # Errors
    ///
    /// The template is gone, or there is none.
    pub(super) fn fate(&self, deadline: Deadline) -> Result<Option<Fate>> {
        let Some((origin, number)) = self.birth.origin() else {
            return Err(gone());
        };
        let template = origin.hello(deadline)?.pidfd.as_fd();
        let reported = |inbox: &mut Inbox| inbox.children.fate(number);
        loop {
            let until = deadline.within(PATIENCE);
            match origin.line.wait(until, Some(template), reported)? {
                Waited::Got(fate) => return Ok(Some(fate)),
                Waited::Closed(_) | Waited::Watched => return Err(origin.found_dead()),
                Waited::TimedOut if deadline.passed() => return Ok(None),
                // Two exits at the same time may look like one to the template, so it
                // is asked.
                Waited::TimedOut => origin.line.tell(Head::new(Kind::Reap, number), &[]),
            }
        }
    }
}
