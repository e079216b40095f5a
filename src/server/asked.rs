//! Hidden server mode: a program that was executed by itself, to be a template.
//!
//! It can be reached only by a process of the same user that made this one, over
//! a socket, with a token that is read from that socket.

use std::{
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use super::hook::{check_threads, clone_template};
use crate::{
    start,
    sys::{
        fd, fork, image, pidfd,
        poll::{Deadline, Want, poll},
        spawn,
    },
    wire::{
        frame::{Failure, Head, Kind},
        link,
    },
};

/// Hidden server mode: when the program was executed by itself to be a
/// template, becomes one and does not return. In every other case, whatever
/// the environment says, nothing happens.
pub(super) fn serve_if_asked() {
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
fn asked_by() -> Option<(OwnedFd, i32)> {
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
fn is_stranger(peer: i32) -> bool {
    if fork::parent() == peer {
        return false;
    }
    let Ok(handle) = pidfd::open(peer) else {
        return false;
    };
    let now = Deadline::after(Duration::ZERO);
    matches!(poll([Want::read(&handle)], now), Ok([false]))
}
