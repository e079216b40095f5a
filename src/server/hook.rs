//! Before `main`: is this the program, or a template?
//!
//! The Rust runtime is not up: 0–2 may be closed, SIGPIPE is at its default,
//! and with musl there are no arguments. Nothing here may panic.

use std::{
    ffi::{c_char, c_int},
    os::fd::AsRawFd,
};

use super::root::{Cargo, check_threads, clone_template};
use crate::{
    phase::{self, Phase},
    registry::EARLY,
    start,
    sys::{
        executable, fd, fork,
        image::{self, Constructor},
        ours::Ours,
        pidfd, socket,
    },
};

/// Our place in the init array. The slot is our own and not one of the crate `ctor`,
/// because a template must call the constructors that stand after the slot, and so must
/// know where it is. (Miri calls it without arguments, and has no processes.)
#[used]
#[cfg_attr(
    not(miri),
    expect(unsafe_code, reason = "the loader calls what stands in this section"),
    unsafe(link_section = ".init_array")
)]
static SLOT: Constructor = hook;

extern "C" fn hook(argc: c_int, argv: *const *const c_char, _: *const *const c_char) {
    phase::enter(Phase::Running);
    // In a shared object inside another program nothing is ever started.
    if !executable::is_in_executable(&SLOT) {
        return;
    }
    start::mark_hooked();
    image::remember_arguments(argc, argv);
    // This is a template of another version of this crate, whose slot stands before
    // this one.
    if image::is_template() {
        return;
    }
    #[cfg(feature = "exec")]
    super::asked::serve_if_asked(&SLOT);
    if !EARLY.is_empty() {
        start_early();
    }
}

/// Forks the early template. If that fails, the program goes on without one: the first
/// spawn says why, or executes a template.
fn start_early() {
    let single = match check_threads() {
        Ok(single) => single,
        Err(error) => return start::leave_refusal(error),
    };
    fd::fill_standard();
    let Ok((near, far)) = socket::pair() else {
        return;
    };
    let pid = fork::own_pid();
    let Ok(own) = pidfd::open(pid) else {
        return;
    };
    let cargo = Cargo {
        slot: &SLOT,
        socket: far,
        owner: own,
        owner_pid: pid,
        parent: fork::parent(),
        left: Some(near.as_raw_fd()),
    };
    if let (Ok(child), _) = clone_template(&single, cargo) {
        start::leave_early(Ours::new(near), child);
    }
}
