//! Faults on request: the feature `failpoints`, for tests only.
//!
//! The code names its steps, one line each: with [`point`] where a process may die,
//! stop or be late, and with [`check`] in front of a system call, which may also fail.
//! Without the feature both are empty.
//!
//! `ZYGOTE_FAIL="STEP=ACTION[@N]"` chooses what goes wrong, the Nth time that a process
//! reaches the step (the first time if N is missing), or with `*` every time. Actions:
//! `kill`, `stop`, `exit`, `abort`, `panic`, `delay:MS`, `close` (its own socket) and,
//! in front of a system call, `error:ERRNO`.
//!
//! `ZYGOTE_FAIL_DONE=FILE` lets only one of all processes fail, once: that process
//! makes the file. While the file is there, nothing fails and nothing is counted.
//!
//! `ZYGOTE_FAIL_STEPS=FILE` appends every step that is reached to the file.

/// Every step. The name of the role stands in front of the steps of system calls.
#[cfg(feature = "failpoints")]
pub const STEPS: &[&str] = &[
    "program: clone",
    "program: posix_spawn",
    "program: socketpair",
    "program: sendmsg",
    "program: recvmsg",
    "program: ppoll",
    "program: pidfd_open",
    "program: memfd_create",
    "program: epoll_create1",
    "program: eventfd",
    "program: epoll_ctl",
    "program: before Fork",
    "program: after Fork",
    "program: before Run",
    "program: after Run",
    "program: before Hello",
    "program: before result",
    "program: before Call",
    "program: after Call",
    "executed: before token",
    "executed: before clone",
    "executed: after clone",
    "template: before constructors",
    "template: request received",
    "template: before fork",
    "template: after fork",
    "template: before preload",
    "template: after preload",
    "template: before reap",
    "template: before report",
    "template: after report",
    "template: fork",
    "template: signalfd",
    "template: sendmsg",
    "template: recvmsg",
    "template: ppoll",
    "template: pidfd_open",
    "process: after fork",
    "process: before Hello",
    "process: after Hello",
    "process: task received",
    "process: sendmsg",
    "process: recvmsg",
    "process: pidfd_open",
    "worker: call received",
    "worker: call begun",
    "worker: before entry",
    "worker: after entry",
    "worker: before result",
    "worker: after result",
    "worker: sendmsg",
    "worker: memfd_create",
];

#[cfg(feature = "failpoints")]
pub(crate) use on::{check, point, set_role};

#[cfg(not(feature = "failpoints"))]
pub(crate) use off::{check, point, set_role};

#[cfg(not(feature = "failpoints"))]
mod off {
    /// Does nothing.
    #[inline(always)]
    pub(crate) fn point(_: &str) {}

    /// Never fails.
    #[inline(always)]
    pub(crate) fn check(_: &str) -> std::io::Result<()> {
        Ok(())
    }

    /// Does nothing: nobody asks for the role.
    #[inline(always)]
    pub(crate) fn set_role(_: &str) {}
}

#[cfg(feature = "failpoints")]
mod on {
    use std::{
        env, fs,
        io::{self, Write},
        os::fd::AsRawFd,
        path::PathBuf,
        process::abort,
        sync::{Mutex, OnceLock, PoisonError},
        thread,
        time::Duration,
    };

    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    use crate::sys::{fork, image, ours, socket};

    use super::STEPS;

    /// What goes wrong.
    #[derive(Clone, Copy, Debug)]
    enum Action {
        Signal(Signal),
        Exit,
        Abort,
        Panic,
        Delay(Duration),
        Close,
        Error(i32),
    }

    #[derive(Debug)]
    struct Plan {
        step: &'static str,
        action: Action,
        /// Which time; `None` is every time.
        time: Option<u32>,
        done: Option<PathBuf>,
    }

    /// The process whose times are counted, the count, and what the process is. A fork
    /// counts anew.
    static STATE: Mutex<(i32, u32, &str)> = Mutex::new((0, 0, "program"));

    /// Sets what this process is from here on, which stands in front of the names of
    /// its system calls.
    pub(crate) fn set_role(role: &'static str) {
        STATE.lock().unwrap_or_else(PoisonError::into_inner).2 = role;
    }

    /// Marks a step at which a process may die, stop or be late.
    pub(crate) fn point(step: &'static str) {
        debug_assert!(STEPS.contains(&step), "{step}");
        note(step);
        if plan().is_some_and(|plan| plan.step == step) {
            act();
        }
    }

