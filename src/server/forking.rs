//! Forks of a template: from the request to the new process.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use super::{
    family::Family,
    hooks,
    serve::{Host, stay_with, threads},
    worker,
};
use crate::{
    error::{Error, Kind as ErrorKind},
    hooks::When,
    raw,
    sys::{
        fail, fd,
        fork::{self, Refusal, Side},
        image, ours, pidfd, signal,
    },
    wire::{
        frame::{Failure, Fate, Frame, Head, Kind, Report, ids},
        link,
    },
};

impl Host {
    /// Forks as asked. In the child this becomes the child: its socket, no
    /// children.
    pub(super) fn fork(&mut self, frame: Frame) {
        fail::set_role("template");
        fail::point("template: request received");
        let number = frame.number;
        if let Some(end) = self.asked(frame) {
            self.fork_child(number, end, false);
        }
    }

    /// Keeps the request for when nothing else is to be done.
    pub(super) fn take_spare(&mut self, frame: Frame) {
        let number = frame.number;
        if let Some(end) = self.asked(frame)
            && let Some(family) = &mut self.family
        {
            family.stock.add(number, end);
        }
    }

    /// Somebody waits for this spare. In the child this becomes the child.
    pub(super) fn hurry(&mut self, number: u64) {
        let family = self.family.as_mut();
        if let Some(end) = family.and_then(|family| family.stock.take(number)) {
            self.fork_child(number, end, false);
        }
    }

    /// Forks the next spare. In the child this becomes the child.
    pub(super) fn restock(&mut self) {
        let family = self.family.as_mut();
        let Some((number, end)) = family.and_then(|family| family.stock.next()) else {
            return;
        };
        if let Some(end) = self.fork_child(number, end, true)
            && let Some(family) = &mut self.family
        {
            family.stock.put_back(number, end);
        }
    }

    /// The end of the process that is asked for, if there can be one.
    fn asked(&mut self, frame: Frame) -> Option<OwnedFd> {
        let end = self.admit(frame.fds.into_iter().next())?;
        self.with_family(|family| family.forget(ids::decode(&frame.body)));
        Some(end)
    }

    /// The end of a new process. Where there can be none that is said on it.
    pub(super) fn admit(&mut self, end: Option<OwnedFd>) -> Option<OwnedFd> {
        let Some(end) = end else {
            fork::exit(1);
        };
        if self.closing {
            refuse(&end, None, "the template was told to end".into());
            return None;
        }
        match self.family() {
            Ok(family) => {
                family.stock.wait();
                Some(end)
            }
            Err(error) => {
                let code = error.raw_os_error();
                let tried = Error::descriptor("signalfd in the template failed", error);
                refuse(&end, code, tried.text().to_owned());
                None
            }
        }
    }

    /// What is needed before the first fork.
    fn family(&mut self) -> std::io::Result<&mut Family> {
        if self.family.is_none() {
            self.family = Some(Family::new()?);
            self.make_room();
        }
        match &mut self.family {
            Some(family) => Ok(family),
            None => unreachable!("it was made just above"),
        }
    }

    /// Forks, with the hooks around it. When there is no child, that is said on
    /// its end; that of a spare comes back, nobody waits for it yet.
    fn fork_child(&mut self, number: u64, end: OwnedFd, is_spare: bool) -> Option<OwnedFd> {
        let forked = self.prepare(&end).and_then(|()| {
            fail::point("template: before fork");
            fork::fork().map_err(refusal)
        });
        let pid = match forked {
            Ok(Side::Parent { child }) => child,
            Ok(Side::Child) => {
                self.become_child(end, is_spare);
                return None;
            }
            Err(failure) => {
                if !is_spare {
                    fail_on(&end, &failure);
                }
                self.after_fork(None, &end);
                return is_spare.then_some(end);
            }
        };
        fail::point("template: after fork");
        if let Some(family) = &mut self.family {
            family.add(pid, number);
        }
        self.after_fork(Some(pid), &end);
        None
    }

