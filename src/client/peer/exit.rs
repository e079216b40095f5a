//! How a process ended, and why it could not be told something.

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use super::Peer;
use crate::{
    client::line::{Answer, Hello, Inbox, ONLY, Waited},
    error::{Error, ErrorKind, Result},
    exit::Exit,
    sys::{
        pidfd,
        poll::{Deadline, Want, poll},
    },
    wire::{frame::Fate, link::Trouble},
};

/// How long a report, or a status, may take when the process has ended.
const MOMENT: Duration = Duration::from_millis(20);

/// How long a process that was killed may take to end.
#[cfg(feature = "exec")]
const LAST: Duration = Duration::from_secs(1);

impl Hello {
    /// Gives its pidfd, for what must not be done to another process.
    pub(in crate::client) fn open_pidfd(&self) -> Result<BorrowedFd<'_>> {
        self.pidfd.still().ok_or_else(|| {
            Error::invalid(
                "this program has closed the descriptors of the handle (`close_range`, \
                 `closefrom`): what becomes of the process cannot be known",
            )
            .with_pid(self.pid)
        })
    }
}

impl Peer {
    /// Waits until it has ended and tells how; `None` when the deadline passes first.
    pub(in crate::client) fn exit(&self, deadline: Deadline) -> Result<Option<Exit>> {
        let pidfd = self.hello(deadline)?.open_pidfd()?;
        let [ended] = poll([Want::Read(pidfd)], deadline)
            .map_err(|error| Error::os("poll for the exit of a process failed", error))?;
        if !ended {
            return Ok(None);
        }
        // A report is on its way by now, so even a wait with no time left gives it a
        // moment.
        let deadline = match deadline.passed() {
            true => Deadline::after(MOMENT),
            false => deadline,
        };
        match self.fate(deadline) {
            Ok(Some(Fate::Ended { status, rusage })) => {
                Ok(Some(Exit::new(Some(status), Some(rusage))))
            }
            Ok(Some(Fate::Unborn { .. })) => Ok(Some(Exit::new(None, None))),
            Ok(None) => Ok(None),
            Err(error) if error.is_template_gone() => Ok(Some(Exit::new(status_of(pidfd), None))),
            Err(error) => Err(error),
        }
    }

