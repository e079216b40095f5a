//! Takes from this process, for good, what it does not need.

mod allowed;
mod calls;
mod filter;
mod paths;

use std::{fs, io};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

pub use self::allowed::Confine;
use super::{Setting, Settings};
use crate::{
    phase,
    sys::{confine, single::Single},
};

pub(super) fn apply(setting: &Setting, all: &Settings) -> io::Result<()> {
    let allowed = Confine::of(setting)?;
    // Neither Landlock nor a filter reaches a thread that runs already.
    Single::check()?;
    let filters = filter::build(&allowed, all.is_detached())?;
    limit(&allowed)?;
    paths::restrict(&allowed.readable)?;
    filters.install()?;
    phase::set_confined();
    Ok(())
}

fn limit(allowed: &Confine) -> io::Result<()> {
    let memory = own_data().saturating_add(allowed.memory);
    lower(Resource::RLIMIT_DATA, memory, memory)?;
    // That limit does not count the first thread's stack, nor (see the filter) memory
    // of the two kinds that no allocator asks for.
    lower(Resource::RLIMIT_STACK, allowed.memory, allowed.memory)?;
    lower(Resource::RLIMIT_FSIZE, allowed.memory, allowed.memory)?;
    confine::ignore_long_files();
    let seconds = allowed.cpu_seconds();
    // At the first there is a signal that says why; the second cannot be ignored.
    lower(Resource::RLIMIT_CPU, seconds, seconds.saturating_add(1))?;
    // What a hostile worker was doing belongs in no file.
    lower(Resource::RLIMIT_CORE, 0, 0)
}

/// Lowers a limit to this, or leaves what it was if that is less.
fn lower(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let (own_soft, own_hard) = getrlimit(resource)?;
    let hard = hard.min(own_hard);
    Ok(setrlimit(resource, soft.min(own_soft).min(hard), hard)?)
}

/// Gives the bytes that count for `RLIMIT_DATA`; 0 without /proc.
fn own_data() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kibibytes.unwrap_or(0_u64) * 1024
}
