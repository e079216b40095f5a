//! Other processes, by a handle that is never reused.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    time::Duration,
};

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use super::check;
use crate::exit::Rusage;

/// `pidfd_open(2)`, close-on-exec. Readable once the process has ended.
pub(crate) fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: it takes two numbers and touches no memory.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel made this descriptor for this call.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `pidfd_send_signal(2)`. A process that has ended is not an error.
pub(crate) fn signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: the null pointer asks for the default siginfo; the rest are
    // numbers.
    let result = check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
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

/// `wait4(2)` for one child, or with −1 for any; `None` when none has ended (or
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

/// Takes the wait status of an ended process away, when it is a child of this
/// one: no zombie of ours stays. `None` for any other process, which is left
/// alone, and when somebody else in the program has taken it.
pub(crate) fn collect(process: BorrowedFd<'_>) -> Option<i32> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
    match waitid(Id::PIDFd(process), flags).ok()? {
        WaitStatus::Exited(_, code) => Some(code << 8),
        WaitStatus::Signaled(_, signal, core) => Some(signal as i32 | if core { 0x80 } else { 0 }),
        _ => None,
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

/// The wait status of an ended process, from the kernel's own record
/// (`PIDFD_GET_INFO`, Linux 6.15); `None` when that is not to be had.
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
