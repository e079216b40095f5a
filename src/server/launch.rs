//! Launches executables without a fork: the new process runs in this one's memory, as
//! after `vfork`, until it has become the executable.
//!
//! No user code runs in between. When settings, hooks or tasks ask for more than the
//! few system calls that are allowed there, a worker executes it instead, see
//! `crate::launch`.

use std::os::fd::{AsFd, OwnedFd};

use super::{
    forking::refusal,
    host::{Host, fail_on, hello, stay_with},
    keeper,
};
use crate::{
    error::Result,
    launch::{self, Plan},
    parcel::Decoder,
    settings::Settings,
    sys::{
        environment, fail,
        fork::{self, Refusal},
        image, ours,
        single::Single,
    },
    wire::frame::Frame,
};

/// What the owner asks for.
struct Launch {
    settings: Settings,
    plan: Plan,
    /// The environment, each variable with its NUL.
    variables: Vec<u8>,
}

impl Host {
    /// Launches what the owner asks for.
    pub(super) fn launch(&mut self, frame: Frame) {
        fail::point("template: request received");
        let number = frame.number;
        let mut input = Decoder::new(frame.body, frame.fds);
        let Some(end) = self.admit(input.take_fd().ok()) else {
            return;
        };
        // What `ps` shows from the first launch on.
        image::set_title("launcher", u64::from(fork::parent().cast_unsigned()));
        let launch = match Launch::decode(input) {
            Ok(launch) => launch,
            Err(error) => return fail_on(&end, &error.unstarted()),
        };
        fail::point("template: before fork");
        match launch.start(&end, self.pid) {
            Ok(child) => {
                if let Some(family) = &mut self.family {
                    family.children.add(child, number);
                }
            }
            Err(why) => fail_on(&end, &refusal(why)),
        }
        fail::point("template: after fork");
        // In the memory that both processes had, it was the child's socket.
        ours::set_main_socket(self.socket());
    }
}

impl Launch {
    /// Decodes what the owner has sent.
    fn decode(mut input: Decoder) -> Result<Self> {
        let mut settings = Settings::decode(&mut input)?.sorted();
        // They are not set one by one but put in place as a whole.
        let variables = settings.take_variables().unwrap_or_default();
        Ok(Self {
            settings,
            plan: launch::plan(&mut input)?,
            variables,
        })
    }

    /// Launches it and gives its process id.
    fn start(&self, end: &OwnedFd, launcher: i32) -> Result<i32, Refusal> {
        let single = Single::check()?;
        ours::set_main_socket(end.as_fd());
        let launched = environment::with(&single, &self.variables, || {
            fork::vfork(&single, || self.become_executable(end, launcher))
        });
        launched.map_err(Refusal::Os)
    }

    /// Runs in the new process, which shares the launcher's memory. What is owned here
    /// at the exec would stay in the launcher, and a process that is killed while it
    /// allocates would leave a broken heap there. So nothing is allocated, unless this
    /// fails.
    fn become_executable(&self, end: &OwnedFd, launcher: i32) {
        let prepared = self.prepare(end, launcher);
        let error = prepared.err().unwrap_or_else(|| self.plan.carry_out());
        fail_on(end, &error);
    }

    fn prepare(&self, end: &OwnedFd, launcher: i32) -> Result<()> {
        stay_with(launcher)?;
        hello(end.as_fd(), fork::own_pid())?;
        self.settings.apply(keeper::enter)
    }
}
