//! Before `main`: is this the program, or a template?
//!
//! The Rust runtime is not up: 0–2 may be closed, SIGPIPE is at its default,
//! and with musl there are no arguments. Nothing here may panic.

use std::{
    ffi::{c_char, c_int},
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    sync::{Mutex, PoisonError},
};

use super::{panics, perform::end_unheard, serve::Host};
use crate::{
    error::Error,
    phase::{self, Phase},
    registry::EARLY,
    start,
    sys::{
        executable, fail, fd, fork,
        image::{self, Constructor},
        ours::{self, Ours},
        pidfd, signal, socket, stale,
    },
};

/// Our place in the init array. A slot of our own and not the crate `ctor`'s: a
/// template must call the constructors that stand after it, and so must know
/// where it stands. (Miri calls it without arguments, and has no processes.)
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
    // Of another version of this crate, which stands before this one.
    if image::is_template() {
        return;
    }
    #[cfg(feature = "exec")]
    super::asked::serve_if_asked();
    if !EARLY.is_empty() {
        start_early();
    }
}

/// What the template, a copy of this process, takes with it.
pub(super) struct Cargo {
    pub(super) socket: OwnedFd,
    /// Its owner's pidfd.
    pub(super) owner: OwnedFd,
    pub(super) owner_pid: i32,
    /// The process that executed this program.
    pub(super) parent: i32,
    /// What is the library's own in this process, and not the template's.
    pub(super) left: Option<RawFd>,
}

static CARGO: Mutex<Option<Cargo>> = Mutex::new(None);

/// Forks the early template. Where that fails the program goes on without: the
/// first spawn says why, or executes one.
fn start_early() {
    if let Err(error) = check_threads() {
        return start::leave_refusal(error);
    }
    fd::fill_standard();
    let Ok((near, far)) = socket::pair() else {
        return;
    };
    let pid = fork::own_pid();
    let Ok(own) = pidfd::open(pid) else {
        return;
    };
    let cargo = Cargo {
        socket: far,
        owner: own,
        owner_pid: pid,
        parent: fork::parent(),
        left: Some(near.as_raw_fd()),
    };
    if let (Ok(child), _) = clone_template(cargo) {
        start::leave_early(Ours::new(near), child);
    }
}

/// A constructor before ours may have started threads. What they hold and do
/// would be half-copied.
pub(super) fn check_threads() -> Result<(), Error> {
    if fork::is_single_threaded() {
        return Ok(());
    }
    let names = fork::other_threads().join(", ");
    Err(Error::invalid(format!(
        "no template can be forked: before `main` there are more threads than one already; the \
         others are: {names}. A constructor started them"
    ))
    .unstarted())
}

/// Forks a template that serves on this socket for this owner. Gives its id, and
/// the socket back, of which the template has its own copy.
pub(super) fn clone_template(cargo: Cargo) -> (std::io::Result<i32>, Option<OwnedFd>) {
    // What constructors left in C's buffers would be written by every fork.
    fork::flush_c();
    exchange_cargo(Some(cargo));
    let result = fork::clone_silent(template);
    let cargo = exchange_cargo(None);
    (result, cargo.map(|cargo| cargo.socket))
}

fn exchange_cargo(cargo: Option<Cargo>) -> Option<Cargo> {
    let mut held = CARGO.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut held, cargo)
}

/// The life of a template that stands at the root.
fn template() -> ! {
    fail::set_role("template");
    signal::block_all();
    image::mark_template();
    let Some(cargo) = exchange_cargo(None) else {
        fork::exit(1);
    };
    let Cargo { socket, owner, .. } = cargo;
    signal::reset_dispositions();
    let own = [socket.as_raw_fd(), owner.as_raw_fd()];
    let mut stale = stale::opened(&own, cargo.parent);
    stale.retain(|number| Some(*number) != cargo.left);
    close_others(&mut own.clone());
    stale::take(&stale);
    image::take_title_memory();
    image::set_title("template", u64::from(cargo.owner_pid.cast_unsigned()));
    panics::install();
    // Before the constructors, which may keep a copy of what they find.
    if fd::let_go_of_standard().is_err() {
        fork::exit(1);
    }
    fail::point("template: before constructors");
    // This one serves, and not a copy that a constructor forks.
    ours::set_main_socket(socket.as_fd());
    phase::enter(Phase::Constructing);
    image::run_constructors_after(&SLOT);
    fork::end_copy(0);
    end_unheard();
    // They may have changed what a worker must find as a fresh `main` does.
    signal::block_all();
    signal::reset_dispositions();
    let stale = stale::others(&own);
    stale::take(&stale);
    Host::root(socket, owner, stale).serve()
}

#[expect(
    unsafe_code,
    reason = "its contract is about what lives in this process"
)]
fn close_others(keep: &mut [i32]) {
    // SAFETY: a template is a new copy of a process that has not reached
    // `main`: what opened the others was left behind, but for constructors
    // before ours, whose descriptors are not meant for workers.
    unsafe { fd::close_others(keep) };
}
