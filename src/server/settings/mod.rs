//! Applies settings, in the worker.

#[cfg(feature = "confine")]
mod confine;
mod environment;
mod identity;
mod limits;
mod namespaces;
mod place;
mod stdio;

use std::io;

use crate::{
    error::{Error, Kind, Result},
    settings::{Setting, Settings, What},
    sys::{fork, signal},
};

/// Applies those that come before the hooks, in their order.
pub(super) fn apply(settings: &Settings) -> Result<()> {
    if settings.is_empty() {
        return Ok(());
    }
    // Asked for while this process still ends with it: it may have ended by the
    // time that all is applied.
    let mut parent = fork::parent();
    for setting in settings.iter().filter(|it| it.what < What::Confine) {
        one(setting, settings).map_err(|error| failure(setting, &error))?;
        if setting.what == What::Namespaces {
            // It may be another process that is inside, with another parent.
            parent = fork::parent();
        }
    }
    stay_attached(settings, parent).map_err(|error| {
        Error::os("prctl(PR_SET_PDEATHSIG) failed after the settings", error).unstarted()
    })
}

/// Applies what comes after the hooks, and last of all.
pub(super) fn confine(settings: &Settings) -> Result<()> {
    for setting in settings.of(What::Confine) {
        one(setting, settings).map_err(|error| failure(setting, &error))?;
    }
    Ok(())
}

fn one(setting: &Setting, all: &Settings) -> io::Result<()> {
    match setting.what {
        What::Stdin => stdio::set(0, setting),
        What::Stdout => stdio::set(1, setting),
        What::Stderr => stdio::set(2, setting),
        What::Cgroup => place::cgroup(setting),
        What::Namespaces => namespaces::enter(setting, all),
        What::Session => place::session(),
        What::ProcessGroup => place::process_group(setting, all),
        What::Terminal => place::terminal(setting, all),
        What::Root => place::root(setting, all),
        What::OomScoreAdj => limits::oom_score_adj(setting),
        What::Nice => limits::nice(setting),
        What::IoPriority => limits::io_priority(setting),
        What::Affinity => limits::affinity(setting),
        What::Scheduler => limits::scheduler(setting),
        What::Rlimit => limits::rlimit(setting),
        What::Groups => identity::groups(setting),
        What::Gid => identity::gid(setting),
        What::Uid => identity::uid(setting, all),
        What::Capabilities => identity::capabilities(setting),
        What::Dumpable => identity::dumpable(setting),
        What::NoNewPrivs => identity::no_new_privs(),
        What::CurrentDir => environment::current_dir(setting),
        What::Umask => environment::umask(setting),
        What::Environment => environment::variables(setting),
        What::Title => environment::title(setting),
        What::ThreadName => environment::thread_name(setting),
        // `stay_attached` looks for it.
        What::Detached => Ok(()),
        #[cfg(feature = "confine")]
        What::Confine => confine::apply(setting, is_detached(all)),
        #[cfg(not(feature = "confine"))]
        What::Confine => Err(io::Error::from_raw_os_error(libc::ENOSYS)),
    }
}

/// The kernel takes the parent-death signal back when a process changes its
/// user or gains rights: asks for it again, and looks whether that was too late.
fn stay_attached(settings: &Settings, parent: i32) -> io::Result<()> {
    if is_detached(settings) {
        signal::live_on();
        return Ok(());
    }
    signal::stay_with(parent)
}

fn is_detached(settings: &Settings) -> bool {
    settings.of(What::Detached).next().is_some()
}

fn failure(setting: &Setting, error: &io::Error) -> Error {
    // A NUL in a string, which the kernel is not even asked about.
    let is_invalid = error.kind() == io::ErrorKind::InvalidInput;
    let code = error.raw_os_error().or(is_invalid.then_some(libc::EINVAL));
    let text = match error.raw_os_error() {
        Some(_) => format!("{setting} failed in the new process"),
        None => format!("{setting} failed in the new process: {error}"),
    };
    let failure = Error::new(Kind::Setting, text).unstarted();
    match code {
        Some(code) => failure.with_source(io::Error::from_raw_os_error(code)),
        None => failure,
    }
}
