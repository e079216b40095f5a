//! New processes and their end.

use std::{ffi::c_void, io, ptr};

use super::{
    check, epoch, fail, profile,
    single::{Single, Threads},
};

/// Which side of a fork this is.
#[derive(Debug)]
pub(crate) enum Side {
    Parent {
        child: i32,
    },
    /// The child. A fork copies only the calling thread.
    Child(Single),
}

/// Why there was no fork.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There are other threads, with these names.
    Threads(Vec<String>),
    /// `fork(2)` failed.
    Os(io::Error),
}

impl From<Threads> for Refusal {
    fn from(Threads(names): Threads) -> Self {
        Self::Threads(names)
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Threads(names) => Self::other(format!(
                "a process with more than one thread must not be forked; the others are: {}",
                names.join(", ")
            )),
            Refusal::Os(error) => error,
        }
    }
}

/// Calls the C library's `fork(2)`, in a process with one thread.
///
/// It is not the bare system call, because allocators and the cached thread id need the
/// C library's handlers.
pub(crate) fn fork() -> Result<Side, Refusal> {
    Single::check()?;
    fail::check("fork").map_err(Refusal::Os)?;
    // SAFETY: this is the only thread, so no lock and no half-done change of
    // another thread is copied; the child may do whatever the parent may.
    match check(unsafe { libc::fork() }) {
        Ok(0) => {
            let single = Single::of_child();
            profile::begin(&single);
            Ok(Side::Child(single))
        }
        Ok(child) => Ok(Side::Parent { child }),
        Err(error) => Err(Refusal::Os(error)),
    }
}

/// Forks this process into one that runs `body` with `cargo` and sends no
/// signal at its end: `clone(2)` without an exit signal. The child is invisible
/// to `waitpid(-1)`, raises no SIGCHLD and keeps its status whatever the
/// disposition of SIGCHLD is.
///
/// The child goes on below the present frame on the same stack. That is the main stack,
/// which grows as a program's does. (The address space is copied, so the two do not
/// meet.)
pub(crate) fn clone_silent<C>(
    _: &Single,
    cargo: C,
    body: fn(Single, C) -> !,
) -> (io::Result<i32>, C) {
    extern "C" fn enter<C>(given: *mut c_void) -> libc::c_int {
        // SAFETY: the pointer is to the `given` of `clone_silent`: to the child's own
        // copy of that frame, to which it does not return.
        let (cargo, body) = unsafe { given.cast::<Given<C>>().read() };
        let single = Single::of_child();
        #[cfg(target_env = "musl")]
        correct_thread_id(&single);
        profile::begin(&single);
        body(single, cargo)
    }
    if let Err(error) = fail::check("clone") {
        return (Err(error), cargo);
    }
    let mut given: Given<C> = (cargo, body);
    let mut here = 0_u8;
    // SAFETY: the child gets a copy of this address space (no CLONE_VM), of whose
    // locks this only thread holds none; the stack below this frame is free for
    // it, and the kernel grows it on demand.
    let pid = unsafe { libc::clone(enter::<C>, below(&mut here), 0, (&raw mut given).cast()) };
    (check(pid), given.0)
}

/// What the child of [`clone_silent`] is given, and what it runs.
type Given<C> = (C, fn(Single, C) -> !);

/// Tells where a child goes on below a frame that is on the same stack. It begins with
/// a page, after room for the frames of `clone` itself in the parent.
fn below(frame: &mut u8) -> *mut c_void {
    const ROOM: usize = 16 * 1024;
    let top = ptr::from_mut(frame).wrapping_sub(ROOM);
    top.wrapping_sub(top.addr() % 4096).cast()
}

