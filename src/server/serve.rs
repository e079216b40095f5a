//! The loop of a process that has not been told what to run.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    time::Duration,
};

use super::{family::Family, panics, preload, stock::Stock, worker};
use crate::{
    codec,
    error::Kind as ErrorKind,
    parcel::{Decoder, State},
    phase::{self, Phase},
    raw::{self, Arg},
    settings::Settings,
    sys::{
        fail, fd, fork, pidfd,
        poll::{Deadline, Want, poll},
        signal,
    },
    wire::{
        frame::{Failure, Frame, Head, Kind, NEW_OWNER, ids},
        link::{self, Trouble},
    },
};

/// How long a worker may take to end after its result.
const MOMENT: Duration = Duration::from_millis(100);

/// A process and what it holds.
#[derive(Debug)]
pub(crate) struct Host {
    pub(super) socket: OwnedFd,
    /// The owner's pidfd. A process without one is forked by a template that
    /// has one, or whose template has, and dies with it.
    pub(super) owner: Option<OwnedFd>,
    pub(super) state: Option<State>,
    /// What the worker that it becomes is made of.
    pub(super) settings: Settings,
    /// Made by the first fork.
    pub(super) family: Option<Family>,
    /// Descriptors that preloads and hooks left open: live values own them. And
    /// numbers that constructors know, see [`stale`](crate::sys::stale).
    pub(super) kept: Vec<RawFd>,
    /// Descriptors of handles that a preload's code has on processes. They are
    /// good in this process alone, and forks do not have them.
    pub(super) handles: Vec<RawFd>,
    /// A copy of the program: its descriptors belong to live values, too.
    pub(super) is_copy: bool,
    /// No more forks: it leaves when the children have.
    pub(super) closing: bool,
    /// No more frames come.
    deaf: bool,
    pub(super) pid: i32,
}

/// The life of a copy of the program as a template, see `Process::fork_current`.
/// Its threads are one, its signals blocked.
pub(crate) fn serve_copy(socket: OwnedFd, owner: OwnedFd) -> ! {
    fail::set_role("template");
    panics::install();
    let mut host = Host::root(socket, owner, Vec::new());
    host.is_copy = true;
    host.serve()
}