    /// Marks a step in front of a system call with this name.
    pub(crate) fn check(call: &'static str) -> io::Result<()> {
        if plan().is_none() && notes().is_none() {
            return Ok(());
        }
        let role = STATE.lock().unwrap_or_else(PoisonError::into_inner).2;
        let is_this = |step: &&str| step.split_once(": ") == Some((role, call));
        if let Some(step) = STEPS.iter().find(|step| is_this(step)) {
            note(step);
        }
        match plan()
            .filter(|plan| is_this(&plan.step))
            .and_then(|_| act())
        {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(()),
        }
    }

    /// Notes that a step was reached, if somebody wants to know.
    fn note(step: &str) {
        if let Some(file) = notes()
            && let Ok(mut file) = fs::File::options().append(true).open(file)
        {
            // It is one write, because other processes append, too.
            let _ = file.write_all(format!("{step}\n").as_bytes());
        }
    }

    fn notes() -> Option<&'static PathBuf> {
        static NOTES: OnceLock<Option<PathBuf>> = OnceLock::new();
        let file = || variable("ZYGOTE_FAIL_STEPS").map(PathBuf::from);
        NOTES.get_or_init(file).as_ref()
    }

    /// Gives an environment variable, also before `main`; `None` if the program has
    /// more privileges than the user who set it.
    fn variable(name: &str) -> Option<String> {
        (!image::is_privileged()).then(|| env::var(name).ok())?
    }

    /// Does what is due, if anything is, and gives the errno to fail with.
    fn act() -> Option<i32> {
        let plan = plan()?;
        if !is_due(plan) {
            return None;
        }
        match plan.action {
            Action::Signal(signal) => drop(kill(Pid::this(), signal)),
            Action::Exit => fork::exit(7),
            Action::Abort => abort(),
            Action::Panic => panic!("a panic on request: {}", plan.step),
            Action::Delay(time) => thread::sleep(time),
            Action::Close => close_socket(),
            Action::Error(errno) => return Some(errno),
        }
        None
    }

    fn is_due(plan: &Plan) -> bool {
        if plan.done.as_ref().is_some_and(|done| done.exists()) {
            return false;
        }
        let Some(time) = plan.time else { return true };
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        let own = fork::own_pid();
        if state.0 != own {
            (state.0, state.1) = (own, 0);
        }
        state.1 += 1;
        // Only one process makes the file, even if others are here at the same time.
        state.1 == time
            && plan
                .done
                .as_ref()
                .is_none_or(|done| fs::File::create_new(done).is_ok())
    }

    /// Closes this process's socket, as the other end sees it; the number stays taken.
    fn close_socket() {
        let Ok((near, _)) = socket::pair() else {
            return;
        };
        // SAFETY: the number belongs to the process's socket for as long
        // as the process lives, and still does: only what it names changes.
        ours::with_main_socket(|own| unsafe { libc::dup2(near.as_raw_fd(), own.as_raw_fd()) });
    }

    /// Tells what is to go wrong in this process, if anything. Works before `main`,
    /// too.
    fn plan() -> Option<&'static Plan> {
        static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
        PLAN.get_or_init(|| {
            let mut plan = parse(&variable("ZYGOTE_FAIL")?)?;
            plan.done = variable("ZYGOTE_FAIL_DONE").map(PathBuf::from);
            Some(plan)
        })
        .as_ref()
    }

    fn parse(text: &str) -> Option<Plan> {
        let (step, what) = text.split_once('=')?;
        let (action, time) = what.split_once('@').unwrap_or((what, "1"));
        let (action, number) = action.split_once(':').unwrap_or((action, "0"));
        Some(Plan {
            step: STEPS.iter().copied().find(|known| *known == step)?,
            action: match action {
                "kill" => Action::Signal(Signal::SIGKILL),
                "stop" => Action::Signal(Signal::SIGSTOP),
                "exit" => Action::Exit,
                "abort" => Action::Abort,
                "panic" => Action::Panic,
                "delay" => Action::Delay(Duration::from_millis(number.parse().ok()?)),
                "close" => Action::Close,
                "error" => Action::Error(number.parse().ok()?),
                _ => return None,
            },
            time: match time {
                "*" => None,
                time => Some(time.parse().ok()?),
            },
            done: None,
        })
    }
}
