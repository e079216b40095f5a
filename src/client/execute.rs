//! A template from this program's own binary.

use std::{
    os::fd::{AsFd, AsRawFd},
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{ending, peer::Peer};
use crate::{
    error::{Error, Kind, Result},
    start,
    sys::{fork, image, pidfd, poll::Deadline, socket, spawn},
    wire::frame::{self, Head},
};

/// How long a program that was executed may take to answer as a template.
const ANSWER: Duration = Duration::from_secs(10);

/// The exit code of the loader where it finds no library, or no room for one.
const UNLOADED: i32 = 127;

/// Why this program cannot be executed as a template. It is never run twice to
/// find out.
static DEAF: OnceLock<Error> = OnceLock::new();

/// Executes this program once more, as a template.
pub(super) fn execute() -> Result<Arc<Peer>> {
    ending::look();
    if !start::is_hooked() {
        return Err(Error::invalid(
            "this program cannot be executed as a template: zygote is not linked into the main \
             executable but into a shared object",
        )
        .unstarted());
    }
    // Executed again it would be privileged again, hence deaf: its `main` would
    // run once more, and in there this.
    if image::is_privileged() {
        return Err(Error::invalid(
            "this program cannot be executed as a template: it runs with more privileges than its \
             caller (set-user-id, file capabilities); say `zygote::early!()` in the program's root",
        )
        .unstarted());
    }
    if spawn::next_is_first_of_namespace() {
        return Err(Error::invalid(
            "this program cannot be executed as a template: the process would be the first of the \
             pid namespace that this thread has made (unshare). Start another one there first, or \
             say `zygote::early!()` in the program's root",
        )
        .unstarted());
    }
    if let Some(error) = DEAF.get() {
        return Err(error.clone());
    }
    execute_and_wait().map_err(Error::unstarted)
}

fn execute_and_wait() -> Result<Arc<Peer>> {
    let (near, far) = socket::pair()
        .map_err(|error| Error::descriptor("socketpair for a template failed", error))?;
    let template = Peer::new(near, None);
    let token = spawn::random()
        .map_err(|error| Error::os("getrandom for a template's token failed", error))?;
    let deadline = Deadline::after(ANSWER);
    let asker = fork::own_pid();
    // It may not see this process by a number: in another pid namespace.
    let own = pidfd::open(asker)
        .map_err(|error| Error::descriptor("pidfd_open of the program failed", error))?;
    template
        .send(
            Head::new(frame::Kind::Token, token),
            &[],
            &[own.as_fd()],
            deadline,
        )
        .map_err(|trouble| trouble.into_error("preparing a template"))?;
    let value = format!("{}:{token}:{asker}", template.socket().as_raw_fd());
    let child =
        spawn::respawn(far, template.socket(), start::VARIABLE, &value).map_err(|error| {
            Error::os(
                "executing /proc/self/exe as a template failed (posix_spawn); without /proc, \
                 without the right to execute, or where a filter denies clone3 by another error \
                 than ENOSYS, say `zygote::early!()` in the program's root",
                error,
            )
        })?;
    // By a handle: somebody else in the program may wait for every child.
    let handle = pidfd::open(child);
    let answer = template.hello(deadline);
    if answer.is_err()
        && let Ok(handle) = &handle
    {
        let _ = pidfd::signal(handle.as_fd(), libc::SIGKILL);
    }
    // It has forked the template and is at its end, or was killed.
    let code = spawn::wait_for(child);
    match answer {
        Ok(_) => Ok(template),
        // It did; there was no room here for the answer.
        Err(error) if error.kind_and_code().0 == Kind::Os => Err(error),
        // It did: it must not be forked, as it would not be the next time.
        Err(error) if error.is_invalid() => Err(DEAF.get_or_init(|| error).clone()),
        // Not a line of the program ran. What it needed there may be soon.
        Err(_) if code == Some(UNLOADED) => Err(Error::new(
            Kind::Exit,
            "this program was executed as a template and could not be loaded (exit code 127): its \
             libraries are gone, or there is no room (RLIMIT_NOFILE, RLIMIT_AS)",
        )),
        // It read what only a template reads, and died before it could answer.
        Err(error) if !template.ended_unread() => Err(Error::timeout(format!(
            "this program was executed as a template and did not answer ({})",
            error.text()
        ))),
        Err(error) => {
            // Whatever it did instead, it must not do it again.
            let text = format!(
                "this program was executed as a template and did not answer ({}); it is not \
                 tried again",
                error.text()
            );
            Err(DEAF.get_or_init(|| Error::timeout(text)).clone())
        }
    }
}