impl Host {
    /// `kept` are descriptors that forks have as well.
    pub(super) fn root(socket: OwnedFd, owner: OwnedFd, kept: Vec<RawFd>) -> Self {
        phase::enter(Phase::Serving);
        // What is made here once is not made in every worker.
        worker::write_out();
        codec::rehearse();
        fork::yield_now();
        fd::set_main_socket(socket.as_fd());
        signal::allow_detach(link::empty(Kind::Detached));
        Self {
            socket,
            owner: Some(owner),
            state: None,
            settings: Settings::default(),
            family: None,
            kept,
            handles: Vec::new(),
            is_copy: false,
            closing: false,
            deaf: false,
            pid: fork::own_pid(),
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Serves until it is told to run something, or until its end.
    pub(super) fn serve(mut self) -> ! {
        self.hello();
        loop {
            let frame = self.next();
            match frame.kind {
                Kind::Fork => self.fork(frame),
                Kind::Spare => self.take_spare(frame),
                Kind::Hurry => self.hurry(frame.number),
                Kind::Program => self.start_program(frame),
                Kind::Preload => preload::run(&mut self, frame),
                Kind::Arg => raw::hold(Arg::Bytes(frame.body)),
                Kind::Settings => self.take_settings(frame),
                Kind::Fd => frame.fds.into_iter().for_each(|fd| raw::hold(Arg::Fd(fd))),
                Kind::Run => {
                    if self.is_busy() {
                        self.fail(&busy("run an entry"));
                    } else {
                        fail::point("process: task received");
                        worker::run(self, frame);
                    }
                }
                Kind::Forget => self.with_family(|family| family.forget(ids::decode(&frame.body))),
                Kind::Discard => {
                    self.with_family(|family| family.discard(ids::decode(&frame.body)));
                }
                Kind::Reap => self.with_family(|family| family.look_at(frame.number)),
                Kind::Owner => {
                    self.owner = frame.fds.into_iter().next();
                    if frame.number == NEW_OWNER {
                        self.with_family(Family::disown);
                    }
                    self.hello();
                }
                Kind::Close => self.close(),
                // Only this library writes here: anything else is the end.
                _ => fork::exit(1),
            }
        }
    }

    /// The next frame. Meanwhile children are reaped; does not return when the
    /// owner is gone, or when there is nothing left to do.
    fn next(&mut self) -> Frame {
        loop {
            if self.closing && self.family.as_ref().is_none_or(Family::is_empty) {
                fork::exit(0);
            }
            let waits_only_here = self.family.is_none() && self.owner.is_none();
            let ready = waits_only_here || self.wait();
            if !ready {
                continue;
            }
            match link::receive(self.socket(), waits_only_here) {
                Ok(frame) => return frame,
                Err(Trouble::Busy) => {}
                // The kernel says so, once, before it gives what the owner said
                // before it closed.
                Err(Trouble::Closed { unread: true }) => {}
                // Whoever means to leave its workers running says `Close` first.
                Err(Trouble::Closed { .. }) if !self.closing => fork::exit(0),
                Err(Trouble::Closed { .. }) => self.deaf = true,
                Err(Trouble::NoRoom { kind, number }) => self.lost(kind, number),
                // No memory for it, for one.
                Err(Trouble::Os(call, error)) => {
                    self.give_up(&error, &format!("{call} failed in the process"));
                }
                Err(_) => fork::exit(1),
            }
        }
    }

    /// Waits until a frame is there (then it is true), a child has ended or a
    /// report can be sent.
    fn wait(&mut self) -> bool {
        let socket = match self.deaf {
            true => Want::Nothing,
            false => Want::read(&self.socket),
        };
        let owner = self.owner.as_ref().map_or(Want::Nothing, Want::read);
        let (mut signals, mut room, mut wake) = (Want::Nothing, Want::Nothing, Deadline::NEVER);
        if let Some(family) = &self.family {
            signals = Want::Read(family.signals());
            wake = family.wake().or(family.stock.due());
            if family.has_reports() {
                room = Want::Write(self.socket.as_fd());
            }
        }
        let Ok([frame, gone, signal, _]) = poll([socket, owner, signals, room], wake) else {
            fork::exit(1);
        };
        if gone {
            // The owner is dead. What is attached dies with this process.
            fork::exit(0);
        }
        let Some(family) = &mut self.family else {
            return frame;
        };
        fail::point("template: before reap");
        family.reap(signal);
        family.report(self.socket.as_fd());
        if !frame && family.stock.due().passed() {
            self.restock();
        }
        frame
    }

    /// No more forks.
    fn close(&mut self) {
        self.closing = true;
        if let Some(family) = &mut self.family {
            family.stock = Stock::default();
        }
    }

    /// The first thing that a process says, and the answer to a new owner.
    pub(super) fn hello(&self) {
        if let Err(failure) = hello(self.socket(), self.pid) {
            self.fail(&failure);
            fork::exit(1);
        }
    }

    /// Says why there can be no such process, and ends.
    pub(super) fn give_up(&self, error: &io::Error, text: &str) -> ! {
        self.fail(&no_process(error, text));
        fork::exit(1)
    }

    fn take_settings(&mut self, frame: Frame) {
        let mut input = Decoder::new(frame.body, frame.fds);
        let settings = Settings::decode(&mut input);
        match settings.and_then(|settings| input.finish().map(|()| settings)) {
            Ok(settings) => self.settings = settings,
            Err(error) => {
                self.fail(&Failure::from_error(&error));
                fork::exit(1);
            }
        }
    }

    /// Says that a request failed.
    pub(super) fn fail(&self, failure: &Failure) {
        let head = Head::new(Kind::Failed, 0);
        let _ = link::send(self.socket(), head, &[&failure.encode()], &[], true);
    }

    /// The numbers of the descriptors that are the process's own.
    pub(super) fn own_descriptors(&self) -> Vec<RawFd> {
        let mut own = vec![self.socket.as_raw_fd()];
        own.extend(self.owner.iter().map(AsRawFd::as_raw_fd));
        if let Some(family) = &self.family {
            own.push(family.signals().as_raw_fd());
            own.extend(family.stock.ends());
        }
        own
    }

    pub(super) fn has_children(&mut self) -> bool {
        self.family
            .as_mut()
            .is_some_and(|family| !family.is_empty() && !family.settle())
    }

    /// Whether it has children that are not about to end. One that has given
    /// its result, and whose handle is gone with it, needs a moment more.
    pub(super) fn is_busy(&mut self) -> bool {
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

    pub(super) fn with_family(&mut self, act: impl FnOnce(&mut Family)) {
        if let Some(family) = &mut self.family {
            act(family);
            family.report(self.socket.as_fd());
        }
    }

    /// A frame arrived without its descriptors.
    fn lost(&mut self, kind: Kind, number: u64) {
        if matches!(kind, Kind::Fork | Kind::Spare | Kind::Program) {
            return self.unborn(number, libc::EMFILE);
        }
        self.fail(&Failure {
            kind: ErrorKind::Os,
            unstarted: true,
            code: libc::EMFILE,
            text: "the process has no room for the descriptors that were passed to it, raise \
                   the limit (RLIMIT_NOFILE)"
                .to_owned(),
        });
        fork::exit(1);
    }
}

/// Says on its socket that this process, of this id, is there. One that cannot
/// must not go on.
pub(super) fn hello(socket: BorrowedFd<'_>, pid: i32) -> Result<(), Failure> {
    let own = pidfd::open(pid).map_err(|error| {
        let text = "pidfd_open failed: Linux has it from 5.3 on, and a filter must allow it";
        no_process(&error, text)
    })?;
    let head = Head::new(Kind::Hello, u64::from(pid.cast_unsigned()));
    match link::send(socket, head, &[], &[own.as_fd()], true) {
        Ok(()) => Ok(()),
        // Too many descriptors of this user are in flight, for one.
        Err(Trouble::Os(_, error)) => {
            let text = "sending the pidfd of a new process failed (sendmsg)";
            Err(no_process(&error, text))
        }
        // Whoever asked for this process has given it up: what is in the queue
        // must not run.
        Err(_) => fork::exit(0),
    }
}

/// Dies with its template, which is this process.
pub(super) fn stay_with(template: i32) -> Result<(), Failure> {
    signal::die_with_parent().map_err(|error| {
        let text = "prctl(PR_SET_PDEATHSIG) failed, without which the process could outlive the \
                    program: a filter must allow it";
        no_process(&error, text)
    })?;
    if fork::parent() != template {
        // It died before its death could be a signal.
        fork::exit(0);
    }
    Ok(())
}

/// Why there can be no such process.
fn no_process(error: &io::Error, text: &str) -> Failure {
    Failure {
        kind: ErrorKind::Os,
        unstarted: true,
        code: error.raw_os_error().unwrap_or(0),
        text: text.to_owned(),
    }
}

/// What to say about threads where there must be one.
pub(super) fn threads(names: &[String]) -> String {
    format!(
        "the template has more than one thread and must not be forked; the others are: {}. A \
         constructor, a preload or a hook started them",
        names.join(", ")
    )
}

/// What to say when children are in the way.
pub(super) fn busy(what: &str) -> Failure {
    Failure {
        kind: ErrorKind::Invalid,
        unstarted: true,
        code: 0,
        text: format!("a process that has live workers cannot {what}: fork it first"),
    }
}
