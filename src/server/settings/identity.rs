//! User, groups, capabilities.

use std::io;

use crate::{
    settings::{Setting, Settings, What},
    sys::identity,
};

pub(super) fn groups(setting: &Setting) -> io::Result<()> {
    identity::groups(setting.all()?)
}

pub(super) fn gid(setting: &Setting) -> io::Result<()> {
    identity::gid(setting.first()?)
}

/// Without groups of its own, a process that root gives away loses root's, as
/// std's `Command` does it.
pub(super) fn uid(setting: &Setting, all: &Settings) -> io::Result<()> {
    let has = |what| all.of(what).next().is_some();
    if identity::is_root() && !has(What::Groups) {
        identity::groups(Vec::new())?;
    }
    if has(What::Capabilities) {
        identity::keep_permitted(true)?;
    }
    identity::uid(setting.first()?)
}

pub(super) fn capabilities(setting: &Setting) -> io::Result<()> {
    let keep: i64 = setting.first()?;
    identity::keep_capabilities(keep.cast_unsigned())?;
    identity::keep_permitted(false)
}

pub(super) fn dumpable(setting: &Setting) -> io::Result<()> {
    identity::dumpable(setting.first::<i64>()? != 0)
}

pub(super) fn no_new_privs() -> io::Result<()> {
    identity::no_new_privs()
}
