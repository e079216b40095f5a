//! The loop of a process that has not been told what to run.

use std::os::fd::AsFd;

use super::{backlog::Backlog, calls, family::Family, host::Host, preload, worker};
use crate::{
    error::{Error, Result},
    parcel::Decoder,
    settings::Settings,
    sys::{
        fail, fork,
        poll::{Deadline, Want, poll},
        signal,
    },
    wire::{
        frame::{Fate, Frame, Head, Kind, NEW_OWNER, Report, ids},
        link::{self, Trouble},
    },
};

impl Host {
    /// Serves until it is told to run something, or until its end.
    pub(super) fn serve(mut self) -> ! {
        self.hello();
        loop {
            let Some(frame) = self.next() else {
                self = self.fork_spare();
                continue;
            };
            match frame.kind {
                Kind::Fork => self = self.fork(frame),
                Kind::Spare => self.take_spare(frame),
                Kind::Hurry => self = self.hurry(frame.number),
                Kind::Launch => self.launch(frame),
                Kind::Preload => preload::run(&mut self, frame),
                Kind::Settings => self.take_settings(frame),
                Kind::Run => match self.check_idle("run an entry") {
                    Ok(()) => {
                        fail::point("process: task received");
                        worker::run(self, frame);
                    }
                    Err(error) => self.fail(&error),
                },
                Kind::Serve => match self.check_idle("take calls") {
                    Ok(()) => calls::run(self, frame),
                    Err(error) => self.fail(&error),
                },
                Kind::Forget => self.with_family(|family| family.forget(ids::decode(&frame.body))),
                Kind::Discard => {
                    self.with_family(|family| family.discard(ids::decode(&frame.body)));
                }
                Kind::Reap => self.with_family(|family| family.look_at(frame.number)),
                Kind::Give => self.give_away(),
                Kind::Owner => self.belong(frame),
                Kind::Close => self.close(),
                // Only this library writes here: anything else is the end.
                _ => fork::exit(1),
            }
        }
    }

    /// Gives the next frame, or `None` when it is time to fork a spare. Reaps children
    /// meanwhile. Does not return when the owner is gone, or when there is nothing left
    /// to do.
    fn next(&mut self) -> Option<Frame> {
        loop {
            let family = self.family.as_ref();
            if self.closing && family.is_none_or(|family| family.children.is_empty()) {
                fork::exit(0);
            }
            let waits_only_here = self.family.is_none() && self.owner.is_none();
            if !waits_only_here && !self.wait() {
                if self.backlog_due().passed() {
                    return None;
                }
                continue;
            }
            match link::receive(self.socket(), waits_only_here) {
                Ok(frame) => return Some(frame),
                Err(Trouble::Busy) => {}
                // The kernel says so, once, before it gives what the owner said
                // before it closed.
                Err(Trouble::Closed { unread: true }) => {}
                // The handle of a fork is gone, and its workers run on: the fork ends
                // when they have ended, or with its template.
                Err(Trouble::Closed { .. }) if self.closing && self.owner.is_none() => {
                    self.deaf = true;
                }
                // The owner keeps the sockets of all others open, as long as it lives
                // and executes nothing else.
                Err(Trouble::Closed { .. }) => fork::exit(0),
                Err(Trouble::NoRoom { kind, number }) => self.lost(kind, number),
                // For example, there is no memory for it.
                Err(Trouble::Lost { error, .. }) => self.end(&error.unstarted()),
                Err(Trouble::Os(call, error)) => {
                    self.give_up(error, &format!("{call} failed in the process"));
                }
                Err(_) => fork::exit(1),
            }
        }
    }

    /// Waits until a frame is there, a child has ended, a report can be sent, or a
    /// spare is due. Tells whether it was a frame.
    fn wait(&mut self) -> bool {
        let socket = match self.deaf {
            true => Want::Nothing,
            false => Want::read(&self.socket),
        };
        let owner = self.owner.as_ref().map_or(Want::Nothing, Want::read);
        let (mut signals, mut room, mut wake) = (Want::Nothing, Want::Nothing, Deadline::NEVER);
        if let Some(family) = &self.family {
            signals = Want::Read(family.signals());
            wake = family.children.wake().or(family.backlog.due());
            if family.children.has_reports() {
                room = Want::Write(self.socket.as_fd());
            }
        }
        let Ok([frame, gone, signal, _]) = poll([socket, owner, signals, room], wake) else {
            fork::exit(1);
        };
        if gone {
            // The owner is dead. Everything that is attached dies with this process.
            fork::exit(0);
        }
        if let Some(family) = &mut self.family {
            fail::point("template: before reap");
            family.reap(signal);
            family.report(self.socket.as_fd());
        }
        frame
    }

    fn backlog_due(&self) -> Deadline {
        let family = self.family.as_ref();
        family.map_or(Deadline::NEVER, |family| family.backlog.due())
    }

    /// Lets go of the owner, because another one will speak. Until then this process
    /// must end neither with its present owner nor with the template that forked it:
    /// both may end first. A process that nobody takes over ends with its socket.
    fn give_away(&mut self) {
        signal::live_on();
        self.owner = None;
        let _ = self.say(Kind::Done);
    }

    /// Answers an owner that speaks: the one that it has, or a new one.
    fn belong(&mut self, frame: Frame) {
        if frame.number == NEW_OWNER {
            self.owner = frame.fds.into_iter().next();
            self.with_family(Family::disown);
        }
        self.hello();
    }

    /// Stops forking.
    fn close(&mut self) {
        self.closing = true;
        if let Some(family) = &mut self.family {
            family.backlog = Backlog::default();
        }
    }

    fn take_settings(&mut self, frame: Frame) {
        match settings(frame) {
            Ok(settings) => self.settings = settings,
            Err(error) => self.end(&error),
        }
    }

    /// Deals with a frame that arrived without its descriptors.
    fn lost(&mut self, kind: Kind, number: u64) {
        if matches!(kind, Kind::Fork | Kind::Spare | Kind::Launch) {
            return self.unborn(number, libc::EMFILE);
        }
        self.give_up(
            std::io::Error::from_raw_os_error(libc::EMFILE),
            "the process has no room for the descriptors that were passed to it, raise the limit \
             (RLIMIT_NOFILE)",
        );
    }

    /// Reports a child that was asked for and cannot be forked. When there is no
    /// family, for which there may be no room either, nothing else waits to be
    /// reported.
    fn unborn(&mut self, child: u64, code: i32) {
        let fate = Fate::Unborn { code };
        let report = Report { child, fate };
        match &mut self.family {
            Some(family) => {
                family.children.unborn(report);
                family.report(self.socket.as_fd());
            }
            None => {
                let head = Head::new(Kind::Exits, 0);
                let body = Report::encode(&[report]);
                let _ = link::send(self.socket(), head, &[&body], &[], false);
            }
        }
    }
}

fn settings(frame: Frame) -> Result<Settings, Error> {
    let mut input = Decoder::new(frame.body, frame.fds);
    let settings = Settings::decode(&mut input)?;
    input.finish()?;
    Ok(settings)
}
