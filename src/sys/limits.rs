//! What a process may use, and which process goes first. Works in a process with one
//! thread.

use std::io;

use super::check;

/// Calls `setrlimit(2)`.
pub(crate) fn rlimit(resource: u8, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: the pointer is to a live value.
    check(unsafe { libc::setrlimit(resource.into(), &raw const limit) })?;
    Ok(())
}

/// Calls `setpriority(2)`.
pub(crate) fn nice(value: i32) -> io::Result<()> {
    // SAFETY: it takes numbers and touches no memory.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) })?;
    Ok(())
}

/// Calls `ioprio_set(2)`. Levels are from 0 to 7; the kernel reads other things from a
/// greater one.
pub(crate) fn io_priority(class: u8, level: u8) -> io::Result<()> {
    const WHO_PROCESS: i32 = 1;
    const CLASS_SHIFT: u32 = 13;
    if level > 7 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let value = i32::from(class) << CLASS_SHIFT | i32::from(level);
    // SAFETY: it takes numbers and touches no memory.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, value) })?;
    Ok(())
}

/// Calls `sched_setscheduler(2)`, by the system call itself, since musl's function
/// refuses.
pub(crate) fn scheduler(policy: i32, priority: i32) -> io::Result<()> {
    // SAFETY: the pointer is to the one number that the kernel's
    // `struct sched_param` is.
    check(unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) })?;
    Ok(())
}
