//! Session, group, terminal, cgroup, root directory.

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt};

use super::namespaces;
use crate::{
    settings::{CHROOT, PIVOT, Setting, Settings, What},
    sys::place,
};

pub(super) fn cgroup(setting: &Setting) -> io::Result<()> {
    if let Some(dir) = setting.fds.first() {
        return place::join_cgroup(dir);
    }
    // The program could not open it: here it is seen why.
    let path = setting.texts.concat();
    place::join_cgroup(&place::open_dir(OsStr::from_bytes(&path).as_ref())?)
}

pub(super) fn session() -> io::Result<()> {
    place::session()
}

pub(super) fn process_group(setting: &Setting, all: &Settings) -> io::Result<()> {
    let group = setting.first()?;
    // The leader of a session is the leader of a group.
    if group == 0 && all.of(What::Session).next().is_some() {
        return Ok(());
    }
    place::process_group(group)
}

pub(super) fn terminal(setting: &Setting, all: &Settings) -> io::Result<()> {
    if all.of(What::Session).next().is_none() {
        return Err(invalid(
            "only the leader of a session can have one: ask for `session()`, too",
        ));
    }
    let terminal = setting.fds.first().ok_or(io::ErrorKind::InvalidData)?;
    place::controlling_terminal(terminal)
}

pub(super) fn root(setting: &Setting, all: &Settings) -> io::Result<()> {
    match &setting.texts[..] {
        [how, path] if how == CHROOT.as_bytes() => place::chroot(path),
        [how, path] if how == PIVOT.as_bytes() => {
            // In a shared one the program's own root would go.
            if !namespaces::wanted(all)?.has(libc::CLONE_NEWNS) {
                return Err(invalid(
                    "it needs a mount namespace: ask for `namespaces(Namespaces::new().mount())`, too",
                ));
            }
            place::pivot_root(path)
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

pub(super) fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
