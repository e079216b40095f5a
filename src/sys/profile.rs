//! What a program counts if it was built to count (`-C instrument-coverage`).
//!
//! LLVM's runtime writes its counters in an exit handler, and these processes end
//! without running one. In a program that does not count, the runtime's functions are
//! not linked, and all that happens here is one comparison.

use std::ffi::{c_char, c_int};

use super::single::Single;

/// The runtime's functions; each is null if it is not linked.
#[repr(C)]
struct Runtime {
    write_file: Option<unsafe extern "C" fn() -> c_int>,
    reset_counters: Option<unsafe extern "C" fn()>,
    set_filename: Option<unsafe extern "C" fn(*const c_char)>,
    is_continuous: Option<unsafe extern "C" fn() -> c_int>,
}

// They are weak, so they are null when the program does not count, and hidden, as LLVM
// has them: in a shared object they are that object's own.
std::arch::global_asm!(
    ".weak __llvm_profile_write_file",
    ".hidden __llvm_profile_write_file",
    ".weak __llvm_profile_reset_counters",
    ".hidden __llvm_profile_reset_counters",
    ".weak __llvm_profile_set_filename",
    ".hidden __llvm_profile_set_filename",
    ".weak __llvm_profile_is_continuous_mode_enabled",
    ".hidden __llvm_profile_is_continuous_mode_enabled",
    ".pushsection .data.rel.ro.zygote_profile_runtime, \"aw\"",
    ".balign 8",
    concat!(".hidden ", symbol!("profile_runtime")),
    concat!(".globl ", symbol!("profile_runtime")),
    concat!(symbol!("profile_runtime"), ":"),
    ".quad __llvm_profile_write_file",
    ".quad __llvm_profile_reset_counters",
    ".quad __llvm_profile_set_filename",
    ".quad __llvm_profile_is_continuous_mode_enabled",
    ".popsection",
);

unsafe extern "C" {
    #[link_name = symbol!("profile_runtime")]
    static RUNTIME: Runtime;
}

fn runtime() -> &'static Runtime {
    // SAFETY: the table is defined above, initialised by the linker and never
    // written.
    unsafe { &RUNTIME }
}

/// Makes a new process count from zero, into a file of its own. What it inherited is
/// written by the process that it was forked from.
pub(crate) fn begin(_: &Single) {
    let Some(reset) = runtime().reset_counters else {
        return;
    };
    // SAFETY: it zeroes the runtime's counters, to which no other thread adds.
    unsafe { reset() };
    // SAFETY: the name ends in NUL; no other thread changes the environment.
    let pattern = unsafe { libc::getenv(c"LLVM_PROFILE_FILE".as_ptr()) };
    let Some(set_filename) = runtime().set_filename else {
        return;
    };
    // Without the variable there is the compiler's own name: one file, which each
    // process locks and adds to.
    // SAFETY: the environment's strings end in NUL, so the first byte is there.
    if pattern.is_null() || unsafe { *pattern } == 0 {
        return;
    }
    // The runtime puts the process id into the name when the pattern changes,
    // and only then.
    // SAFETY: the name ends in NUL, and no other thread calls the runtime.
    unsafe { set_filename(c"/dev/null".as_ptr()) };
    // SAFETY: the environment's strings end in NUL; the runtime makes a copy.
    unsafe { set_filename(pattern) };
}

/// Writes what was counted so far. The runtime adds to a file that is there,
/// so counting begins anew.
pub(crate) fn write() {
    let (Some(write), Some(reset)) = (runtime().write_file, runtime().reset_counters) else {
        return;
    };
    // The counters are the file itself (`%c`), for all forks together.
    if runtime().is_continuous.is_some_and(is_on) {
        return;
    }
    // SAFETY: it reads the counters; another thread that the user started may
    // add to them meanwhile, as it may at any program's end.
    unsafe { write() };
    // SAFETY: it zeroes the counters; see above.
    unsafe { reset() };
}

fn is_on(ask: unsafe extern "C" fn() -> c_int) -> bool {
    // SAFETY: it reads a variable of the runtime's.
    unsafe { ask() != 0 }
}
