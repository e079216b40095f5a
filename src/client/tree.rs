//! How a worker and its descendants are killed at once.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::Arc,
};

use crate::{
    error::{Error, Result},
    settings::{Namespaces, Settings},
    sys::{pidfd, place},
};

/// What holds a worker's descendants together.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The cgroups, of either version.
    cgroups: Vec<Arc<OwnedFd>>,
    leads_group: bool,
    /// Whether the process that the program knows is the keeper of a namespace.
    is_keeper: bool,
    /// Whether killing the worker means killing all of it.
    is_one: bool,
}

impl Tree {
    pub(super) fn of(settings: &Settings) -> Self {
        let namespaces = Namespaces::of(settings);
        let is_keeper = namespaces.is_ok_and(|new| new.has(libc::CLONE_NEWPID));
        Self {
            cgroups: settings.cgroups().cloned().collect(),
            // In a PID namespace the worker leads the group, and not the keeper, unless
            // the group was made before the namespace, as `tree` does.
            leads_group: settings.is_tree() || settings.is_leader() && !is_keeper,
            is_keeper,
            is_one: settings.is_tree(),
        }
    }

    pub(super) fn is_one(&self) -> bool {
        self.is_one
    }

    /// Tells whether something may hold them together.
    pub(super) fn holds(&self) -> bool {
        let is_cgroup2 = |dir: &Arc<OwnedFd>| place::is_cgroup2(dir);
        self.leads_group || self.is_keeper || self.cgroups.iter().any(is_cgroup2)
    }

    /// Kills in every way that is known: each reaches processes that have left another.
    pub(super) fn kill(&self, process: BorrowedFd<'_>, id: u32) -> Result<()> {
        let tried = |what: &str, error: io::Error| {
            Error::os(format!("killing the worker's {what} failed"), error).with_pid(id)
        };
        let mut cgroups: Vec<&OwnedFd> = self.cgroups.iter().map(AsRef::as_ref).collect();
        cgroups.retain(|dir| place::is_cgroup2(dir));
        if !self.holds() {
            return Err(Error::invalid(
                "nothing holds the worker and its descendants together: ask for `tree()`, or \
                 for a `cgroup` of version 2, a PID namespace, `session()` or `process_group(0)`",
            )
            .with_pid(id));
        }
        for dir in &cgroups {
            if place::is_in_cgroup(dir).map_err(|error| tried("cgroup", error))? {
                let text = "the program itself is in the worker's cgroup: give the worker its own";
                return Err(Error::invalid(text).with_pid(id));
            }
        }
        // The group comes first, while the worker lives and the group has a name.
        if self.leads_group {
            pidfd::kill_group(process, id).map_err(|error| tried("process group", error))?;
        }
        for dir in cgroups {
            place::kill_cgroup(dir).map_err(|error| tried("cgroup", error))?;
        }
        pidfd::signal(process, libc::SIGKILL).map_err(|error| tried("process", error))
    }
}
