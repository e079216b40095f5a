//! The default template: which one it is, and how it is replaced when it has died.

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use once_cell::sync::OnceCell;

use super::{
    birth::Birth,
    peer::Peer,
    sync::{Own, lock},
};
use crate::{
    error::Result,
    phase, start,
    sys::{place, poll::Deadline},
};

/// The template of one process.
#[derive(Debug, Default)]
struct Held {
    /// Threads that come first at the same time start one template together; a dead one
    /// is replaced by putting an empty cell here.
    cell: Mutex<Arc<OnceCell<Arc<Peer>>>>,
    /// It is locked for reading while something is asked of the template, so that no
    /// template is given up in the middle of a request.
    asked: RwLock<()>,
}

static DEFAULT: Own<Held> = Own::new();

/// How long the start of a template in use may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long a template that was told to end is waited for.
const MOMENT: Duration = Duration::from_millis(20);

/// Gives a guard. While it lives, no template is given up.
pub(super) fn asking() -> RwLockReadGuard<'static, ()> {
    let asked = DEFAULT.get().asked.read();
    asked.unwrap_or_else(PoisonError::into_inner)
}

/// Gives a guard. While it lives, nothing is asked of a template.
pub(super) fn nobody_asking() -> RwLockWriteGuard<'static, ()> {
    let asked = DEFAULT.get().asked.write();
    asked.unwrap_or_else(PoisonError::into_inner)
}

/// Gives the cell in which the default template is, or will be.
fn cell() -> Arc<OnceCell<Arc<Peer>>> {
    Arc::clone(&lock(&DEFAULT.get().cell))
}

/// Gives the default template, which is started if need be. An early one that was given
/// up before its first word is replaced: what was asked of it in advance would say so
/// for ever.
pub(super) fn default() -> Result<Arc<Peer>> {
    phase::check()?;
    let template = started()?;
    if !template.never_was() {
        return Ok(template);
    }
    replace(&template);
    started()
}

fn started() -> Result<Arc<Peer>> {
    cell()
        .get_or_try_init(|| match start::take_early() {
            Some((socket, child)) => Ok(Peer::new(socket, Birth::Early(child))),
            None => start::refusal().map_or_else(execute, Err),
        })
        .cloned()
}

/// Runs `act` on the default template. One that has died before it could be
/// asked is replaced.
pub(super) fn with_default<T>(act: impl Fn(&Arc<Peer>) -> Result<T>) -> Result<T> {
    let _asking = asking();
    let template = default()?;
    match act(&template) {
        Err(error) if error.is_template_gone() => {
            replace(&template);
            act(&default()?)
        }
        // It has said why, and will not be there the next time either.
        Err(error) if template.never_was() => {
            replace(&template);
            default().map_or(Err(error), |template| act(&template))
        }
        result => result,
    }
}

/// Does what [`with_default`] does, on a template that lives: what is forked may be
/// used in other ways than the one that notices a dead template by itself.
pub(super) fn with_living_default<T>(act: impl Fn(&Arc<Peer>) -> Result<T>) -> Result<T> {
    let template = default()?;
    if template.has_ended() {
        replace(&template);
    }
    with_default(act)
}

/// Asks for a process in place of a spare that died, or never was. If it was the
/// default template that died, or was given up, its successor forks the process.
pub(super) fn fork_again(origin: &Arc<Peer>, deadline: Deadline) -> Result<Arc<Peer>> {
    let _asking = asking();
    if !origin.birth.is_default() {
        return origin.fork_now(deadline);
    }
    if !origin.has_no_more_forks() {
        match origin.fork_now(deadline) {
            Err(error) if error.is_template_gone() => replace(origin),
            result => return result,
        }
    }
    default()?.fork_now(deadline)
}

/// Gives the process group that this program is in, if that is not its template's. A
/// template that is in another session can put nothing into that group: then one that
/// begins now takes its place.
pub(crate) fn other_group() -> Result<Option<i32>> {
    let template = default()?;
    // A program that makes a session gets a new group, so one look is enough as a rule.
    let other = |pid| place::group_unlike(pid).map(|group| (pid, group));
    let Some((pid, group)) = template.pid().and_then(other) else {
        return Ok(None);
    };
    if !template.is_numbered_here() {
        return Ok(None);
    }
    if place::shares_session(pid).unwrap_or(true) {
        return Ok(Some(group));
    }
    let new = execute().map_err(|error| {
        error.context(
            "the program has made a session of its own (setsid) since its template began, and \
             cannot have a template in it; ask for `session()`, or use `Process` as it is",
        )
    })?;
    let _nobody = nobody_asking();
    let unused = exchange(&template, OnceCell::with_value(new));
    if let Some(unused) = unused.into_inner() {
        // Another thread was first.
        unused.end();
    }
    Ok(None)
}

/// Gives the default template up. The next spawn gets a new one, executed with the
/// environment, the directory, the limits and the rights that the program has then.
/// Call this in a program that has given up rights which its template still has, or
/// that has changed what its workers are to find.
///
/// The old template forks nothing more, and ends when its workers have ended. Its
/// workers, and processes that it has forked already, are not touched. The call waits
/// for a template that is just being started and for requests that are just being sent.
/// It also waits for the end of the old template, at most 20 ms, if that is a child of
/// this program and has no workers with handles. Without the feature `exec` there is no
/// new template, and spawns are errors from then on.
///
/// # Examples
///
/// ```
/// use std::{env, path::PathBuf};
///
/// #[zygote::entry]
/// fn directory() -> PathBuf {
///     env::current_dir().unwrap_or_default()
/// }
///
/// let before = env::current_dir()?;
/// assert_eq!(directory::spawn()?.join()?, before);
/// env::set_current_dir("/")?;
/// assert_eq!(directory::spawn()?.join()?, before);
/// zygote::renew_template();
/// assert_eq!(directory::spawn()?.join()?, PathBuf::from("/"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn renew_template() {
    // The early one may not have been used yet.
    let early = || start::take_early().ok_or(());
    let held = cell();
    let template =
        held.get_or_try_init(|| early().map(|(at, child)| Peer::new(at, Birth::Early(child))));
    if let Ok(template) = template {
        let nobody = nobody_asking();
        replace(template);
        drop(nobody);
        template.await_collection(MOMENT);
    }
}

/// Replaces the default template: the next caller that asks for it gets a new one.
fn replace(dead: &Arc<Peer>) {
    exchange(dead, OnceCell::new());
}

/// Puts another default template in the place of this one, and gives this one up.
/// If it is not the default one any more, the other comes back.
fn exchange(old: &Arc<Peer>, new: OnceCell<Arc<Peer>>) -> OnceCell<Arc<Peer>> {
    let mut cell = lock(&DEFAULT.get().cell);
    if cell.get().is_none_or(|held| !Arc::ptr_eq(held, old)) {
        return new;
    }
    *cell = Arc::new(new);
    drop(cell);
    old.end();
    OnceCell::new()
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
