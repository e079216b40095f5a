//! What a program is made of: the setters of `Command`, and what it has of the
//! program that starts it.

use std::{env, ffi::OsStr, os::fd::OwnedFd, path::Path, time::Duration};

use super::Command;
use crate::{
    client::{
        other_group,
        settings::{with_environment, with_identity, with_limits, with_place, with_stdio},
    },
    error::{Error, Result},
    settings::{
        Capability, Cgroup, IoPriority, Namespaces, Resource, Scheduler, Settings, Stdio, What,
    },
    sys::environment::own_dir,
};

/// Makes a list of the setters of `Process` to methods of `Command`.
macro_rules! on_command {
    (
        $(#![$heading:meta])*
        $(
            $(#[$summary:meta])+
            $name:ident $(<$($generic:ident: $bound:path),*>)? ($($arg:ident: $ty:ty),*)
            $({ $($more:tt)+ })? $(;)?
        )*
    ) => {
        impl Command {
            $(
                $(#[$summary])+
                ///
                #[doc = concat!("More is said at [`Process::", stringify!($name), "`](crate::Process::", stringify!($name), ").")]
                pub fn $name $(<$($generic: $bound),*>)? (&mut self, $($arg: $ty),*) -> &mut Self {
                    self.settings.$name($($arg),*);
                    self
                }
            )*
        }
    };
}

with_environment!(on_command);
with_stdio!(on_command);
with_place!(on_command);
with_identity!(on_command);
with_limits!(on_command);

impl Command {
    /// Limits the wait until the program has been executed; 10 s by default.
    ///
    /// More is said at [`Process::deadline`](crate::Process::deadline).
    pub fn deadline(&mut self, patience: Duration) -> &mut Self {
        self.patience = Some(patience);
        self
    }
}

/// The environment, the directory, the umask and the process group that the
/// program has now, where nothing else was said.
pub(super) fn surround(settings: &mut Settings, umask: Option<u32>) -> Result<()> {
    settings.settle_variables(env::vars_os());
    if !settings.has(What::Umask)
        && let Some(mask) = umask
    {
        settings.umask(mask);
    }
    if !has_own_place(settings)
        && let Some(group) = other_group()?
    {
        settings.process_group(group);
    }
    if settings.is_dir_relative() {
        let here = own_dir().map_err(|error| {
            Error::os("opening the program's working directory failed", error).unstarted()
        })?;
        settings.begin_in(here);
    }
    Ok(())
}

/// Whether it has a process group of its own, or numbers processes anew, so that the
/// program's group has no name there.
fn has_own_place(settings: &Settings) -> bool {
    settings.has(What::Session)
        || settings.has(What::ProcessGroup)
        || Namespaces::of(settings).is_ok_and(|new| new.has(libc::CLONE_NEWPID))
}
