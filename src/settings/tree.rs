//! Holding a worker and what it starts together, by the strongest means there is.

use std::io;

use nix::unistd::{geteuid, getpgrp, getpid, getsid, setsid};

use super::{Setting, Settings, What, namespaces::EnterPid, user_map::UserMap};
use crate::sys::namespace;

impl Settings {
    pub(crate) fn tree(&mut self) {
        self.put(Setting::new(What::Tree));
    }

    /// Tells whether the worker and what it starts are one for whoever kills it.
    pub(crate) fn is_tree(&self) -> bool {
        self.has(What::Tree)
    }
}

/// Begins a session. The processes of a PID namespace are in it as well, and so is the
/// keeper of that, by whose id the program knows the group.
pub(super) fn begin_session(_: &Setting, _: &Settings) -> io::Result<()> {
    if !leads_session() {
        setsid()?;
    }
    Ok(())
}

/// Tells whether this process leads a session. (In a PID namespace a leader outside has
/// no id.)
pub(super) fn leads_session() -> bool {
    getsid(None) == Ok(getpid())
}

/// Tells whether this process leads a process group.
pub(super) fn leads_group() -> bool {
    getpgrp() == getpid()
}

/// Enters a PID namespace, unless the settings name namespaces, which then have one. If
/// that is not allowed, a user namespace is tried first, in which the process stays who
/// it is; and if that is not allowed either, the session must do.
pub(super) fn enter_pid(all: &Settings, template: i32, enter: EnterPid) -> io::Result<()> {
    if all.has(What::Namespaces) || enter(template, all.is_detached()).is_ok() {
        return Ok(());
    }
    let user = geteuid();
    match namespace::enter_user(&UserMap::current().maps()) {
        // Where a user namespace gives no rights (AppArmor), the session must do.
        Ok(()) => {
            let _ = enter(template, all.is_detached());
            Ok(())
        }
        // It is inside, and nobody there.
        Err(error) if geteuid() != user => Err(error),
        Err(_) => Ok(()),
    }
}
