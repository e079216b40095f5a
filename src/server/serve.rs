//! The loop of a process that has not been told what to run.

use std::{
    io::Write,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    time::Duration,
};

use super::{family::Family, panics, preload, worker};
use crate::{
    codec,
    error::Kind as ErrorKind,
    parcel::State,
    raw::{self, Arg},
    sys::{
        fd,
        fork::{self, Refusal, Side},
        pidfd,
        poll::{Deadline, Want, poll},
        signal,
    },
    wire::{
        frame::{Failure, Fate, Frame, Head, Kind, NEW_OWNER, Report, ids},
        link::{self, Trouble},
    },
};

/// How long a worker may take to end after its result.
const MOMENT: Duration = Duration::from_millis(100);

/// A process and what it holds.
#[derive(Debug)]
pub(crate) struct Host {
    socket: OwnedFd,
    /// The owner's pidfd. A process without one is forked by a template that
    /// has one, or whose template has, and dies with it.
    owner: Option<OwnedFd>,
    pub(super) state: Option<State>,
    /// Made by the first fork.
    pub(super) family: Option<Family>,
    /// Descriptors that preloads left open: live values own them.
    pub(super) kept: Vec<RawFd>,
    /// A copy of the program: its descriptors belong to live values, too.
    is_copy: bool,
    /// No more forks: it leaves when the children have.
    closing: bool,
    /// No more frames come.
    deaf: bool,
    pid: i32,
}

/// The life of a copy of the program as a template, see `Process::fork_current`.
/// Its threads are one, its signals blocked.
pub(crate) fn serve_copy(socket: OwnedFd, owner: OwnedFd) -> ! {
    panics::install();
    let mut host = Host::root(socket, Some(owner));
    host.is_copy = true;
    host.serve()
}

