//! The methods of `Process` and of `Command` that say what a new process is made of,
//! from one list for each topic. Each records its setting by the method of `Settings`
//! that has the same name.

use crate::Process;

/// Makes methods of `Process` and of `Command` from a list. The docs above a name are
/// for both; those in braces after it are for `Process` only.
macro_rules! setters {
    (
        $(#![$heading:meta])+
        $(
            $(#[$summary:meta])+
            $name:ident $(<$($generic:ident: $bound:path),*>)? ($($arg:ident: $ty:ty),*)
            $({ $(#[$more:meta])+ })? $(;)?
        )+
    ) => {
        $(#[$heading])+
        impl<S> $crate::Process<S> {$(
            $(#[$summary])+
            $(
                ///
                $(#[$more])+
            )?
            pub fn $name $(<$($generic: $bound),*>)? (mut self, $($arg: $ty),*) -> Self {
                self.settings.$name($($arg),*);
                self
            }
        )+}

        impl $crate::Command {$(
            $(#[$summary])+
            ///
            #[doc = concat!(
                "[`Process::", stringify!($name), "`](crate::Process::", stringify!($name),
                ") says more."
            )]
            pub fn $name $(<$($generic: $bound),*>)? (&mut self, $($arg: $ty),*) -> &mut Self {
                self.settings.$name($($arg),*);
                self
            }
        )+}
    };
}

#[cfg(feature = "confine")]
mod confine;
mod environment;
mod identity;
mod limits;
mod place;
mod start;
mod stdio;

/// # What a process is made of
///
/// Each of these methods records a setting. Settings are kept by [`fork`](Self::fork)
/// and [`preload`](Self::preload), sent with the task, and applied in the worker. They
/// are never applied in a template: a preload runs with the template's own environment,
/// directory and rights.
///
/// Whatever the order of the calls, they are applied in this one: cgroup · standard
/// streams · raw arguments · OOM score, nice, I/O priority, CPU affinity, scheduler ·
/// tree, namespaces · session, process group, terminal · root · rlimits · groups, group,
/// user, capabilities, dumpable, no-new-privileges · directory, umask · environment ·
/// title, thread name · hooks of the program · [initialisers](Self::init) · confinement.
///
/// The first setting that fails is the error of [`run`](Self::run)
/// ([`is_setting`](crate::Error::is_setting)), which names the setting, its value and
/// the errno. Then no code of the entry has run, and nothing is left behind.
// This block has no method: its docs stand in front of those of the lists.
impl<S> Process<S> {}