/// Makes a child as `vfork(2)` does. It runs `body` in this process's own memory, while
/// this process waits until the child has become another executable or has ended, with
/// 1 when `body` is over. So nothing is copied, and it costs only what the exec costs.
///
/// What `body` changes in memory is changed here, too, and what it owns at its end
/// stays in memory. Its descriptors, its directory and its signals are copies.
pub(crate) fn vfork<F: FnMut()>(_: &Single, mut body: F) -> io::Result<i32> {
    extern "C" fn enter<F: FnMut()>(body: *mut c_void) -> libc::c_int {
        // SAFETY: the pointer is to the `F` of the frame of `vfork`, which
        // waits until this is over; nothing else uses it meanwhile.
        let body = unsafe { &mut *body.cast::<F>() };
        body();
        exit(1)
    }
    const FLAGS: i32 = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;

    fail::check("fork")?;
    let mut here = 0_u8;
    let body: *mut F = &raw mut body;
    // SAFETY: the kernel stops the only thread of this process until the child
    // no longer uses its memory, so the two never run at the same time; the
    // child's frames are below those of the parent on the same stack, and are
    // over when the parent goes on. `enter` does not return.
    let pid = unsafe { libc::clone(enter::<F>, below(&mut here), FLAGS, body.cast()) };
    check(pid)
}

/// Corrects the thread's id, which musl keeps in memory: its `raise` and `abort` send
/// their signal to that id. Before 1.2.5 its `clone` leaves the parent's id in the
/// child: an abort of the template would kill the program. So this looks for the id and
/// puts it right. The clock's id, which musl makes from the same memory, shows whether
/// it was the right place. (`gettid` is not used for that: std has it as a weak symbol,
/// and with LTO a static program may be without it.)
#[cfg(target_env = "musl")]
fn correct_thread_id(_: &Single) {
    /// How many words of musl's `struct pthread`, which is longer, are looked at. The
    /// id comes after a few pointers at its beginning.
    const WORDS: usize = 32;
    // SAFETY: it has no conditions.
    let own = unsafe { libc::pthread_self() };
    let kept = || {
        let mut clock = 0;
        // SAFETY: the thread is this one, and `clock` a live value.
        unsafe { libc::pthread_getcpuclockid(own, &raw mut clock) };
        // This is the kernel's form: the id inverted, then three bits of kind.
        !(clock >> 3)
    };
    // In a process with one thread the two are the same.
    let (wrong, right) = (kept(), own_pid());
    if wrong == right {
        return;
    }
    let thread = own.cast::<libc::pid_t>();
    for word in (0..WORDS).map(|at| thread.wrapping_add(at)) {
        // SAFETY: the thread's structure is that long, lives as long as the
        // thread, and only this thread exists.
        if unsafe { word.read_volatile() } != wrong {
            continue;
        }
        // SAFETY: as above.
        unsafe { word.write_volatile(right) };
        if kept() == right {
            return;
        }
        // SAFETY: as above; this was another word of the same value.
        unsafe { word.write_volatile(wrong) };
    }
}

/// Calls `_exit(2)`: no destructors and no exit handlers run, since those belong to the
/// program.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: it has no conditions.
    unsafe { libc::_exit(code) }
}

/// Ends this process if user code has forked it. This is called wherever such code has
/// returned: the task, the socket and what is in the buffers belong to the process that
/// the copy was forked from.
pub(crate) fn end_copy(code: i32) {
    if epoch::is_copy() {
        exit(code);
    }
}

/// Flushes the C library's open streams.
pub(crate) fn flush_c() {
    // SAFETY: a null stream means all of them, each of which the C library locks.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// Lets other processes run first.
pub(crate) fn yield_now() {
    // SAFETY: it has no arguments and touches no memory.
    unsafe { libc::syscall(libc::SYS_sched_yield) };
}

/// Gives the process that forked this one.
pub(crate) fn parent() -> i32 {
    // SAFETY: it has no arguments and touches no memory.
    let parent = unsafe { libc::syscall(libc::SYS_getppid) };
    // The kernel's process ids always fit.
    i32::try_from(parent).unwrap_or_default()
}

/// Gives the effective user and group of this process.
pub(crate) fn user_and_group() -> (u32, u32) {
    (
        nix::unistd::geteuid().as_raw(),
        nix::unistd::getegid().as_raw(),
    )
}

/// Gives this process's id.
pub(crate) fn own_pid() -> i32 {
    nix::unistd::getpid().as_raw()
}
