//! A template from this program's own binary.

use std::{
    os::fd::AsFd,
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::peer::Peer;
use crate::{
    error::{Error, Kind, Result},
    start,
    sys::{pidfd, poll::Deadline, socket, spawn},
    wire::frame::{self, Head},
};

/// How long a program that was executed may take to answer as a template.
const ANSWER: Duration = Duration::from_secs(10);

/// Why this program cannot be executed as a template. It is never run twice to
/// find out.
static DEAF: OnceLock<Error> = OnceLock::new();

/// Executes this program once more, as a template.
pub(super) fn execute() -> Result<Arc<Peer>> {
    if !start::is_hooked() {
        return Err(Error::invalid(
            "this program cannot be executed as a template: zygote is not linked into the main \
             executable but into a shared object",
        )
        .unstarted());
    }
    if let Some(error) = DEAF.get() {
        return Err(error.clone());
    }
    execute_and_wait().map_err(Error::unstarted)
}

fn execute_and_wait() -> Result<Arc<Peer>> {
    let (near, far) =
        socket::pair().map_err(|error| Error::os("socketpair for a template failed", error))?;
    let template = Peer::new(near, None);
    let token = spawn::random();
    let deadline = Deadline::after(ANSWER);
    template
        .send(Head::new(frame::Kind::Token, token), &[], &[], deadline)
        .map_err(|trouble| trouble.into_error("preparing a template"))?;
    let child = spawn::respawn(far, start::VARIABLE, |number| format!("{number}:{token}"))
        .map_err(|error| {
            Error::os(
                "executing /proc/self/exe as a template failed; without /proc or without the \
                 right to execute, say `zygote::early!()` in the program's root",
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
    spawn::wait_for(child);
    match answer {
        Ok(_) => Ok(template),
        // It did; there was no room here for the answer.
        Err(error) if error.kind_and_code().0 == Kind::Os => Err(error),
        // It did: it must not be forked, as it would not be the next time.
        Err(error) if error.is_invalid() => Err(DEAF.get_or_init(|| error).clone()),
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
