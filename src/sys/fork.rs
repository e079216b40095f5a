//! New processes and their end.

use std::{ffi::c_void, fs, io};

use super::check;

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Parent { child: i32 },
    Child,
}

/// Why there was no fork.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There are other threads, of these names.
    Threads(Vec<String>),
    /// `fork(2)` failed.
    Os(io::Error),
}

/// `fork(2)` of the C library, in a process with one thread.
///
/// The C library's, not the bare system call: allocators and the cached thread
/// id need its handlers.
pub(crate) fn fork() -> Result<Side, Refusal> {
    if !is_single_threaded() {
        return Err(Refusal::Threads(other_threads()));
    }
    // SAFETY: this is the only thread, so no lock and no half-done change of
    // another thread is copied; the child may do whatever the parent may.
    match check(unsafe { libc::fork() }) {
        Ok(0) => Ok(Side::Child),
        Ok(child) => Ok(Side::Parent { child }),
        Err(error) => Err(Refusal::Os(error)),
    }
}

/// Whether this is the only thread, by one system call: `unshare(CLONE_VM)`
/// does nothing in a process with one thread and is refused in any other.
pub(crate) fn is_single_threaded() -> bool {
    // SAFETY: with one thread it changes nothing, with more it fails.
    if unsafe { libc::unshare(libc::CLONE_VM) } == 0 {
        return true;
    }
    if io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
        return false;
    }
    // A filter denies unshare, as container runtimes' do. Without /proc as
    // well there is nothing left to ask: then it is taken for single.
    fs::read_dir("/proc/self/task").map_or(true, |tasks| tasks.count() == 1)
}

/// The names of the threads other than the first.
pub(crate) fn other_threads() -> Vec<String> {
    let first = std::process::id().to_string();
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    tasks
        .filter_map(Result::ok)
        .filter(|task| task.file_name() != first.as_str())
        .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok())
        .map(|name| name.trim_end().to_owned())
        .collect()
}

/// Forks this process, before `main`, into one that runs `body` and sends no
/// signal at its end: `clone(2)` without an exit signal. The child is invisible
/// to `waitpid(-1)`, raises no SIGCHLD and keeps its status whatever the
/// disposition of SIGCHLD is.
///
/// The child goes on below the present frame on the same stack: the main stack,
/// which grows as a program's does. (The address space is copied, so the two do
/// not meet.)
pub(crate) fn clone_silent(body: fn() -> !) -> io::Result<i32> {
    extern "C" fn enter(body: *mut c_void) -> libc::c_int {
        // SAFETY: the pointer is the `fn() -> !` that `clone_silent` was given.
        let body: fn() -> ! = unsafe { std::mem::transmute(body) };
        #[cfg(target_env = "musl")]
        correct_thread_id();
        body()
    }
    /// Room for the frames of `clone` itself in the parent.
    const BELOW: usize = 16 * 1024;

    let mut here = 0_u8;
    let top = (&raw mut here).wrapping_sub(BELOW);
    // What a template and its forks use of the stack begins with a page.
    let top = top.wrapping_sub(top.addr() % 4096);
    // SAFETY: the child gets a copy of this address space (no CLONE_VM), so the
    // stack below this frame is free for it; the kernel grows it on demand.
    let pid = unsafe { libc::clone(enter, top.cast(), 0, body as *mut c_void) };
    check(pid)
}

/// musl keeps the thread's id in memory, and its `raise` and `abort` send the
/// signal there. Before 1.2.5 its `clone` leaves the parent's id in the child: an
/// abort of the template would kill the program. So it is looked for and put
/// right; that it was the right place is seen by the clock's id, which musl
/// makes of the same memory. (Not by `gettid`: std has that as a weak symbol,
/// and with LTO a static program may be without it.)
#[cfg(target_env = "musl")]
fn correct_thread_id() {
    /// How many words of musl's `struct pthread`, which is longer, are looked
    /// at; the id stands behind a few pointers at its beginning.
    const WORDS: usize = 32;
    // SAFETY: it has no conditions.
    let own = unsafe { libc::pthread_self() };
    let kept = || {
        let mut clock = 0;
        // SAFETY: the thread is this one, and `clock` a live value.
        unsafe { libc::pthread_getcpuclockid(own, &raw mut clock) };
        // The kernel's form of it: the id inverted, then three bits of kind.
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

/// `_exit(2)`: no destructors, no exit handlers; those belong to the program.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: it has no conditions.
    unsafe { libc::_exit(code) }
}

/// Flushes the C library's open streams.
pub(crate) fn flush_c() {
    // SAFETY: a null stream means all of them, and this is between two user
    // functions, not inside one.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// Lets the others run first.
pub(crate) fn yield_now() {
    std::thread::yield_now();
}

/// The process that forked this one.
pub(crate) fn parent() -> i32 {
    nix::unistd::getppid().as_raw()
}

/// This process.
pub(crate) fn own_pid() -> i32 {
    nix::unistd::getpid().as_raw()
}
