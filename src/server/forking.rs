//! Forks of a template: from the request to the new process.

use std::{
    io, mem,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use super::{
    family::Family,
    hooks,
    host::{Host, fail_on, stay_with, threads},
    worker,
};
use crate::{
    error::{Error, Result},
    hooks::When,
    sys::{
        fail, fd,
        fork::{self, Refusal, Side},
        image, ours, pidfd, signal,
    },
    wire::frame::{Frame, ids},
};

/// A fork returns twice, so these methods give what the process is afterwards: the
/// template that it was, or, in the new process, the child.
impl Host {
    /// Forks as asked.
    pub(super) fn fork(mut self, frame: Frame) -> Self {
        fail::set_role("template");
        fail::point("template: request received");
        let number = frame.number;
        match self.asked(frame) {
            Some(end) => self.fork_child(number, end, false),
            None => self,
        }
    }

    /// Forks this spare now, because somebody waits for it.
    pub(super) fn hurry(mut self, number: u64) -> Self {
        let family = self.family.as_mut();
        match family.and_then(|family| family.backlog.take(number)) {
            Some(end) => self.fork_child(number, end, false),
            None => self,
        }
    }

    /// Forks the next spare.
    pub(super) fn fork_spare(mut self) -> Self {
        let family = self.family.as_mut();
        match family.and_then(|family| family.backlog.next()) {
            Some((number, end)) => self.fork_child(number, end, true),
            None => self,
        }
    }

    /// Forks, with the hooks around it. When there is no child, says so on its end. The
    /// end of a spare goes back into the backlog instead, since nobody waits for it yet.
    fn fork_child(mut self, number: u64, end: OwnedFd, is_spare: bool) -> Self {
        let forked = self.prepare(&end).and_then(|()| {
            fail::point("template: before fork");
            fork::fork().map_err(refusal)
        });
        let child = match forked {
            Ok(Side::Child(_)) => return self.into_child(end, is_spare),
            Ok(Side::Parent { child }) => {
                fail::point("template: after fork");
                if let Some(family) = &mut self.family {
                    family.children.add(child, number);
                }
                Some(child)
            }
            Err(error) if !is_spare => {
                fail_on(&end, &error);
                None
            }
            Err(_) => None,
        };
        self.after_fork(child, &end);
        if child.is_none()
            && is_spare
            && let Some(family) = &mut self.family
        {
            family.backlog.put_back(number, end);
        }
        self
    }
}

impl Host {
    /// Keeps the request until there is nothing else to do.
    pub(super) fn take_spare(&mut self, frame: Frame) {
        let number = frame.number;
        if let Some(end) = self.asked(frame)
            && let Some(family) = &mut self.family
        {
            family.backlog.add(number, end);
        }
    }

    /// Gives the end of the process that is asked for, if there can be one.
    fn asked(&mut self, frame: Frame) -> Option<OwnedFd> {
        let end = self.admit(frame.fds.into_iter().next())?;
        self.with_family(|family| family.forget(ids::decode(&frame.body)));
        Some(end)
    }

    /// Gives the end of a new process. When there can be no such process, says so on
    /// that end.
    pub(super) fn admit(&mut self, end: Option<OwnedFd>) -> Option<OwnedFd> {
        let Some(end) = end else {
            fork::exit(1);
        };
        let family = match self.closing {
            true => Err(Error::invalid("the template was told to end")),
            false => self
                .family()
                .map_err(|error| Error::descriptor("signalfd in the template failed", error)),
        };
        match family {
            Ok(family) => {
                family.backlog.wait();
                Some(end)
            }
            Err(error) => {
                fail_on(&end, &error.unstarted());
                None
            }
        }
    }

    /// Gives the family, which is made before the first fork.
    fn family(&mut self) -> io::Result<&mut Family> {
        if self.family.is_none() {
            self.family = Some(Family::new()?);
            self.make_room();
        }
        match &mut self.family {
            Some(family) => Ok(family),
            None => unreachable!("it was made just above"),
        }
    }

    /// Runs the prepare hooks.
    fn prepare(&mut self, end: &OwnedFd) -> Result<()> {
        if !hooks::surround_forks() {
            return Ok(());
        }
        let prepared = hooks::run(When::Prepare);
        // This includes what any hook has left open in this process so far.
        self.keep_descriptors(&[end.as_raw_fd()]);
        prepared
    }

    /// Runs the parent hooks, whether or not there is a child. When one fails, nobody
    /// knows what still holds in this process. So it ends, and the child with it, after
    /// the reason was sent on the child's end.
    fn after_fork(&self, child: Option<i32>, end: &OwnedFd) {
        let Err(error) = hooks::run(When::Parent) else {
            return;
        };
        if let Some(child) = child {
            // The child is dead before the word is sent, so that a word without a
            // `Hello` in front of it means that nothing ran.
            let _ = signal::kill_child(child, libc::SIGKILL);
            pidfd::reap(child, true);
            fail_on(end, &error);
        }
        fork::exit(1);
    }

    /// Notes the descriptors that preloads and hooks left open: live values own them,
    /// so forks keep them. `others` are the library's.
    pub(super) fn keep_descriptors(&mut self, others: &[RawFd]) {
        let mut not = self.own_descriptors();
        not.extend(others);
        self.kept = fd::open_numbers();
        // The handles that a preload's code has on processes work in this process only:
        // what they hold is closed in forks, and they notice that.
        self.kept
            .retain(|fd| !not.contains(fd) && !ours::is_ours(*fd));
    }

    /// Moves the template's own descriptors up, so that the ends which arrive get the
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

    /// Makes the child of what a fork has copied of its template.
    fn into_child(self, end: OwnedFd, is_spare: bool) -> Self {
        fail::set_role("process");
        fail::point("process: after fork");
        let template = self.pid;
        // Both processes return from a fork with everything that the template holds.
        // The child must not speak on it or wait for it, so it ends before the child
        // begins.
        let others = (self.socket, self.owner, self.family);
        let child = Self {
            socket: end,
            owner: None,
            family: None,
            closing: false,
            deaf: false,
            pid: fork::own_pid(),
            ..self
        };
        if child.is_copy {
            drop(others);
        } else {
            mem::forget(others);
            child.close_inherited();
        }
        child.begin(template, is_spare);
        child
    }

    /// Takes the first steps of a child, up to its `Hello`.
    fn begin(&self, template: i32, is_spare: bool) {
        if let Err(error) = stay_with(template) {
            self.end(&error);
        }
        ours::set_main_socket(self.socket());
        if let Err(error) = hooks::run(When::Child) {
            self.end(&error);
        }
        if is_spare {
            image::set_title("in stock", u64::from(template.cast_unsigned()));
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
        keep.push(self.socket.as_raw_fd());
        // SAFETY: the template's own descriptors were forgotten just above;
        // all others that live values own are in the list.
        unsafe { fd::close_others(&mut keep) };
    }
}

/// Makes the error that says why there was no fork.
pub(super) fn refusal(refusal: Refusal) -> Error {
    let error = match refusal {
        Refusal::Os(error) => Error::os("fork in the template failed", error),
        Refusal::Threads(names) => threads(&names),
    };
    error.unstarted()
}
