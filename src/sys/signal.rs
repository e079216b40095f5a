//! Masks, dispositions, the parent-death signal.

use std::{
    ffi::c_long,
    io,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};

use super::{check, fork, keep_errno, prepared::Prepared};

/// Blocks every signal in the calling thread.
pub(crate) fn block_all() {
    // This fails only for a bad `how`.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
}

/// Unblocks every signal in the calling thread, as in a fresh program.
pub(crate) fn unblock_all() {
    set_mask(0);
}

/// Blocks these signals in the calling thread, and no others.
fn set_mask(blocked: u64) {
    let (old, length) = (ptr::null_mut::<u64>(), size_of::<u64>());
    // SAFETY: the new set has the length beside it, and no old one is asked for.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const blocked,
            old,
            length,
        )
    };
    if result != 0 {
        // This kernel's sets are longer. This fails only for a bad `how`.
        let all = Signal::iterator().filter(|signal| blocked & bit(*signal as i32) != 0);
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all.collect()), None);
    }
}

/// The mask that a thread had before everything was blocked.
#[derive(Debug)]
pub(crate) struct Mask(SigSet);

impl Mask {
    /// Blocks every signal in the calling thread.
    pub(crate) fn block() -> Self {
        let mut before = SigSet::empty();
        // This fails only for a bad `how`.
        let _ = sigprocmask(
            SigmaskHow::SIG_SETMASK,
            Some(&SigSet::all()),
            Some(&mut before),
        );
        Self(before)
    }

    /// Puts the mask back.
    pub(crate) fn restore(&self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.0), None);
    }
}

/// Throws away the signals that arrived while they were blocked, except [`DETACH`] and
/// those that the owner sent: a worker from stock has a handle before it looks here.
pub(crate) fn discard_pending(owner: i32) {
    let mut kept = Vec::new();
    let mut all = SigSet::all();
    all.remove(Signal::SIGURG);
    let zero = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    loop {
        // SAFETY: an all-zero info is one.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: all pointers are to live values.
        let signal = unsafe { libc::sigtimedwait(all.as_ref(), &raw mut info, &raw const zero) };
        if signal < 0 {
            break;
        }
        // SAFETY: of a signal that a process sent, the kernel says which.
        if info.si_code == libc::SI_USER && unsafe { info.si_pid() } == owner {
            kept.push(signal);
        }
    }
    let own = nix::unistd::getpid().as_raw();
    for signal in kept {
        // SAFETY: it takes two numbers; blocked signals only become pending.
        unsafe { libc::kill(own, signal) };
    }
}

/// Sets the dispositions to those of a fresh Rust `main`: every handler is gone,
/// ignored signals are still ignored (so that `nohup` works), and SIGPIPE is ignored.
/// SIGCHLD is at its default, or no exit could be seen. The one exception is
/// [`DETACH`], which has a handler.
pub(crate) fn reset_dispositions() {
    let mut ignored = 0;
    for signal in 1..=libc::SIGRTMAX() {
        if matches!(signal, libc::SIGKILL | libc::SIGSTOP | DETACH) {
            continue;
        }
        match disposition(signal) {
            libc::SIG_DFL => {}
            libc::SIG_IGN if signal != libc::SIGCHLD => ignored |= bit(signal),
            _ => dispose(signal, libc::SIG_DFL),
        }
    }
    dispose(libc::SIGPIPE, libc::SIG_IGN);
    IGNORED.store(ignored, Ordering::Relaxed);
    let handler: extern "C" fn(libc::c_int) = on_detach;
    dispose(DETACH, handler as libc::sighandler_t);
}

/// Puts right what a template needs to see its children end: SIGCHLD is not ignored,
/// and leaves a status. It may have a handler, which never runs in a template, where
/// the signal is blocked.
pub(crate) fn see_children() {
    let mut action = empty_action();
    // SAFETY: a null new action only reads; `action` is a live sigaction.
    unsafe { libc::sigaction(libc::SIGCHLD, ptr::null(), &raw mut action) };
    if action.sa_sigaction == libc::SIG_IGN {
        return dispose(libc::SIGCHLD, libc::SIG_DFL);
    }
    if action.sa_flags & libc::SA_NOCLDWAIT != 0 {
        action.sa_flags &= !libc::SA_NOCLDWAIT;
        // SAFETY: the handler is the one that stood there.
        unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, ptr::null_mut()) };
    }
}

