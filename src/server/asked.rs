//! Hidden server mode: a program that was executed by itself, to be a template.
//!
//! It can be reached only by a process of the same user that made this one, over
//! a socket, with a token that is read from that socket.

use std::{
    env,
    ffi::CString,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use super::{
    host::fail_on,
    root::{Cargo, check_threads, clone_template},
};
use crate::{
    error::{Error, Result},
    phase, start,
    sys::{
        fail, fd, fork,
        image::{self, BeforeMain, Slot},
        pidfd,
        poll::{Deadline, Want, poll},
        spawn,
    },
    wire::{
        frame::{Head, Kind},
        link::{self, Trouble},
    },
};

/// Enters the hidden server mode: when the program was executed by itself to be a
/// template, becomes one and does not return. In every other case, whatever the
/// environment says, nothing happens.
pub(super) fn serve_if_asked(before: BeforeMain, slot: &'static Slot) -> BeforeMain {
    let said = env::var(start::VARIABLE).ok();
    let Some(request) = said.as_deref().and_then(Request::parse) else {
        return before;
    };
    fail::point("executed: before token");
    match request.verify(&before) {
        Ok(Some(asked)) => become_template(asked, before, slot),
        _ if !request.is_of_parent() => before,
        // Its parent executed it for this, and something is in the way. The program
        // must not run a second time, or it would execute itself again, and so on.
        Err(error) => {
            let _ = fd::lend(&[request.number], |socket| fail_on(&socket[0], &error));
            fork::exit(1);
        }
        // It has more privileges than the parent, or a constructor took the socket.
        Ok(None) => fork::exit(1),
    }
}

/// Makes the template that was asked for. The token was right: from here on this is not
/// the user's program, which must not run a second time.
fn become_template(asked: Asked, before: BeforeMain, slot: &'static Slot) -> ! {
    let Asked {
        socket,
        owner,
        owner_pid,
        depth,
    } = asked;
    // Descriptors 0 to 2 are filled first of all, so that nothing else gets one of these
    // numbers.
    fd::fill_standard();
    phase::set_depth(depth);
    if fork::parent() != owner_pid {
        fork::exit(0);
    }
    let single = match check_threads() {
        Ok(single) => single,
        Err(error) => refuse(&socket, &error),
    };
    if let Ok(name) = CString::new(start::VARIABLE) {
        image::remove_variable(&single, &name);
    }
    // The template is a copy of this process, so that the program can wait for this
    // process at once and has no child that it did not make.
    let cargo = Cargo {
        before,
        slot,
        socket,
        owner,
        owner_pid,
        parent: owner_pid,
        left: None,
    };
    fail::point("executed: before clone");
    let cloned = clone_template(&single, cargo);
    fail::point("executed: after clone");
    match cloned {
        (Ok(child), socket) => tell_born(socket.as_fd(), child),
        (Err(error), socket) => refuse(&socket, &Error::os("clone of a template failed", error)),
    }
    fork::exit(0)
}

/// Gives the program a handle on its template, which may hang in a constructor or be
/// stopped before it can say a word. If that fails, the template works all the same.
fn tell_born(socket: BorrowedFd<'_>, template: i32) {
    if let Ok(handle) = pidfd::open(template) {
        let head = Head::new(Kind::Born, u64::from(template.cast_unsigned()));
        let _ = link::send(socket, head, &[], &[handle.as_fd()], false);
    }
}

/// Tells the program why there will be no template.
fn refuse(socket: &impl AsFd, error: &Error) -> ! {
    fail_on(socket, error);
    fork::exit(1)
}

/// What the variable says: `NUMBER:TOKEN`, followed by `:ASKER` when a program asks
/// itself.
struct Request {
    /// The number of the socket.
    number: i32,
    token: u64,
    /// The process that executed this one, as it says.
    asker: Option<i32>,
}

/// A program that asks itself.
struct Asked {
    socket: OwnedFd,
    /// The pidfd of the program that asks: its number may not be visible here.
    owner: OwnedFd,
    owner_pid: i32,
    /// How deep the template will stand, see [`phase`].
    depth: u32,
}

impl Request {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(':');
        let request = Self {
            number: words.next()?.parse().ok()?,
            token: words.next()?.parse().ok()?,
            asker: words.next().map(str::parse).transpose().ok()?,
        };
        words.next().is_none().then_some(request)
    }

    /// Tells whether the process that executed this one says that it asks.
    fn is_of_parent(&self) -> bool {
        self.asker == Some(fork::parent())
    }

    /// Gives the socket and the process that asks, if a program asks itself.
    ///
    /// # Errors
    ///
    /// A program may be asking itself, but a system call failed.
    fn verify(&self, before: &BeforeMain) -> Result<Option<Asked>> {
        let failed = |error| Error::os("taking a template's socket and token failed", error);
        if image::is_privileged() {
            return Ok(None);
        }
        let inherited = spawn::inherited_socket(before, self.number).map_err(failed)?;
        let Some(socket) = inherited else {
            return Ok(None);
        };
        let peer = socket.peer();
        let mut frame = match link::receive(socket.as_fd(), false) {
            Ok(frame) => frame,
            Err(trouble @ (Trouble::Os(..) | Trouble::NoRoom { .. })) => {
                return Err(trouble.into_error("reading a template's token"));
            }
            Err(_) => return Ok(None),
        };
        if (frame.kind, frame.number) != (Kind::Token, self.token) || is_stranger(peer) {
            return Ok(None);
        }
        let Some(owner) = frame.fds.pop() else {
            return Ok(None);
        };
        let depth = frame.body.first_chunk().copied();
        Ok(Some(Asked {
            // Before 0 to 2 are filled, it may have got one of those numbers.
            owner: fd::above_standard(owner).map_err(failed)?,
            socket: socket.take().map_err(failed)?,
            owner_pid: peer,
            depth: depth.map_or(0, u32::from_le_bytes),
        }))
    }
}

/// Tells whether the process that asks lives and is not the one that executed this
/// program. A process that has died may have been either.
fn is_stranger(peer: i32) -> bool {
    if fork::parent() == peer {
        return false;
    }
    let Ok(handle) = pidfd::open(peer) else {
        return false;
    };
    matches!(poll([Want::read(&handle)], Deadline::NOW), Ok([false]))
}
