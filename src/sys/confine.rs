//! What a filter of system calls cannot decide by itself, and one signal.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "registers, and fields whose types differ between the architectures"
)]

use std::{io, mem, ptr};

use super::check;

/// Makes a write beyond `RLIMIT_FSIZE` an error instead of a signal.
pub(crate) fn ignore_long_files() {
    // SAFETY: SIG_IGN runs no code.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Answers the calls of `fstatat` and `statx` that a filter traps (`SECCOMP_RET_TRAP`),
/// from here on: as `fstat` when their path is empty, and by `EPERM` when it is not.
///
/// glibc and std ask for a descriptor's status only in these ways, and a filter cannot
/// see whether a path is empty.
pub(crate) fn answer_fstat() -> io::Result<()> {
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_trap;
    // SAFETY: sigaction is a C struct of integers and an optional function
    // pointer, all of which may be zero.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for, and makes
    // async-signal-safe calls only; the action is a live value.
    check(unsafe { libc::sigaction(libc::SIGSYS, &raw const action, ptr::null_mut()) })?;
    Ok(())
}

/// Where a trapped call has its number, its arguments and its result.
#[cfg(target_arch = "x86_64")]
const REGISTERS: ([libc::c_int; 6], libc::c_int) = (
    [
        libc::REG_RAX,
        libc::REG_RDI,
        libc::REG_RSI,
        libc::REG_RDX,
        libc::REG_R10,
        libc::REG_R8,
    ],
    libc::REG_RAX,
);

/// Where a trapped call has its number, its arguments and its result.
#[cfg(target_arch = "aarch64")]
const REGISTERS: ([libc::c_int; 6], libc::c_int) = ([8, 0, 1, 2, 3, 4], 0);

extern "C" fn on_trap(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    /// The code of a signal that comes from a filter and was not sent by a process.
    const SYS_SECCOMP: libc::c_int = 1;
    // SAFETY: the kernel gives a handler with SA_SIGINFO a live siginfo.
    if unsafe { (*info).si_code } != SYS_SECCOMP {
        return;
    }
    // SAFETY: and the context that it interrupted, which nobody else holds.
    let context = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    let all = &mut context.gregs;
    #[cfg(target_arch = "aarch64")]
    let all = &mut context.regs;
    let (read, result) = REGISTERS;
    let call = read.map(|register| all[register.cast_unsigned() as usize] as _);
    // SAFETY: the kernel has trapped a call with these arguments.
    all[result.cast_unsigned() as usize] = unsafe { answer(call) } as _;
}

/// Gives what the kernel would give: 0, or the errno as a negative number.
///
/// # Safety
///
/// These must be the number and the arguments of a call that was trapped.
unsafe fn answer([number, fd, path, third, _, fifth]: [usize; 6]) -> libc::c_long {
    let fault = libc::c_long::from(-libc::EFAULT);
    let path = ptr::with_exposed_provenance::<u8>(path);
    if path.is_null() {
        return fault;
    }
    // SAFETY: the caller of the trapped call had to give it a path that ends in NUL.
    if unsafe { *path } != 0 {
        return (-libc::EPERM).into();
    }
    // SAFETY: an all-zero status is one.
    let mut status: libc::stat = unsafe { mem::zeroed() };
    let failed = fstat(fd, &mut status);
    if failed != 0 {
        return failed;
    }
    let is_statx = number.cast_signed() as libc::c_long == libc::SYS_statx;
    let place = if is_statx { fifth } else { third };
    if place == 0 {
        return fault;
    }
    if is_statx {
        let place = ptr::with_exposed_provenance_mut::<libc::statx>(place);
        // SAFETY: the caller of the trapped call has given it room for this.
        unsafe { place.write(extended(&status)) };
    } else {
        let place = ptr::with_exposed_provenance_mut::<libc::stat>(place);
        // SAFETY: as above; the C library's form is the kernel's.
        unsafe { place.write(status) };
    }
    0
}

/// Makes the system call itself, because the C library's function would be trapped once
/// more.
fn fstat(fd: usize, status: &mut libc::stat) -> libc::c_long {
    // SAFETY: it has no conditions.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: errno is a thread-local int that lives as long as the thread.
    let before = unsafe { *errno };
    // SAFETY: the pointer is to a status.
    let result = unsafe { libc::syscall(libc::SYS_fstat, fd, ptr::from_mut(status)) };
    // SAFETY: as above.
    let failed = unsafe { *errno };
    // SAFETY: as above.
    unsafe { *errno = before };
    if result < 0 { (-failed).into() } else { 0 }
}

/// Makes a status in the form of `statx`, without what only `statx` knows.
fn extended(status: &libc::stat) -> libc::statx {
    let time = |seconds, nanoseconds| {
        // SAFETY: an all-zero time is one.
        let mut time: libc::statx_timestamp = unsafe { mem::zeroed() };
        time.tv_sec = seconds;
        time.tv_nsec = nanoseconds as _;
        time
    };
    // SAFETY: an all-zero status is one.
    let mut all: libc::statx = unsafe { mem::zeroed() };
    all.stx_mask = libc::STATX_BASIC_STATS as _;
    all.stx_blksize = status.st_blksize as _;
    all.stx_nlink = status.st_nlink as _;
    all.stx_uid = status.st_uid;
    all.stx_gid = status.st_gid;
    all.stx_mode = status.st_mode as _;
    all.stx_ino = status.st_ino;
    all.stx_size = status.st_size as _;
    all.stx_blocks = status.st_blocks as _;
    all.stx_atime = time(status.st_atime, status.st_atime_nsec);
    all.stx_mtime = time(status.st_mtime, status.st_mtime_nsec);
    all.stx_ctime = time(status.st_ctime, status.st_ctime_nsec);
    all.stx_rdev_major = libc::major(status.st_rdev);
    all.stx_rdev_minor = libc::minor(status.st_rdev);
    all.stx_dev_major = libc::major(status.st_dev);
    all.stx_dev_minor = libc::minor(status.st_dev);
    all
}
