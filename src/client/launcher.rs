//! The process that starts programs: a fork of the default template. The
//! template itself never sees an argument, and serves on while a program comes
//! from a slow disk.

use std::sync::Arc;

use super::{
    peer::Peer,
    template::{self, PATIENCE},
};
use crate::{error::Result, sys::poll::Deadline};

/// Runs `act` on the launcher. One that has died before it could be asked is
/// replaced.
pub(super) fn with<T>(act: impl Fn(&Arc<Peer>) -> Result<T>) -> Result<T> {
    let mut is_second = false;
    loop {
        let launcher = current()?;
        let asking = template::asking();
        if launcher.has_no_more_forks() {
            // Given up just now.
            continue;
        }
        match act(&launcher) {
            Err(error) if error.is_template_gone() && !is_second => {
                drop(asking);
                give_up(&launcher);
                is_second = true;
            }
            result => return result,
        }
    }
}

fn current() -> Result<Arc<Peer>> {
    if let Some(launcher) = usable(&template::launcher()) {
        return Ok(launcher);
    }
    let fork = |template: &Arc<Peer>| template.fork_now(Deadline::after(PATIENCE));
    let new = template::with_living_default(fork)?;
    let mut held = template::launcher();
    if let Some(other) = usable(&held) {
        // Another thread was first.
        drop(held);
        new.end();
        return Ok(other);
    }
    *held = Some(Arc::clone(&new));
    Ok(new)
}

fn usable(held: &Option<Arc<Peer>>) -> Option<Arc<Peer>> {
    let is_good = |it: &&Arc<Peer>| !it.has_ended() && !it.never_was() && !it.has_no_more_forks();
    held.as_ref().filter(is_good).cloned()
}

/// The next program is started by another one. It ends when what it has started
/// has ended. Waits for requests that are just being sent.
pub(super) fn give_up(launcher: &Arc<Peer>) {
    let _nobody = template::nobody_asking();
    give_up_if(|held| Arc::ptr_eq(held, launcher));
}

/// The same, if it was forked from this template.
pub(super) fn give_up_fork_of(template: &Arc<Peer>) {
    give_up_if(|held| held.origin().is_some_and(|it| Arc::ptr_eq(it, template)));
}

fn give_up_if(is_it: impl Fn(&Arc<Peer>) -> bool) {
    let old = template::launcher().take_if(|held| is_it(held));
    old.inspect(|old| old.end());
}
