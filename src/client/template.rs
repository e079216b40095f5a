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
    error::Result,
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
}

static DEFAULT: AtomicPtr<Default> = AtomicPtr::new(ptr::null_mut());

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
        None => start::refusal().map_or_else(execute, Err),
    })
    .inspect(|template| template.mark_default())
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

/// [`with_default`], on one that lives: what is forked may be used in other ways
/// than the one that notices a dead template by itself.
pub(super) fn with_living_default<T>(act: impl Fn(&Arc<Peer>) -> Result<T>) -> Result<T> {
    let template = default()?;
    if template.has_ended() {
        replace(&template);
    }
    with_default(act)
}

/// Asks for a process in place of one that died while it waited in stock. If
/// it was the default template that died, its successor forks it.
pub(super) fn fork_again(origin: &Arc<Peer>, deadline: Deadline) -> Result<Arc<Peer>> {
    match origin.fork_now(deadline) {
        Err(error) if error.is_template_gone() && origin.is_default() => {
            replace(origin);
            default()?.fork_now(deadline)
        }
        result => result,
    }
}

/// The next one to ask for the default template gets a new one.
fn replace(dead: &Arc<Peer>) {
    let mut cell = current()
        .cell
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if cell.get().is_some_and(|held| Arc::ptr_eq(held, dead)) {
        *cell = Arc::default();
        drop(cell);
        dead.end();
    }
}

#[cfg(feature = "exec")]
pub(super) use super::execute::execute;

#[cfg(not(feature = "exec"))]
pub(super) fn execute() -> Result<Arc<Peer>> {
    Err(crate::error::Error::invalid(
        "there is no template: the program's root does not say `zygote::early!()`, the early \
         template has died, or this is a worker; and the feature `exec` is off",
    )
    .unstarted())
}
