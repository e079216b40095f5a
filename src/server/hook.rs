//! Before `main`: is this the program, or a template?
//!
//! The Rust runtime is not up: 0–2 may be closed, SIGPIPE is at its default,
//! and with musl there are no arguments. Nothing here may panic.

use std::{
    ffi::{c_char, c_int},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

use super::{panics, serve::Host};
#[cfg(feature = "exec")]
use crate::wire::{
    frame::{Failure, Head, Kind},
    link,
};
use crate::{
    error::Error,
    registry::EARLY,
    start,
    sys::{
        fd, fork,
        image::{self, Constructor},
        pidfd, signal, socket,
    },
};

/// Our place in the init array. A slot of our own and not the crate `ctor`'s: a
/// template must call the constructors that stand after it, and so must know
/// where it stands.
#[used]
#[expect(unsafe_code, reason = "the loader calls what stands in this section")]
#[unsafe(link_section = ".init_array")]
static SLOT: Constructor = hook;

extern "C" fn hook(argc: c_int, argv: *const *const c_char, _: *const *const c_char) {
    // In a shared object inside another program nothing is ever started.
    if !image::is_in_executable(&SLOT) {
        return;
    }
    start::mark_hooked();
    image::remember_arguments(argc, argv);
    #[cfg(feature = "exec")]
    serve_if_asked();
    if !EARLY.is_empty() {
        start_early();
    }
}

/// What the template, a copy of this process, takes with it: its socket, and
/// its owner's pidfd and id.
static CARGO: Mutex<Option<(OwnedFd, Option<OwnedFd>, i32)>> = Mutex::new(None);

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
    if clone_template(far, pidfd::open(pid).ok(), pid).is_ok() {
        start::leave_early(near);
    }
}

/// A constructor before ours may have started threads. What they hold and do
/// would be half-copied.
fn check_threads() -> Result<(), Error> {
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

/// Forks a template that serves on `socket` for this owner.
fn clone_template(socket: OwnedFd, owner: Option<OwnedFd>, owner_pid: i32) -> std::io::Result<i32> {
    set_cargo(Some((socket, owner, owner_pid)));
    let result = fork::clone_silent(template);
    // In the parent; the template has its own copy.
    set_cargo(None);
    result
}

fn set_cargo(cargo: Option<(OwnedFd, Option<OwnedFd>, i32)>) {
    *CARGO.lock().unwrap_or_else(PoisonError::into_inner) = cargo;
}

/// The life of a template that stands at the root.
fn template() -> ! {
    signal::block_all();
    let mut cargo = CARGO.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((socket, owner, owner_pid)) = cargo.take() else {
        fork::exit(1);
    };
    drop(cargo);
    signal::reset_dispositions();
    let mut keep = vec![socket.as_raw_fd()];
    keep.extend(owner.iter().map(AsRawFd::as_raw_fd));
    close_others(&mut keep);
    image::take_title_memory();
    image::set_title("template", u64::from(owner_pid.cast_unsigned()));
    panics::install();
    image::run_constructors_after(&SLOT);
    // They may have changed what a worker must find as a fresh `main` does.
    signal::block_all();
    signal::reset_dispositions();
    Host::root(socket, owner).serve()
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

/// Hidden server mode: when the program was executed by itself to be a
/// template, becomes one and does not return. In every other case, whatever
/// the environment says, nothing happens.
#[cfg(feature = "exec")]
fn serve_if_asked() {
    let Some(parent) = asked_by() else { return };
    let (socket, owner_pid) = parent;
    // The token was right: from here on this is not the user's program, which
    // must not run a second time. First of all, so that nothing else gets one
    // of these numbers.
    fd::fill_standard();
    let owner = pidfd::open(owner_pid).ok();
    if fork::parent() != owner_pid {
        fork::exit(0);
    }
    if let Err(error) = check_threads() {
        let failure = Failure::from_error(&error).encode();
        let _ = link::send(
            socket.as_fd(),
            Head::new(Kind::Failed, 0),
            &[&failure],
            &[],
            false,
        );
        fork::exit(1);
    }
    // A copy, so that the program can wait for this process at once and has no
    // child that it did not make.
    let code = match clone_template(socket, owner, owner_pid) {
        Ok(_) => 0,
        Err(_) => 1,
    };
    fork::exit(code)
}

/// The socket and the process that asks, if a program asks itself.
#[cfg(feature = "exec")]
fn asked_by() -> Option<(OwnedFd, i32)> {
    use crate::sys::spawn;

    let name = std::ffi::CString::new(start::VARIABLE).ok()?;
    let (number, token) = image::variable(&name)?.split_once(':')?;
    if image::is_privileged() {
        return None;
    }
    let token: u64 = token.parse().ok()?;
    let (socket, peer) = spawn::inherited_socket(number.parse().ok()?)?;
    let frame = link::receive(socket, false).ok()?;
    if (frame.kind, frame.number) != (Kind::Token, token) {
        return None;
    }
    if is_stranger(peer) {
        return None;
    }
    image::remove_variable(&name);
    Some((spawn::take_inherited(socket).ok()?, peer))
}

/// Whether the process that asks lives and is not the one that executed this
/// program. One that has died may have been either.
#[cfg(feature = "exec")]
fn is_stranger(peer: i32) -> bool {
    use crate::sys::poll::{Deadline, Want, poll};

    if fork::parent() == peer {
        return false;
    }
    let Ok(handle) = pidfd::open(peer) else {
        return false;
    };
    let now = Deadline::after(std::time::Duration::ZERO);
    matches!(poll([Want::read(&handle)], now), Ok([false]))
}
