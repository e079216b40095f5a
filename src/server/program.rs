//! Starts programs without a fork: the new process runs in this one's memory, as
//! after `vfork`, until it has become the program.
//!
//! Nothing of the user's runs in between: where settings, hooks or tasks ask for
//! more than the few system calls that may, the program is a worker's, see
//! `crate::program`.

use std::os::fd::{AsFd, OwnedFd};

use super::{
    forking::{fail_on, refusal},
    serve::{Host, hello, stay_with},
    settings,
};
use crate::{
    error::{Error, Kind as ErrorKind},
    parcel::Decoder,
    program::{self, Plan},
    settings::{Settings, What},
    sys::{
        environment, fail, fd,
        fork::{self, Refusal},
        image,
    },
    wire::{
        frame::{Failure, Frame, Kind, call},
        link,
    },
};

/// What is in the queue of a process that does not exist yet.
struct Launch {
    settings: Settings,
    plan: Plan,
    /// The environment of the program, each variable with its NUL.
    variables: Vec<u8>,
}

impl Host {
    /// Starts the program that the new process was told to become.
    pub(super) fn start_program(&mut self, frame: Frame) {
        fail::point("template: request received");
        let number = frame.number;
        let Some(end) = self.asked(frame) else { return };
        // What `ps` shows from the first program on.
        image::set_title("launcher", u64::from(fork::parent().cast_unsigned()));
        let launch = match Launch::take(&end) {
            Ok(launch) => launch,
            Err(failure) => return fail_on(&end, &failure),
        };
        fail::point("template: before fork");
        match launch.start(&end, self.pid) {
            Ok(child) => {
                if let Some(family) = &mut self.family {
                    family.add(child, number);
                }
            }
            Err(error) => fail_on(&end, &refusal(Refusal::Os(error))),
        }
        fail::point("template: after fork");
        // It was the child's, in the memory that both had.
        fd::set_main_socket(self.socket());
    }
}

impl Launch {
    /// Takes out of the queue what was put there before this process heard of
    /// it.
    fn take(end: &OwnedFd) -> Result<Self, Failure> {
        let failed = |error: Error| Failure::from_error(&error.unstarted());
        let next = || {
            let tried = "taking over a program to start";
            let frame = link::receive(end.as_fd(), false);
            frame.map_err(|trouble| failed(trouble.into_error(tried)))
        };
        let mut frame = next()?;
        let mut settings = Settings::default();
        if frame.kind == Kind::Settings {
            let sent = Settings::decode(frame.body, frame.fds).map_err(failed)?;
            settings = sent.sorted();
            frame = next()?;
        }
        if frame.kind != Kind::Run {
            let text = "a program to start without its name";
            return Err(failed(Error::new(ErrorKind::Protocol, text)));
        }
        // Not set but put in place.
        let variables = settings.take(What::Environment);
        let variables = variables.and_then(|setting| setting.texts.into_iter().next());
        let mut input = Decoder::after(call::LENGTH, frame.body, frame.fds);
        Ok(Self {
            plan: program::plan(&mut input).map_err(failed)?,
            settings,
            variables: variables.unwrap_or_default(),
        })
    }

    /// The process id of the program.
    fn start(&self, end: &OwnedFd, launcher: i32) -> std::io::Result<i32> {
        fd::set_main_socket(end.as_fd());
        environment::with(&self.variables, || {
            fork::vfork(|| self.become_program(end, launcher))
        })
    }

    /// In the new process, which shares its memory: what is owned here at the
    /// exec would stay in the launcher, and who is killed while it allocates would
    /// leave a broken heap there. So nothing is allocated, unless it fails.
    fn become_program(&self, end: &OwnedFd, launcher: i32) {
        if let Err(failure) = self.prepare(end, launcher) {
            fail_on(end, &failure);
        } else {
            fail_on(end, &Failure::from_error(&self.plan.carry_out()));
        }
    }

    fn prepare(&self, end: &OwnedFd, launcher: i32) -> Result<(), Failure> {
        stay_with(launcher)?;
        hello(end.as_fd(), fork::own_pid())?;
        settings::apply(&self.settings)
    }
}
