//! Namespaces, from the outermost right to the innermost process.

use std::{fmt::Write, io};

use super::place::invalid;
use crate::{
    settings::{Namespaces, Setting, Settings, UserMap, What},
    sys::{
        fork, keeper,
        namespace::{self, Maps},
    },
};

/// What is asked for among all settings.
pub(super) fn wanted(all: &Settings) -> io::Result<Namespaces> {
    let setting = all.of(What::Namespaces).next();
    setting.map_or(Ok(Namespaces::new()), decode)
}

fn decode(setting: &Setting) -> io::Result<Namespaces> {
    Namespaces::decode(setting).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// With a PID namespace this returns in another process, which is inside.
pub(super) fn enter(setting: &Setting, all: &Settings) -> io::Result<()> {
    let new = decode(setting)?;
    let own_proc = new.has(libc::CLONE_NEWPID) && new.has(libc::CLONE_NEWNS);
    if new.proc.is_some() && !own_proc {
        return Err(invalid("`proc` needs `mount` and `pid`, too"));
    }
    let template = fork::parent();
    if let Some(map) = &new.user {
        namespace::enter_user(&maps(map))?;
    }
    namespace::unshare(new.flags & !libc::CLONE_NEWPID)?;
    if new.has(libc::CLONE_NEWNS) {
        namespace::make_mounts_private()?;
    }
    if let Some((monotonic, boottime)) = new.time {
        namespace::enter_time(monotonic, boottime)?;
    }
    if new.has(libc::CLONE_NEWPID) {
        keeper::enter(template, all.of(What::Detached).next().is_some())?;
    }
    new.proc.map_or(Ok(()), |at| namespace::mount_proc(&at))
}

/// As the kernel wants them.
fn maps(map: &UserMap) -> Maps {
    let (user, group) = fork::user_and_group();
    let lines = |own: u32, ranges: &[[u32; 3]]| {
        let mut lines = String::new();
        if let Some(inside) = map.own {
            let inside = if inside.is_root { 0 } else { own };
            let _ = writeln!(lines, "{inside} {own} 1");
        }
        for [inside, outside, count] in ranges {
            let _ = writeln!(lines, "{inside} {outside} {count}");
        }
        lines
    };
    Maps {
        uids: lines(user, &map.uids),
        gids: lines(group, &map.gids),
    }
}