/// Which signals a thread blocks and its process ignores: one bit for each, the lowest
/// for signal 1, as the kernel has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signals {
    pub(crate) blocked: u64,
    pub(crate) ignored: u64,
}

/// Which signals were ignored when this process came to belong to a template, and are
/// ignored in its forks.
static IGNORED: AtomicU64 = AtomicU64::new(0);

/// Ignores these signals and no others; what is launched next inherits that.
/// SIGPIPE is left to [`for_launch`].
pub(crate) fn ignore(signals: u64) {
    let mut changed = (signals ^ IGNORED.load(Ordering::Relaxed)) & !bit(libc::SIGPIPE);
    while changed != 0 {
        let place = changed.trailing_zeros();
        changed &= changed - 1;
        let handler = match signals >> place & 1 {
            0 => libc::SIG_DFL,
            _ => libc::SIG_IGN,
        };
        // The C library keeps two signals for itself; they stay as they are.
        dispose(place.cast_signed() + 1, handler);
    }
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Sets what an executable expects: SIGPIPE at its default, and these
/// signals blocked. (Handlers are gone with the exec.)
pub(crate) fn for_launch(blocked: u64) {
    dispose(libc::SIGPIPE, libc::SIG_DFL);
    set_mask(blocked);
}

fn disposition(signal: i32) -> libc::sighandler_t {
    let mut old = empty_action();
    // SAFETY: a null new action only reads; `old` is a live sigaction.
    let result = unsafe { libc::sigaction(signal, ptr::null(), &raw mut old) };
    // The C library keeps a few real-time signals for itself and gives EINVAL.
    if result == 0 {
        old.sa_sigaction
    } else {
        libc::SIG_DFL
    }
}

fn dispose(signal: i32, handler: libc::sighandler_t) {
    let mut action = empty_action();
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler is SIG_DFL, SIG_IGN or `on_detach`, which makes
    // async-signal-safe calls only; the action is a live value.
    unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
}

fn empty_action() -> libc::sigaction {
    // SAFETY: sigaction is a C struct of integers and an optional function
    // pointer, all of which may be zero.
    unsafe { std::mem::zeroed() }
}

/// The arrivals of SIGCHLD as something to poll; non-blocking and close-on-exec.
#[derive(Debug)]
pub(crate) struct ChildSignals(OwnedFd);

impl ChildSignals {
    /// Makes the descriptor. Every signal must be blocked.
    pub(crate) fn new() -> io::Result<Self> {
        super::fail::check("signalfd")?;
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
        // SAFETY: the mask is a live value; −1 asks for a new descriptor.
        let fd = check(unsafe { libc::signalfd(-1, mask.as_ref(), flags) })?;
        // SAFETY: the kernel made this descriptor for this call.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(crate) fn move_up(&mut self) {
        super::fd::move_up(&mut self.0);
    }

    /// Gives the process that the pending SIGCHLD is about. The kernel keeps only one
    /// SIGCHLD pending at a time, so others may have ended, too.
    pub(crate) fn next(&mut self) -> Option<i32> {
        const PID: usize = std::mem::offset_of!(libc::signalfd_siginfo, ssi_pid);
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        // A signalfd gives whole records.
        nix::unistd::read(&self.0, &mut info).ok()?;
        let pid = info[PID..].first_chunk()?;
        Some(i32::from_ne_bytes(*pid))
    }
}

impl AsFd for ChildSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A signal that was waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) number: i32,
    /// Whether it was not sent by a process.
    pub(crate) by_kernel: bool,
}

