//! The default template: which one it is, and a new one when it has died.

use std::{
    ptr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicPtr, Ordering},
    },
    time::Duration,
};

use once_cell::sync::OnceCell;

use super::peer::Peer;
use crate::{
    error::{Error, Result},
    start,
    sys::{epoch, poll::Deadline},
};

/// The template of one process. A copy of the process, by a fork of the
/// program's own, gets one of its own: a lock in here may have been held while
/// it was copied.
#[derive(Debug)]
struct Default {
    epoch: u64,
    /// Threads that come first at the same time start one template; a dead one
    /// is replaced by putting an empty cell here.
    cell: Mutex<Arc<OnceCell<Arc<Peer>>>>,
    /// Why this program cannot be executed as a server. It is never run twice
    /// to find out.
    #[cfg(feature = "exec")]
    deaf: OnceCell<Error>,
}

static DEFAULT: AtomicPtr<Default> = AtomicPtr::new(ptr::null_mut());

/// How long a program that was executed may take to answer as a template.
#[cfg(feature = "exec")]
const ANSWER: Duration = Duration::from_secs(10);

/// How long the start of a template in use may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

fn current() -> &'static Default {
    let epoch = epoch::current();
    let known = DEFAULT.load(Ordering::Acquire);
    if let Some(known) = crate::sys::shared(known)
        && known.epoch == epoch
    {
        return known;
    }
    let new: &'static Default = Box::leak(Box::new(Default {
        epoch,
        cell: Mutex::default(),
        #[cfg(feature = "exec")]
        deaf: OnceCell::new(),
    }));
    let new_ptr = ptr::from_ref(new).cast_mut();
    match DEFAULT.compare_exchange(known, new_ptr, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => new,
        // Another thread was first; its own is of this epoch.
        Err(other) => crate::sys::shared(other).unwrap_or(new),
    }
}

/// The default template, started if need be.
pub(super) fn default() -> Result<Arc<Peer>> {
    let cell = Arc::clone(
        &current()
            .cell
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    );
    cell.get_or_try_init(|| match start::take_early() {
        Some(socket) => Ok(Peer::new(socket, None)),
        None => execute(),
    })
    .cloned()
}

/// Runs `act` on the default template. One that has died before it could be
/// asked is replaced.
pub(super) fn with_default<T>(act: impl Fn(&Arc<Peer>) -> Result<T>) -> Result<T> {
    let template = default()?;
    match act(&template) {
        Err(error) if error.is_template_gone() => {
            replace(&template);
            act(&default()?)
        }
        result => result,
    }
}

/// The next one to ask for the default template gets a new one.
pub(super) fn replace(dead: &Arc<Peer>) {
    let mut cell = current()
        .cell
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if cell.get().is_some_and(|held| Arc::ptr_eq(held, dead)) {
        *cell = Arc::default();
    }
}

#[cfg(not(feature = "exec"))]
pub(super) fn execute() -> Result<Arc<Peer>> {
    Err(Error::invalid(
        "there is no template: the program's root does not say `zygote::early!()`, the early \
         template has died, or this is a worker; and the feature `exec` is off",
    )
    .unstarted())
}

/// Executes this program once more, as a template.
#[cfg(feature = "exec")]
pub(super) fn execute() -> Result<Arc<Peer>> {
    if !start::is_hooked() {
        return Err(Error::invalid(
            "this program cannot be executed as a template: zygote is not linked into the main \
             executable but into a shared object",
        )
        .unstarted());
    }
    if let Some(error) = current().deaf.get() {
        return Err(error.clone());
    }
    let result = execute_and_wait();
    if let Err(error) = &result
        && error.is_timeout()
    {
        let _ = current().deaf.set(error.clone());
    }
    result.map_err(Error::unstarted)
}

#[cfg(feature = "exec")]
fn execute_and_wait() -> Result<Arc<Peer>> {
    use crate::{
        sys::{pidfd, socket, spawn},
        wire::frame::{Head, Kind},
    };
    use std::os::fd::AsFd;

    let (near, far) =
        socket::pair().map_err(|error| Error::os("socketpair for a template failed", error))?;
    let template = Peer::new(near, None);
    let token = spawn::random();
    let deadline = Deadline::after(ANSWER);
    template
        .send(Head::new(Kind::Token, token), &[], &[], deadline)
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
        Err(error) if error.is_timeout() => Err(Error::timeout(
            "this program was executed as a template and did not answer; it is not tried again",
        )),
        Err(error) => Err(error),
    }
}
