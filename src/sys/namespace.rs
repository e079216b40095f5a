//! Namespaces of this process, which has one thread.

use std::{
    ffi::CString,
    fs::{self, File},
    io::{self, Read, Write, pipe},
    os::fd::OwnedFd,
};

use nix::sched::{CloneFlags, setns};

use super::{
    fork::{self, Side},
    pidfd,
    place::{mount, open_dir, write_at},
};

/// Calls `unshare(2)` with these `CLONE_NEW*`.
pub(crate) fn unshare(flags: i32) -> io::Result<()> {
    Ok(nix::sched::unshare(CloneFlags::from_bits_retain(flags))?)
}

/// The contents of `uid_map` and `gid_map`.
#[derive(Debug)]
pub(crate) struct Maps {
    pub(crate) uids: String,
    pub(crate) gids: String,
}

/// Enters a user namespace with these maps. From inside, a process may only map its own
/// id, so a helper that stays outside writes the maps.
pub(crate) fn enter_user(maps: &Maps) -> io::Result<()> {
    if maps.uids.is_empty() && maps.gids.is_empty() {
        return unshare(libc::CLONE_NEWUSER);
    }
    // The process is named by a handle, because /proc may show the numbers of another
    // namespace.
    let own = open_dir("/proc/self".as_ref())?;
    let (mut wait, mut go) = pipe()?;
    let helper = match fork::fork()? {
        Side::Child(_) => {
            drop(go);
            // The end of the pipe says that there is nothing to write to.
            let result = match wait.read(&mut [0]) {
                Ok(1) => write_maps(&own, maps),
                _ => Ok(()),
            };
            let errno =
                result.map_or_else(|error| error.raw_os_error().unwrap_or(libc::EIO), |()| 0);
            fork::exit(errno)
        }
        Side::Parent { child } => child,
    };
    drop(wait);
    let result = unshare(libc::CLONE_NEWUSER).and_then(|()| go.write_all(b"."));
    drop(go);
    let ended = pidfd::reap(helper, true).map_or(libc::ECHILD << 8, |ended| ended.status);
    result?;
    match (libc::WIFEXITED(ended), libc::WEXITSTATUS(ended)) {
        (true, 0) => Ok(()),
        (true, errno) => Err(io::Error::from_raw_os_error(errno)),
        _ => Err(io::Error::other(
            "the helper that writes the maps was killed",
        )),
    }
}

fn write_maps(process: &OwnedFd, maps: &Maps) -> io::Result<()> {
    if !maps.uids.is_empty() {
        write_at(process, c"uid_map", &maps.uids)?;
    }
    if maps.gids.is_empty() {
        return Ok(());
    }
    match write_at(process, c"gid_map", &maps.gids) {
        // Without the right to set groups the kernel wants this first, because leaving
        // a group could open what is closed to that group.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            write_at(process, c"setgroups", "deny")?;
            write_at(process, c"gid_map", &maps.gids)
        }
        result => result,
    }
}

/// Separates the mounts of a new mount namespace: nothing that is mounted here is seen
/// outside, and nothing that is mounted outside from now on is seen here.
pub(crate) fn make_mounts_private() -> io::Result<()> {
    mount(c"none", c"/", None, libc::MS_REC | libc::MS_PRIVATE)
}

/// Mounts a /proc of this PID namespace.
pub(crate) fn mount_proc(at: &[u8]) -> io::Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    mount(c"proc", &CString::new(at)?, Some(c"proc"), flags)
}

/// Enters a time namespace whose clocks are this many seconds ahead. `unshare` is for
/// children only, but a process with one thread may follow.
pub(crate) fn enter_time(monotonic: i64, boottime: i64) -> io::Result<()> {
    unshare(libc::CLONE_NEWTIME)?;
    let offsets = format!("monotonic {monotonic} 0\nboottime {boottime} 0\n");
    fs::write("/proc/self/timens_offsets", offsets)?;
    let namespace = File::open("/proc/self/ns/time_for_children")?;
    Ok(setns(
        namespace,
        CloneFlags::from_bits_retain(libc::CLONE_NEWTIME),
    )?)
}
