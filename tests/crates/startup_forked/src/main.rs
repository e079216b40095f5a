//! For measurements of the start: nothing, with a fork before it by hand. The
//! child waits for its parent's end and leaves.
#![allow(unsafe_code, reason = "fork, before main")]

#[used]
#[unsafe(link_section = ".init_array")]
static SLOT: extern "C" fn() = fork;

extern "C" fn fork() {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: there is room for two numbers.
    unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) };
    // SAFETY: before `main` there is one thread.
    let child = unsafe { libc::fork() };
    // SAFETY: it is this function's own, and not used here again.
    unsafe { libc::close(ends[usize::from(child != 0)]) };
    if child != 0 {
        return;
    }
    let mut byte = 0_u8;
    // SAFETY: there is room for one byte.
    unsafe { libc::recv(ends[1], (&raw mut byte).cast(), 1, 0) };
    // SAFETY: it has no conditions.
    unsafe { libc::_exit(0) }
}

include!("../../startup_plain/src/nothing.rs");