    /// Tells how it ended, without waiting; `None` if it has not ended, or if its template
    /// has not reported it, which is asked then.
    #[cfg(feature = "pool")]
    pub(in crate::client) fn look_for_exit(&self) -> Result<Option<Exit>> {
        let pidfd = self.hello(Deadline::NOW)?.open_pidfd()?;
        match self.look_for_fate() {
            Ok(Some(Fate::Ended { status, rusage })) => {
                Ok(Some(Exit::new(Some(status), Some(rusage))))
            }
            Ok(Some(Fate::Unborn { .. })) => Ok(Some(Exit::new(None, None))),
            Ok(None) => Ok(None),
            Err(error) if error.is_template_gone() => {
                Ok(Some(Exit::new(known_status(pidfd), None)))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the error for a process that ended without saying how it fared.
    pub(in crate::client) fn without_result(&self, exit: Exit, who: &str) -> Error {
        // Its template did not report it: the template died, and the process with it.
        if exit.rusage().is_none() && self.origin().is_some() {
            let text = format!("the template is gone, and {who} {exit} before it gave a result");
            return Error::new(ErrorKind::TemplateGone, text).with_exit(exit);
        }
        self.ended(exit, who, "before it gave a result")
    }

    /// Makes the error for a process that ended too early, at the time that `when`
    /// says.
    pub(super) fn ended(&self, exit: Exit, who: &str, when: &str) -> Error {
        early_end(exit, who, when, self.line.with_inbox(|inbox| inbox.starved))
    }

    /// Waits until it has said that it is detached.
    pub(in crate::client) fn detached(&self, deadline: Deadline) -> Result<Waited<()>> {
        let watch = self.known().map(|hello| hello.pidfd.as_fd());
        let is_detached = |inbox: &mut Inbox| inbox.is_detached.then_some(());
        self.line.wait(deadline, watch, is_detached)
    }

    /// Tells why it could not be told something. Its first words, their absence, or its
    /// last word say why it is not there.
    pub(in crate::client) fn lost(
        &self,
        trouble: Trouble,
        tried: &str,
        deadline: Deadline,
    ) -> Error {
        match trouble {
            Trouble::Closed { .. } => match self.hello(deadline) {
                Ok(_) => self.said_why().unwrap_or_else(|| {
                    let text = format!("{tried}: the process is gone");
                    Error::new(ErrorKind::TemplateGone, text)
                }),
                Err(error) => error,
            },
            other => other.into_error(tried),
        }
        .unstarted()
    }

    /// Tells why it has ended, if it or its template has said so.
    fn said_why(&self) -> Option<Error> {
        match self.line.look(|inbox| inbox.take_answer(ONLY)) {
            Ok(Waited::Got(Answer::Failed(failure))) => Some(failure),
            _ => None,
        }
    }
}

/// An executed program that has not become a template.
#[cfg(feature = "exec")]
impl Peer {
    /// Tells whether something from here is unread, or was when it ended.
    pub(in crate::client) fn has_unread(&self) -> bool {
        let closed = self.line.closed().is_some_and(|closed| closed.unread);
        closed || crate::sys::socket::has_unread(self.line.socket.as_fd())
    }

    /// Kills a template that was cloned from an executed program and has not said its
    /// `Hello`. Tells how it ended, if that is known.
    pub(in crate::client) fn kill_born(&self) -> Option<Exit> {
        let born = self.line.with_inbox(|inbox| inbox.born.take())?;
        let _ = pidfd::signal(born.as_fd(), libc::SIGKILL);
        pidfd::await_end(born.as_fd(), Deadline::after(LAST));
        // If this program is the reaper of orphans, the template is its child by now.
        Some(Exit::new(Some(known_status(born.as_fd())?), None))
    }
}

/// Makes the error for a process that ended too early. `starved` is how much memory it
/// asked for in vain, if it did; 0 if that is not known.
fn early_end(exit: Exit, who: &str, when: &str, starved: Option<u64>) -> Error {
    let (kind, text) = match (exit.is_signal(), starved.filter(|_| exit.is_abort())) {
        (_, Some(size)) => {
            let size = match size {
                0 => String::new(),
                size => format!("{size} bytes of "),
            };
            let text = format!("{who} {exit}: {size}memory could not be had");
            (ErrorKind::OutOfMemory, text)
        }
        (true, None) => (ErrorKind::Signal, format!("{who} {exit} {when}")),
        (false, None) => (ErrorKind::Exit, format!("{who} {exit} {when}")),
    };
    Error::new(kind, text).with_exit(exit)
}

/// Gives the status of an ended process if the kernel tells it by now: to the parent,
/// or, once the parent has waited for the process, to anybody.
fn known_status(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let collected = pidfd::collect(pidfd).status();
    collected.or_else(|| pidfd::exit_status(pidfd))
}

/// Asks the kernel for the status of an ended process that no template reports. The
/// kernel has it once the new parent has waited for the process.
fn status_of(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let until = Deadline::after(MOMENT);
    loop {
        let status = known_status(pidfd);
        if status.is_some() || until.passed() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_without_memory_says_so_and_no_other_end_does() {
        let aborted = Exit::new(Some(libc::SIGABRT), None);
        let told = |exit, starved| {
            let error = early_end(exit, "the worker", "too early", starved);
            assert_eq!(error.exit(), Some(&exit));
            (error.kind(), error.message().to_owned())
        };
        let text = "the worker was killed by SIGABRT: 7 bytes of memory could not be had";
        assert_eq!(
            told(aborted, Some(7)),
            (ErrorKind::OutOfMemory, text.into())
        );
        let text = "the worker was killed by SIGABRT: memory could not be had";
        assert_eq!(
            told(aborted, Some(0)),
            (ErrorKind::OutOfMemory, text.into())
        );
        let text = "the worker was killed by SIGABRT too early";
        assert_eq!(told(aborted, None), (ErrorKind::Signal, text.into()));
        let text = "the worker was killed by SIGKILL too early";
        let killed = Exit::new(Some(libc::SIGKILL), None);
        assert_eq!(told(killed, Some(7)), (ErrorKind::Signal, text.into()));
        let text = "the worker exited with code 6 too early";
        let left = Exit::new(Some(libc::SIGABRT << 8), None);
        assert_eq!(told(left, Some(7)), (ErrorKind::Exit, text.into()));
    }
}