/// Waits for the next signal. Every signal must be blocked.
pub(crate) fn next() -> Arrived {
    loop {
        // SAFETY: an all-zero info is one.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live values.
        let number = unsafe { libc::sigwaitinfo(SigSet::all().as_ref(), &raw mut info) };
        // The wait is interrupted when the process is stopped and continued.
        if number > 0 {
            return Arrived {
                number,
                by_kernel: info.si_code > 0,
            };
        }
    }
}

/// Ends this process by a signal, without a core and before any other that is
/// pending. Every signal must be blocked.
pub(crate) fn die_of(signal: i32) -> ! {
    // This fails only for a bad value.
    let _ = nix::sys::prctl::set_dumpable(false);
    dispose(signal, libc::SIG_DFL);
    let own = nix::unistd::getpid().as_raw();
    // SAFETY: it takes two numbers; a signal that is blocked becomes pending.
    unsafe { libc::kill(own, signal) };
    let mut only: libc::sigset_t = *SigSet::empty().as_ref();
    // SAFETY: the set is a live value.
    unsafe { libc::sigaddset(&raw mut only, signal) };
    // SAFETY: the pointers are null or to a live value.
    unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &raw const only, ptr::null_mut()) };
    super::fork::exit(128 + signal)
}

/// Sets `PR_SET_PDEATHSIG`: this process is killed when the thread that forked it ends.
/// That is sound for a template's children, since a template has one thread.
pub(crate) fn die_with_parent() -> io::Result<()> {
    // The kernel looks at the whole word of the second argument.
    let (option, signal) = (libc::PR_SET_PDEATHSIG, c_long::from(libc::SIGKILL));
    // SAFETY: the option takes a number and touches no memory.
    check(unsafe { libc::syscall(libc::SYS_prctl, option, signal) })?;
    Ok(())
}

/// Does what [`die_with_parent`] does, for the parent with this id. Ends this process
/// if that one died before its death could be a signal.
pub(crate) fn stay_with(parent: i32) -> io::Result<()> {
    let tied = die_with_parent();
    if fork::parent() != parent {
        fork::exit(0);
    }
    tied
}

/// Takes [`die_with_parent`] back.
pub(crate) fn live_on() {
    // This fails only for an invalid signal.
    let _ = nix::sys::prctl::set_pdeathsig(None);
}

/// The signal that asks a worker to live on without its template.
///
/// Only a process itself can take back its parent-death signal, so a running worker has
/// to be interrupted for it. SIGURG is ignored by default: it does not harm a worker
/// that has executed something else. (The Go runtime chose it to preempt threads for
/// the same reason.)
pub(crate) const DETACH: i32 = libc::SIGURG;

/// What `on_detach` answers on the main socket.
static ANSWER: Prepared = Prepared::new();

/// Lets [`DETACH`] free this process from its parent, from here on, and be answered
/// with these bytes.
pub(crate) fn allow_detach(answer: [u8; 24]) {
    ANSWER.set(answer);
}

extern "C" fn on_detach(_: libc::c_int) {
    keep_errno(detach);
}

/// Detaches this process. It runs in a signal handler, so it makes async-signal-safe
/// calls only.
fn detach() {
    // SAFETY: it has no conditions.
    let pid = unsafe { libc::getpid() };
    // SAFETY: it has no conditions.
    let tid = unsafe { libc::syscall(libc::SYS_gettid) };
    if i64::from(pid) != tid {
        // The parent-death signal belongs to the thread that asked for it,
        // which is the first one; its id is the process id.
        // SAFETY: tgkill reads no memory, and a signal to this very process
        // cannot reach a stranger.
        unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, DETACH) };
        return;
    }
    // SAFETY: PR_SET_PDEATHSIG takes a number and touches no memory.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) } != 0 {
        // A filter denies it, so there is nothing to tell.
        return;
    }
    // The answer has no number.
    ANSWER.say(0);
}

/// Calls `kill(2)` for a child that this process has not waited for.
pub(crate) fn kill_child(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill touches no memory; the id of a child that was not waited
    // for cannot have been given to another process.
    check(unsafe { libc::kill(pid, signal) })?;
    Ok(())
}
