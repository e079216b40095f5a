//! What a process may use, and which process goes first.

use std::io;

use crate::{settings::Setting, sys::limits};

pub(super) fn rlimit(setting: &Setting) -> io::Result<()> {
    let [_, soft, hard] = setting.numbers[..] else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    limits::rlimit(setting.first()?, soft.cast_unsigned(), hard.cast_unsigned())
}

pub(super) fn nice(setting: &Setting) -> io::Result<()> {
    limits::nice(setting.first()?)
}

pub(super) fn io_priority(setting: &Setting) -> io::Result<()> {
    match setting.all()?[..] {
        [class, level] => limits::io_priority(class, level),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

pub(super) fn affinity(setting: &Setting) -> io::Result<()> {
    limits::affinity(&setting.all()?)
}

pub(super) fn scheduler(setting: &Setting) -> io::Result<()> {
    match setting.all()?[..] {
        [policy, priority] => limits::scheduler(policy, priority),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

pub(super) fn oom_score_adj(setting: &Setting) -> io::Result<()> {
    limits::oom_score_adj(setting.first()?)
}
