//! The process that launches executables: a fork of the default template. The
//! template itself never sees an argument, and serves on while an executable comes
//! from a slow disk.

use std::sync::Arc;

use super::{
    peer::{Peer, gone},
    sync::lock,
    template::{self, PATIENCE},
};
use crate::{error::Result, sys::poll::Deadline};

/// Runs `act` on the launcher. A launcher that died before it could be asked is
/// replaced.
pub(super) fn with<T>(act: impl Fn(&Arc<Peer>) -> Result<T>) -> Result<T> {
    let mut is_second = false;
    loop {
        let launcher = current()?;
        let asking = template::asking();
        if launcher.has_no_more_forks() {
            // Another thread has given it up just now.
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
    let template = template::default()?;
    let held = usable(&lock(&template.launcher));
    held.map_or_else(|| template::with_living_default(begin), Ok)
}

/// Starts a launcher of this template, which has none that is of use.
fn begin(template: &Arc<Peer>) -> Result<Arc<Peer>> {
    let new = template.fork_now(Deadline::after(PATIENCE))?;
    let mut held = lock(&template.launcher);
    let other = usable(&held);
    // This is looked at only now, because a thread that ends the template takes the
    // launcher out afterwards.
    if other.is_none() && !template.has_no_more_forks() {
        *held = Some(Arc::clone(&new));
        return Ok(new);
    }
    drop(held);
    new.end();
    // Here another thread was first, or the template was given up.
    other.ok_or_else(gone)
}

fn usable(held: &Option<Arc<Peer>>) -> Option<Arc<Peer>> {
    let is_good = |it: &&Arc<Peer>| !it.has_ended() && !it.never_was() && !it.has_no_more_forks();
    held.as_ref().filter(is_good).cloned()
}

/// Gives a launcher up, so that another one does the next launch. It ends when what
/// it has launched has ended. Waits for requests that are just being sent.
pub(super) fn give_up(launcher: &Arc<Peer>) {
    let _nobody = template::nobody_asking();
    let is_it = |held: &mut Arc<Peer>| Arc::ptr_eq(held, launcher);
    let old = launcher
        .origin()
        .and_then(|template| lock(&template.launcher).take_if(is_it));
    old.inspect(|old| old.end());
}
