//! The place of processes: session, group, terminal, cgroup, root directory.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
    ptr,
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, openat},
    sys::{
        stat::Mode,
        statfs::{CGROUP2_SUPER_MAGIC, fstatfs},
    },
    unistd::Pid,
};

use super::check;

/// Gives the process group of this process, if that is not the other process's.
pub(crate) fn group_unlike(other: i32) -> Option<i32> {
    let own = nix::unistd::getpgrp();
    let its = nix::unistd::getpgid(Some(Pid::from_raw(other)));
    its.is_ok_and(|its| its != own).then(|| own.as_raw())
}

/// Tells whether another process is in the session of this one.
pub(crate) fn shares_session(other: i32) -> io::Result<bool> {
    let its = nix::unistd::getsid(Some(Pid::from_raw(other)))?;
    Ok(its == nix::unistd::getsid(None)?)
}

/// Sets the controlling terminal by `TIOCSCTTY`, for the leader of a session that has
/// none.
pub(crate) fn controlling_terminal(terminal: &OwnedFd) -> io::Result<()> {
    // SAFETY: the request takes a number and touches no memory.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY as _, 0) })?;
    Ok(())
}

/// Calls `pivot_root(2)`, in a mount namespace of its own. The new root is mounted on
/// itself, so that any directory will do, and the old one is let go of.
pub(crate) fn pivot_root(path: &[u8]) -> io::Result<()> {
    let new = CString::new(path)?;
    mount(&new, &new, None, libc::MS_BIND | libc::MS_REC)?;
    nix::unistd::chdir(&*new)?;
    // Both have the same place: the old root lies on top of the new one.
    // SAFETY: both are strings that end in NUL.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })?;
    // SAFETY: a string that ends in NUL.
    check(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) })?;
    Ok(nix::unistd::chdir("/")?)
}

/// Calls `mount(2)` without data.
pub(super) fn mount(
    source: &CStr,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
) -> io::Result<()> {
    let kind = kind.map_or(ptr::null(), CStr::as_ptr);
    let (source, target) = (source.as_ptr(), target.as_ptr());
    // SAFETY: all are strings that end in NUL, or null.
    check(unsafe { libc::mount(source, target, kind, flags, ptr::null()) })?;
    Ok(())
}

/// Opens a directory to look up files in, with `O_PATH`.
pub(crate) fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let mut options = File::options();
    options
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY);
    Ok(options.open(path)?.into())
}

/// Writes a file in a directory, with one call.
pub(super) fn write_at(dir: impl AsFd, name: &CStr, text: &str) -> io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(dir, name, flags, Mode::empty())?);
    let written = file.write(text.as_bytes())?;
    match written == text.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Moves this process into the cgroup of this directory, of either version.
pub(crate) fn join_cgroup(dir: &OwnedFd) -> io::Result<()> {
    write_at(dir, c"cgroup.procs", "0")
}

/// Tells whether it is a directory in the hierarchy of the second version.
pub(crate) fn is_cgroup2(dir: &OwnedFd) -> bool {
    fstatfs(dir).is_ok_and(|stat| stat.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

/// Tells whether this process is in this cgroup itself.
pub(crate) fn is_in_cgroup(dir: &OwnedFd) -> io::Result<bool> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let procs = match openat(dir, c"cgroup.procs", flags, Mode::empty()) {
        // The cgroup was removed.
        Err(Errno::ENOENT | Errno::ENODEV) => return Ok(false),
        procs => io::read_to_string(File::from(procs?))?,
    };
    let own = std::process::id().to_string();
    Ok(procs.lines().any(|line| line == own))
}

/// Writes `cgroup.kill` (Linux 5.14): SIGKILL for everything in this cgroup and below,
/// whatever is forked meanwhile. A cgroup that was removed is not an error.
pub(crate) fn kill_cgroup(dir: &OwnedFd) -> io::Result<()> {
    let is_gone =
        |error: &io::Error| matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV));
    match write_at(dir, c"cgroup.kill", "1") {
        Err(error) if is_gone(&error) => {}
        result => return result,
    }
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    match openat(dir, c"cgroup.procs", flags, Mode::empty()) {
        Err(Errno::ENOENT | Errno::ENODEV) => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "it has no `cgroup.kill`: the kernel is older than Linux 5.14, or it is the root",
        )),
    }
}
