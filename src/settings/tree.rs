//! Holding a worker and what it starts together, by the strongest means there is.

use std::io;

use nix::unistd::{geteuid, getpgrp, getpid, getsid, setsid};

use super::{Setting, Settings, What, namespaces::EnterPid, user_map::UserMap};
use crate::sys::namespace;

impl Settings {
    pub(crate) fn tree(&mut self) {
        self.put(Setting::new(What::Tree));
    }

    /// Tells whether killing the worker also kills what it has started.
    pub(crate) fn is_tree(&self) -> bool {
        self.has(What::Tree)
    }
}

/// Begins a session. The processes of a PID namespace are in it as well, and so is its
/// keeper, by whose id the program knows the group.
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

/// Enters a PID namespace, unless the settings name namespaces: those then include one.
/// If that is not allowed, the process first enters a user namespace, in which it keeps
/// its ids. If that is not allowed either, the session must do.
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
        // It is inside, but has no valid user there.
        Err(error) if geteuid() != user => Err(error),
        Err(_) => Ok(()),
    }
}
