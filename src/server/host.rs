//! What a process is, and what it says of itself.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::atomic::Ordering,
    time::Duration,
};

use super::{family::Family, output, panics::CALL};
use crate::{
    codec,
    error::{Error, Result},
    parcel::State,
    phase::{self, Phase},
    settings::Settings,
    sys::{allocator, fork, ours, pidfd, poll::Deadline, signal},
    wire::{
        frame::{Head, Kind, failure},
        link::{self, Trouble},
    },
};

/// How long a worker may take to end after its result.
const MOMENT: Duration = Duration::from_millis(100);

/// A process and what it holds.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) socket: OwnedFd,
    /// The owner's pidfd. A process without one was forked by a template that has one,
    /// or whose own template has one, and dies with it; or it was given away, and
    /// nobody has taken it over yet.
    pub(super) owner: Option<OwnedFd>,
    pub(super) state: Option<State>,
    /// The settings of the worker that it becomes, or the raw arguments of its next
    /// preload.
    pub(super) settings: Settings,
    /// Made by the first fork.
    pub(super) family: Option<Family>,
    /// Descriptors that preloads and hooks left open, since live values own them, and
    /// numbers that constructors know, see [`stale`](crate::sys::stale).
    pub(super) kept: Vec<RawFd>,
    /// Whether it is a copy of the program, whose descriptors belong to live values,
    /// too.
    pub(super) is_copy: bool,
    /// Whether it forks no more and leaves when its children have left.
    pub(super) closing: bool,
    /// Whether no more frames will come.
    pub(super) deaf: bool,
    pub(super) pid: i32,
}

impl Host {
    /// Makes a template that no template has forked. `kept` are descriptors that forks
    /// have as well.
    pub(super) fn root(socket: OwnedFd, owner: OwnedFd, kept: Vec<RawFd>) -> Self {
        phase::enter(Phase::Serving);
        // What is made once here need not be made in every worker.
        output::write_out();
        codec::rehearse();
        fork::yield_now();
        ours::set_main_socket(socket.as_fd());
        // A copy of a live worker answers none of its calls.
        CALL.store(0, Ordering::Relaxed);
        signal::allow_detach(link::empty(Kind::Detached));
        allocator::prepare(link::empty(Kind::Starved));
        Self {
            socket,
            owner: Some(owner),
            state: None,
            settings: Settings::default(),
            family: None,
            kept,
            is_copy: false,
            closing: false,
            deaf: false,
            pid: fork::own_pid(),
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Says the first word of a process, which is also the answer to a new owner.
    pub(super) fn hello(&self) {
        if let Err(error) = hello(self.socket(), self.pid) {
            self.end(&error);
        }
    }

    /// Says this word, without a body.
    pub(super) fn say(&self, word: Kind) -> Result<(), Trouble> {
        link::send(self.socket(), Head::new(word, 0), &[], &[], true)
    }

    /// Says that a request failed.
    pub(super) fn fail(&self, error: &Error) {
        self.fail_call(0, error);
    }

    /// Says that the call with this number failed.
    pub(super) fn fail_call(&self, number: u64, error: &Error) {
        say_failed(self.socket(), number, error, true);
    }

    /// Says why there can be no such process, and ends.
    pub(super) fn end(&self, error: &Error) -> ! {
        self.fail(error);
        fork::exit(1)
    }

    /// [Ends](Self::end) because a system call failed.
    pub(super) fn give_up(&self, error: io::Error, text: &str) -> ! {
        self.end(&Error::os(text, error).unstarted())
    }

    /// Gives the numbers of the descriptors that are the process's own.
    pub(super) fn own_descriptors(&self) -> Vec<RawFd> {
        let mut own = vec![self.socket.as_raw_fd()];
        own.extend(self.owner.iter().map(AsRawFd::as_raw_fd));
        if let Some(family) = &self.family {
            own.push(family.signals().as_raw_fd());
            own.extend(family.backlog.ends());
        }
        own
    }

    /// Refuses what cannot be done beside children.
    pub(super) fn check_idle(&mut self, what: &str) -> Result<()> {
        if !self.is_busy() {
            return Ok(());
        }
        let text = format!("a process that has live workers cannot {what}: fork it first");
        Err(Error::invalid(text).unstarted())
    }

    /// Tells whether it has children that are not about to end. A child that has given
    /// its result, and whose handle is gone with it, needs a moment more.
    fn is_busy(&mut self) -> bool {
        if !self.has_children() {
            return false;
        }
        let moment = Deadline::after(MOMENT);
        while !moment.passed() {
            std::thread::sleep(Duration::from_millis(1));
            if !self.has_children() {
                return false;
            }
        }
        true
    }

    fn has_children(&mut self) -> bool {
        let family = self.family.as_mut();
        family.is_some_and(|family| !family.settle())
    }

    pub(super) fn with_family(&mut self, act: impl FnOnce(&mut Family)) {
        if let Some(family) = &mut self.family {
            act(family);
            family.report(self.socket.as_fd());
        }
    }
}

/// Says on its socket that this process, with this id, is there. A process that cannot
/// say so must not go on.
pub(super) fn hello(socket: BorrowedFd<'_>, pid: i32) -> Result<()> {
    let own = pidfd::open(pid).map_err(|error| {
        let text = "pidfd_open failed: Linux has it from 5.3 on, and a filter must allow it";
        Error::os(text, error).unstarted()
    })?;
    let head = Head::new(Kind::Hello, u64::from(pid.cast_unsigned()));
    match link::send(socket, head, &[], &[own.as_fd()], true) {
        Ok(()) => Ok(()),
        // For example, too many descriptors of this user are in flight.
        Err(Trouble::Os(_, error)) => {
            let text = "sending the pidfd of a new process failed (sendmsg)";
            Err(Error::os(text, error).unstarted())
        }
        // The owner has given this process up: what is in the queue must not run.
        Err(_) => fork::exit(0),
    }
}

/// Makes this process die with its template, which has this id.
pub(super) fn stay_with(template: i32) -> Result<()> {
    signal::stay_with(template).map_err(|error| {
        let text = "prctl(PR_SET_PDEATHSIG) failed, without which the process could outlive the \
                    program: a filter must allow it";
        Error::os(text, error).unstarted()
    })
}

/// Says on the socket of another process why it is not there.
pub(super) fn fail_on(end: &impl AsFd, error: &Error) {
    say_failed(end.as_fd(), 0, error, false);
}

fn say_failed(socket: BorrowedFd<'_>, number: u64, error: &Error, wait: bool) {
    let head = Head::new(Kind::Failed, number);
    // When nobody listens, nobody asks.
    let _ = link::send(socket, head, &[&failure::encode(error)], &[], wait);
}

/// Makes the error for several threads where there must be only one.
pub(super) fn threads(names: &[String]) -> Error {
    Error::invalid(format!(
        "the template has more than one thread and must not be forked; the others are: {}. A \
         constructor, a preload or a hook started them",
        names.join(", ")
    ))
}
