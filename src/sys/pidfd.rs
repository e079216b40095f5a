//! Other processes, by a handle that is never reused.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    time::Duration,
};

use nix::{
    sys::wait::{Id, WaitPidFlag, WaitStatus, waitid},
    unistd::Pid,
};

use super::{
    check, fail,
    fd::above_standard,
    poll::{Deadline, Want, poll},
};
use crate::exit::Rusage;

/// Calls `pidfd_open(2)`. The descriptor is close-on-exec, and readable once the
/// process has ended.
pub(crate) fn open(pid: i32) -> io::Result<OwnedFd> {
    fail::check("pidfd_open")?;
    // SAFETY: it takes two numbers and touches no memory.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel made this descriptor for this call.
    above_standard(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives the process's id as this process sees it. In another PID namespace, the
/// process itself sees a different one.
pub(crate) fn id(process: BorrowedFd<'_>) -> Option<i32> {
    let path = format!("/proc/self/fdinfo/{}", process.as_raw_fd());
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    line.trim().parse().ok()
}

/// Calls `pidfd_send_signal(2)`. A process that has ended is not an error.
pub(crate) fn signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    send(process, signal, 0)
}

/// Kills every process of the group of which this process, with this id, is or was the
/// leader. An empty group is not an error.
///
/// `PIDFD_SIGNAL_PROCESS_GROUP` (Linux 6.9) names the group by the handle.
pub(crate) fn kill_group(leader: BorrowedFd<'_>, id: u32) -> io::Result<()> {
    const PIDFD_SIGNAL_PROCESS_GROUP: u32 = 1 << 2;
    match send(leader, libc::SIGKILL, PIDFD_SIGNAL_PROCESS_GROUP) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => kill_group_of(leader, id),
        result => result,
    }
}

/// Kills the group by the leader's number, which is the group's as long as the leader
/// lives.
fn kill_group_of(leader: BorrowedFd<'_>, id: u32) -> io::Result<()> {
    let [ended] = poll([Want::Read(leader)], Deadline::NOW)?;
    if ended {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "its leader has ended, and before Linux 6.9 there is no safe name for what is left",
        ));
    }
    // SAFETY: kill touches no memory. The leader lived a moment ago, so its id
    // cannot have become another group's unless all ids were used meanwhile.
    check(unsafe { libc::kill(-id.cast_signed(), libc::SIGKILL) })?;
    Ok(())
}

fn send(process: BorrowedFd<'_>, signal: i32, flags: u32) -> io::Result<()> {
    // SAFETY: the null pointer asks for the default siginfo; the rest are
    // numbers.
    let result = check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            flags,
        )
    });
    match result {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        _ => Ok(()),
    }
}

/// A child that ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reaped {
    pub(crate) pid: i32,
    pub(crate) status: i32,
    pub(crate) rusage: Rusage,
}

/// Calls `wait4(2)` for one child, or with −1 for any. `None` when none has ended (or
/// with `wait`, when there is no such child).
pub(crate) fn reap(pid: i32, wait: bool) -> Option<Reaped> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let flags = if wait { 0 } else { libc::WNOHANG };
    let pid = loop {
        // SAFETY: both pointers are to live values of the right type.
        let pid = unsafe { libc::wait4(pid, &raw mut status, flags, usage.as_mut_ptr()) };
        match check(pid) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(pid) if pid > 0 => break pid,
            _ => return None,
        }
    };
    // SAFETY: zeroes are a valid rusage, and wait4 filled it.
    let usage = unsafe { usage.assume_init() };
    Some(Reaped {
        pid,
        status,
        rusage: rusage(&usage),
    })
}

fn rusage(raw: &libc::rusage) -> Rusage {
    let time = |t: libc::timeval| {
        Duration::from_secs(t.tv_sec.max(0).cast_unsigned())
            + Duration::from_micros(t.tv_usec.max(0).cast_unsigned())
    };
    let count = |n: libc::c_long| n.max(0).cast_unsigned();
    Rusage {
        user: time(raw.ru_utime),
        system: time(raw.ru_stime),
        max_rss: count(raw.ru_maxrss) * 1024,
        minor_faults: count(raw.ru_minflt),
        major_faults: count(raw.ru_majflt),
        blocks_in: count(raw.ru_inblock),
        blocks_out: count(raw.ru_oublock),
        voluntary_switches: count(raw.ru_nvcsw),
        involuntary_switches: count(raw.ru_nivcsw),
    }
}

/// What [`collect`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collected {
    /// It has ended, with this wait status.
    Status(i32),
    /// It is a child of this process, and lives.
    NotYet,
    /// It is not a child of this process, or somebody else has waited for it.
    Stranger,
}