impl Host {
    pub(super) fn root(socket: OwnedFd, owner: Option<OwnedFd>) -> Self {
        // What is made here once is not made in every worker.
        let _ = std::io::stdout().flush();
        codec::rehearse();
        fd::set_main_socket(socket.as_fd());
        signal::allow_detach(link::empty(Kind::Detached));
        Self {
            socket,
            owner,
            state: None,
            family: None,
            kept: Vec::new(),
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
                Kind::Preload => preload::run(&mut self, frame),
                Kind::Arg => raw::hold(Arg::Bytes(frame.body)),
                Kind::Fd => frame.fds.into_iter().for_each(|fd| raw::hold(Arg::Fd(fd))),
                Kind::Run => {
                    if self.is_busy() {
                        self.fail(&busy("run an entry"));
                    } else {
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
                Kind::Close => self.closing = true,
                // Only this library writes here: anything else is the end.
                _ => fork::exit(1),
            }
        }
    }

    /// The next frame. Meanwhile children are reaped; does not return when the
    /// owner is gone, or when there is nothing left to do.
    fn next(&mut self) -> Frame {
        loop {
            if self.closing && !self.has_children() {
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
            wake = family.wake();
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
        if let Some(family) = &mut self.family {
            family.reap(signal);
            family.report(self.socket.as_fd());
        }
        frame
    }

    /// The first thing that a process says, and the answer to a new owner.
    fn hello(&self) {
        let head = Head::new(Kind::Hello, u64::from(self.pid.cast_unsigned()));
        match pidfd::open(self.pid) {
            Ok(own) => {
                let sent = link::send(self.socket(), head, &[], &[own.as_fd()], true);
                // Whoever asked for this process has given it up: what is in
                // the queue must not run.
                if sent.is_err() {
                    fork::exit(0);
                }
            }
            Err(error) => {
                self.fail(&Failure {
                    kind: ErrorKind::Os,
                    unstarted: true,
                    code: error.raw_os_error().unwrap_or(0),
                    text: "pidfd_open failed, which Linux has from 5.3 on".to_owned(),
                });
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
        own.extend(
            self.family
                .iter()
                .map(|family| family.signals().as_raw_fd()),
        );
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

    fn with_family(&mut self, act: impl FnOnce(&mut Family)) {
        if let Some(family) = &mut self.family {
            act(family);
            family.report(self.socket.as_fd());
        }
    }

    /// A frame arrived without its descriptors.
    fn lost(&mut self, kind: Kind, number: u64) {
        if kind == Kind::Fork {
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

    /// Reports a child that was asked for and cannot be. Without a family, for
    /// which there may be no room either, nothing else waits to be reported.
    fn unborn(&mut self, child: u64, code: i32) {
        let fate = Fate::Unborn { code };
        let report = Report { child, fate };
        match &mut self.family {
            Some(family) => {
                family.unborn(report);
                family.report(self.socket.as_fd());
            }
            None => {
                let head = Head::new(Kind::Exits, 0);
                let _ = link::send(
                    self.socket(),
                    head,
                    &[&Report::encode(&[report])],
                    &[],
                    false,
                );
            }
        }
    }

    /// Forks. In the child this becomes the child: its socket, no children.
    fn fork(&mut self, frame: Frame) {
        if self.family.is_none() {
            self.family = Family::new().ok();
            self.make_room();
        }
        let Some(end) = frame.fds.into_iter().next() else {
            fork::exit(1);
        };
        if self.closing {
            return refuse(&end, None, "the template was told to end".into());
        }
        let Some(family) = &mut self.family else {
            let error = std::io::Error::last_os_error();
            return refuse(
                &end,
                error.raw_os_error(),
                "signalfd in the template failed".into(),
            );
        };
        family.forget(ids::decode(&frame.body));
        match fork::fork() {
            Ok(Side::Parent { child }) => family.add(child, frame.number),
            Ok(Side::Child) => self.become_child(end),
            Err(Refusal::Os(error)) => {
                refuse(
                    &end,
                    error.raw_os_error(),
                    "fork in the template failed".into(),
                );
            }
            Err(Refusal::Threads(names)) => refuse(&end, None, threads(&names)),
        }
    }

    /// Moves the descriptors of its own up, so that the ends which come get the
    /// lowest number: then a child closes all others with one call.
    fn make_room(&mut self) {
        if self.is_copy {
            return;
        }
        fd::move_up(&mut self.socket);
        if let Some(owner) = &mut self.owner {
            fd::move_up(owner);
        }
        if let Some(family) = &mut self.family {
            family.move_up();
        }
        fd::set_main_socket(self.socket());
    }

    fn become_child(&mut self, end: OwnedFd) {
        let parent = self.pid;
        let socket = std::mem::replace(&mut self.socket, end);
        let (owner, family) = (self.owner.take(), self.family.take());
        if self.is_copy {
            drop((socket, owner, family));
        } else {
            std::mem::forget((socket, owner, family));
            self.close_inherited();
        }
        signal::die_with_parent();
        if fork::parent() != parent {
            // The template died before its death could be a signal.
            fork::exit(0);
        }
        self.pid = fork::own_pid();
        fd::set_main_socket(self.socket());
        self.hello();
    }

    #[expect(
        unsafe_code,
        reason = "its contract is about what lives in this process"
    )]
    fn close_inherited(&self) {
        let mut keep = self.kept.clone();
        keep.extend(raw::held_fds());
        keep.push(self.socket.as_raw_fd());
        // SAFETY: the template's own descriptors were forgotten just above;
        // all others that live values own are in the list.
        unsafe { fd::close_others(&mut keep) };
    }
}

/// Tells a process that was not forked why, on its socket.
fn refuse(end: &OwnedFd, code: Option<i32>, text: String) {
    let failure = Failure {
        kind: if code.is_some() {
            ErrorKind::Os
        } else {
            ErrorKind::Invalid
        },
        unstarted: true,
        code: code.unwrap_or(0),
        text,
    };
    let head = Head::new(Kind::Failed, 0);
    // When nobody listens, nobody asks.
    let _ = link::send(end.as_fd(), head, &[&failure.encode()], &[], false);
}

/// What to say about threads where there must be one.
pub(super) fn threads(names: &[String]) -> String {
    format!(
        "the template has more than one thread and must not be forked; the others are: {}. A \
         constructor or a preload started them",
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
