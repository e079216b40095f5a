//! The methods of `Process` that say what it is made of.

#[cfg(feature = "confine")]
mod confine;
mod draft;
mod environment;
mod identity;
mod limits;
mod place;
mod stdio;

pub(crate) use self::stdio::{Ends, lend};
use super::Process;
use crate::settings::{Setting, Settings, What};

/// # What a process is made of
///
/// Each of these methods records a setting. Settings are kept by
/// [`fork`](Self::fork) and [`preload`](Self::preload), sent with the task, and
/// applied in the worker; never in a template, so that a preload runs with the
/// template's own environment, directory and rights.
///
/// Whatever the order of the calls, they are applied in this one: cgroup ·
/// standard streams · OOM score, nice, I/O priority, CPU affinity, scheduler ·
/// namespaces · session, process group, terminal · root · rlimits · groups,
/// group, user, capabilities, dumpable, no-new-privileges · directory, umask ·
/// environment · title, thread name · hooks of the program · confinement.
///
/// The first that fails is the error of [`run`](Self::run)
/// ([`is_setting`](crate::Error::is_setting)): it names the setting, its value
/// and the errno. Then no code of the entry has run, and nothing is left.
impl<S> Process<S> {
    /// Records a setting in place of any other of its kind.
    fn set(mut self, setting: Setting) -> Self {
        self.settings.put(setting);
        self
    }

    /// Changes what is recorded.
    fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Records a setting beside others of its kind.
    fn add(mut self, setting: Setting) -> Self {
        self.settings.add(setting);
        self
    }
}