impl Collected {
    pub(crate) fn status(self) -> Option<i32> {
        match self {
            Self::Status(status) => Some(status),
            _ => None,
        }
    }
}

/// Takes the wait status of an ended process away, if it is a child of this one, so
/// that no zombie of ours stays. Any other process is left alone.
pub(crate) fn collect(process: BorrowedFd<'_>) -> Collected {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
    match waitid(Id::PIDFd(process), flags) {
        Ok(WaitStatus::Exited(_, code)) => Collected::Status(code << 8),
        Ok(WaitStatus::Signaled(_, signal, core)) => {
            Collected::Status(signal as i32 | if core { 0x80 } else { 0 })
        }
        Ok(_) => Collected::NotYet,
        Err(_) => Collected::Stranger,
    }
}

/// Does what [`open`] does for a child that was made without an exit signal. The id is
/// the child's until it is waited for. The kernel looks only at children without that
/// signal, so no other child is ever meant. `None` when there is none.
pub(crate) fn open_silent(child: i32) -> Option<OwnedFd> {
    let flags =
        WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT | WaitPidFlag::__WCLONE;
    waitid(Id::Pid(Pid::from_raw(child)), flags).ok()?;
    open(child).ok()
}

/// Waits until a process has ended, or the deadline passes.
#[cfg(feature = "exec")]
pub(crate) fn await_end(process: BorrowedFd<'_>, deadline: Deadline) {
    let _ = poll([Want::Read(process)], deadline);
}

/// Kills a child that was made without an exit signal, by its id. Any other process
/// with that id is left alone, because then the child was reaped.
pub(crate) fn kill_silent(child: i32) {
    let flags =
        WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT | WaitPidFlag::__WCLONE;
    // The handle comes first: what is then seen to be such a child is what it names.
    if let Ok(handle) = open(child)
        && let Ok(WaitStatus::StillAlive) = waitid(Id::PIDFd(handle.as_fd()), flags)
    {
        let _ = signal(handle.as_fd(), libc::SIGKILL);
    }
}

/// The kernel's `struct pidfd_info`, first version.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// Gives the wait status of an ended process, from the kernel's own record
/// (`PIDFD_GET_INFO`, Linux 6.15); `None` when there is none.
pub(crate) fn exit_status(process: BorrowedFd<'_>) -> Option<i32> {
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    /// `_IOWR(0xFF, 11, struct pidfd_info)` with its first size.
    const PIDFD_GET_INFO: u32 = 0xc040_ff0b;
    const { assert!(size_of::<Info>() == 64) };

    let mut info = Info {
        mask: PIDFD_INFO_EXIT,
        ..Info::default()
    };
    // SAFETY: the request says how long the struct is that the pointer is to.
    let result = unsafe { libc::ioctl(process.as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) };
    (result == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}

#[cfg(test)]
mod tests {
    use std::{
        os::{fd::AsFd, unix::process::CommandExt},
        process::Command,
    };

    use super::*;

    fn sleep(group: i32) -> std::process::Child {
        let mut command = Command::new("sleep");
        command.arg("60").process_group(group).spawn().unwrap()
    }

    fn killed(mut child: std::process::Child) -> bool {
        use std::os::unix::process::ExitStatusExt;
        child.wait().unwrap().signal() == Some(libc::SIGKILL)
    }

    #[test]
    fn a_group_is_killed_by_handle_when_its_leader_is_gone() {
        let mut leader = sleep(0);
        let id = leader.id();
        let member = sleep(id.cast_signed());
        let handle = open(id.cast_signed()).unwrap();
        leader.kill().unwrap();
        leader.wait().unwrap();
        // Its number could belong to another process by now.
        let refused = kill_group_of(handle.as_fd(), id).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        match kill_group(handle.as_fd(), id) {
            Ok(()) => {
                assert!(killed(member));
                kill_group(handle.as_fd(), id).unwrap();
            }
            Err(refused) => {
                assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
                signal(
                    open(member.id().cast_signed()).unwrap().as_fd(),
                    libc::SIGKILL,
                )
                .unwrap();
                assert!(killed(member));
            }
        }
    }

    #[test]
    fn a_group_is_killed_by_number_while_its_leader_lives() {
        let leader = sleep(0);
        let member = sleep(leader.id().cast_signed());
        let handle = open(leader.id().cast_signed()).unwrap();
        kill_group_of(handle.as_fd(), leader.id()).unwrap();
        assert!(killed(leader) && killed(member));
    }
}
