//! Templates that no template has forked: copies of a process that is not the program
//! yet, and of the program itself.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
};

use super::{host::Host, panics, perform::end_unheard};
use crate::{
    error::Error,
    phase::{self, Phase},
    sys::{
        fail, fd, fork,
        image::{self, BeforeMain, Slot},
        ours, signal,
        single::{Single, Threads},
        stale,
    },
};

/// What the template, a copy of this process, takes with it.
pub(super) struct Cargo {
    pub(super) before: BeforeMain,
    /// Our place in the init array.
    pub(super) slot: &'static Slot,
    pub(super) socket: OwnedFd,
    /// Its owner's pidfd.
    pub(super) owner: OwnedFd,
    pub(super) owner_pid: i32,
    /// The process that executed this program.
    pub(super) parent: i32,
    /// A descriptor that the library owns in this process, and that is not the
    /// template's.
    pub(super) left: Option<RawFd>,
}

/// Checks that there is one thread. A constructor before ours may have started others,
/// and what they hold and do would be half-copied.
pub(super) fn check_threads() -> Result<Single, Error> {
    Single::check().map_err(|Threads(names)| {
        let names = names.join(", ");
        Error::invalid(format!(
            "no template can be forked: before `main` there are more threads than one already; \
             the others are: {names}. A constructor started them"
        ))
        .unstarted()
    })
}

/// Forks a template that serves on this socket for this owner. Gives its id, and gives
/// the socket back, because the template has its own copy.
pub(super) fn clone_template(single: &Single, cargo: Cargo) -> (io::Result<i32>, OwnedFd) {
    // What constructors left in C's buffers would be written by every fork.
    fork::flush_c();
    let (result, cargo) = fork::clone_silent(single, cargo, template);
    (result, cargo.socket)
}

/// Lives as a template at the root.
fn template(single: Single, cargo: Cargo) -> ! {
    fail::set_role("template");
    signal::block_all();
    image::mark_template();
    let (socket, owner) = (cargo.socket, cargo.owner);
    signal::reset_dispositions();
    let own = [socket.as_raw_fd(), owner.as_raw_fd()];
    let mut stale = stale::opened(&own, cargo.parent);
    stale.retain(|number| Some(*number) != cargo.left);
    close_others(&mut own.clone());
    stale::take(&stale);
    image::take_title_memory(&single);
    image::set_title("template", u64::from(cargo.owner_pid.cast_unsigned()));
    panics::install();
    // This comes before the constructors, which may keep a copy of what they find.
    if fd::let_go_of_standard().is_err() {
        fork::exit(1);
    }
    fail::point("template: before constructors");
    // This process serves, and not a copy that a constructor forks.
    ours::set_main_socket(socket.as_fd());
    phase::enter(Phase::Constructing);
    image::run_constructors_after(single, cargo.before, cargo.slot);
    fork::end_copy(0);
    end_unheard();
    // The constructors may have changed what a worker must find as a fresh `main` does.
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

/// Lives as a template that is a copy of the program, see `Process::fork_current`. The
/// copy has one thread, and its signals are blocked.
pub(crate) fn serve_copy(socket: OwnedFd, owner: OwnedFd) -> ! {
    fail::set_role("template");
    panics::install();
    let mut host = Host::root(socket, owner, Vec::new());
    if let Err(error) = fd::let_go_of_standard() {
        host.give_up(error, "letting go of the standard streams failed");
    }
    host.is_copy = true;
    host.serve()
}
