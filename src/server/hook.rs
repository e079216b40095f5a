//! Before `main`: is this the program, or a template?
//!
//! The Rust runtime is not up: 0–2 may be closed, SIGPIPE is at its default,
//! and with musl there are no arguments. Nothing here may panic.

use std::os::fd::AsRawFd;

use super::root::{Cargo, check_threads, clone_template};
use crate::{
    phase::{self, Phase},
    registry::EARLY,
    start,
    sys::{
        fd, fork,
        image::{self, BeforeMain, Slot},
        ours::Ours,
        pidfd, socket,
    },
};

/// Our place in the init array. The slot is our own and not one of the crate `ctor`,
/// because a template must call the constructors that stand after the slot, and so must
/// know where it is. (Miri calls it without arguments, and has no processes.)
#[used]
#[expect(unsafe_code, reason = "the loader calls what stands in this section")]
#[cfg_attr(not(miri), unsafe(link_section = ".init_array"))]
// SAFETY: it stands there. (Miri has nothing that looks at it.)
static SLOT: Slot = unsafe { Slot::new::<Hook>() };

struct Hook;

impl image::Hook for Hook {
    fn run(before: Option<BeforeMain>) {
        phase::enter(Phase::Running);
        // In a shared object inside another program nothing is ever started.
        let Some(before) = before else { return };
        start::mark_hooked();
        // This is a template of another version of this crate, whose slot stands before
        // this one.
        if image::is_template() {
            return;
        }
        #[cfg(feature = "exec")]
        let before = super::asked::serve_if_asked(before, &SLOT);
        if !EARLY.is_empty() {
            start_early(before);
        }
    }
}

/// Forks the early template. If that fails, the program goes on without one: the first
/// spawn says why, or executes a template.
fn start_early(before: BeforeMain) {
    // An allocator may start a thread with the first allocation, which must not be the
    // template's own: that one could never fork.
    drop(std::hint::black_box(Box::new(0_u8)));
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
        before,
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
