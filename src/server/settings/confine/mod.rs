//! Takes from this process, for good, what it does not need.

mod calls;
mod filter;
mod paths;

use std::io;

use nix::sys::resource::Resource;

use crate::{
    settings::{Confine, Setting},
    sys::{
        confine,
        single::{Single, Threads},
    },
};

/// `detached`: it does not die with its template.
pub(super) fn apply(setting: &Setting, detached: bool) -> io::Result<()> {
    let allowed = Confine::of(setting)?;
    // Neither Landlock nor a filter reaches a thread that runs already.
    if let Err(Threads(names)) = Single::check() {
        let names = names.join(", ");
        let text = format!("there must be one thread; the others are: {names}. A hook left them");
        return Err(io::Error::other(text));
    }
    let filters = filter::build(&allowed, detached)?;
    limit(&allowed)?;
    paths::restrict(&allowed.readable)?;
    filters.install()
}

fn limit(allowed: &Confine) -> io::Result<()> {
    let memory = confine::own_data().saturating_add(allowed.memory);
    confine::lower(Resource::RLIMIT_DATA, memory, memory)?;
    // What that does not count: the first thread's stack, and (see the filter)
    // memory of the two kinds that no allocator asks for.
    confine::lower(Resource::RLIMIT_STACK, allowed.memory, allowed.memory)?;
    confine::lower(Resource::RLIMIT_FSIZE, allowed.memory, allowed.memory)?;
    confine::ignore_long_files();
    let seconds = allowed.cpu_seconds();
    // The first is a signal that says why, the second cannot be ignored.
    confine::lower(Resource::RLIMIT_CPU, seconds, seconds.saturating_add(1))?;
    // What a hostile worker was doing belongs into no file.
    confine::lower(Resource::RLIMIT_CORE, 0, 0)
}