    /// Reports a child that was asked for and cannot be. Without a family, for
    /// which there may be no room either, nothing else waits to be reported.
    pub(super) fn unborn(&mut self, child: u64, code: i32) {
        let fate = Fate::Unborn { code };
        let report = Report { child, fate };
        match &mut self.family {
            Some(family) => {
                family.unborn(report);
                family.report(self.socket.as_fd());
            }
            None => {
                let head = Head::new(Kind::Exits, 0);
                let body = Report::encode(&[report]);
                let _ = link::send(self.socket(), head, &[&body], &[], false);
            }
        }
    }

    /// Runs the prepare hooks.
    fn prepare(&mut self, end: &OwnedFd) -> Result<(), Failure> {
        if !hooks::surround_forks() {
            return Ok(());
        }
        let prepared = hooks::run(When::Prepare);
        // What any hook has left open in this process so far.
        self.keep_descriptors(&[end.as_raw_fd()]);
        prepared
    }

    /// Runs the parent hooks, whether or not there is a child. When one fails,
    /// what holds in this process is not known any more: it ends, and the child
    /// with it, which is told why.
    fn after_fork(&self, child: Option<i32>, end: &OwnedFd) {
        let Err(failure) = hooks::run(When::Parent) else {
            return;
        };
        if let Some(child) = child {
            // Dead before the word, so that one without a `Hello` in front of
            // it means that nothing ran.
            let _ = signal::kill_child(child, libc::SIGKILL);
            pidfd::reap(child, true);
            fail_on(end, &failure);
        }
        fork::exit(1);
    }

    /// Notes the descriptors that preloads and hooks left open: live values own
    /// them, so that forks keep them. `others` are the library's.
    pub(super) fn keep_descriptors(&mut self, others: &[RawFd]) {
        let mut not = self.own_descriptors();
        not.extend(raw::held_fds());
        not.extend(others);
        self.kept = fd::open_numbers();
        // Handles that a preload's code has on processes are good in this process
        // alone: what they hold is closed in forks, and they notice that.
        self.kept
            .retain(|fd| !not.contains(fd) && !ours::is_ours(*fd));
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
        ours::set_main_socket(self.socket());
    }

    fn become_child(&mut self, end: OwnedFd, is_spare: bool) {
        fail::set_role("process");
        fail::point("process: after fork");
        let parent = self.pid;
        let socket = std::mem::replace(&mut self.socket, end);
        let others = (socket, self.owner.take(), self.family.take());
        if self.is_copy {
            drop(others);
        } else {
            std::mem::forget(others);
            self.close_inherited();
        }
        if let Err(failure) = stay_with(parent) {
            self.fail(&failure);
            fork::exit(1);
        }
        self.pid = fork::own_pid();
        ours::set_main_socket(self.socket());
        if let Err(failure) = hooks::run(When::Child) {
            self.fail(&failure);
            fork::exit(1);
        }
        if is_spare {
            image::set_title("in stock", u64::from(parent.cast_unsigned()));
            worker::warm_up();
        }
        fail::point("process: before Hello");
        self.hello();
        fail::point("process: after Hello");
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

pub(super) fn refusal(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Os(error) => failure(error.raw_os_error(), "fork in the template failed".into()),
        Refusal::Threads(names) => failure(None, threads(&names)),
    }
}

/// Tells a process that was not forked why, on its socket.
fn refuse(end: &OwnedFd, code: Option<i32>, text: String) {
    fail_on(end, &failure(code, text));
}

fn failure(code: Option<i32>, text: String) -> Failure {
    Failure {
        kind: if code.is_some() {
            ErrorKind::Os
        } else {
            ErrorKind::Invalid
        },
        unstarted: true,
        code: code.unwrap_or(0),
        text,
    }
}

/// Says on the socket of another process why it is not there.
pub(super) fn fail_on(end: &OwnedFd, failure: &Failure) {
    let head = Head::new(Kind::Failed, 0);
    // When nobody listens, nobody asks.
    let _ = link::send(end.as_fd(), head, &[&failure.encode()], &[], false);
}
