//! The two processes around a worker in a PID namespace of its own.
//!
//! ```text
//! template ── keeper ┊── init (1) ── worker (2)
//! ```
//!
//! A process can only enter a new PID namespace by being born in it, and the first one
//! born there has to be its `init`. So the process that the template knows stays
//! outside as the keeper: it passes signals on and ends as the worker did. Parent-death
//! signals tie all three together, and the namespace dies with its `init`.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, OwnedFd},
};

use crate::sys::{
    epoch, fd,
    fork::{self, Side},
    image, namespace, pidfd,
    poll::{Deadline, Want, poll},
    signal,
    single::Single,
    socket,
};

/// Enters a new PID namespace. Returns in the process that is inside; this one
/// becomes its keeper. `template` is this process's parent; with `live_on` the
/// keeper outlives it.
pub(super) fn enter(template: i32, live_on: bool) -> io::Result<()> {
    let single = Single::check()?;
    let (outside, inside) = socket::pair()?;
    let mask = signal::Mask::block();
    if let Err(error) = namespace::unshare(libc::CLONE_NEWPID) {
        mask.restore();
        return Err(error);
    }
    // This is done now, because the worker may be ready, and the template gone, before
    // the keeper runs again.
    if live_on {
        signal::live_on();
    }
    let single = match fork::fork()? {
        Side::Child(single) => single,
        Side::Parent { child } => {
            // A new user namespace may have taken the parent-death signal back.
            if !live_on && signal::stay_with(template).is_err() {
                fork::exit(0);
            }
            fd::alone_with(&single, &outside, move |inside| keep(child, inside))
        }
    };
    drop(outside);
    signal::die_with_parent()?;
    // The keeper has no id in here that could be asked for. Its end is closed if that
    // was too late.
    if !matches!(poll([Want::read(&inside)], Deadline::NOW), Ok([false])) {
        fork::exit(0);
    }
    if let Side::Parent { child } = fork::fork()? {
        fd::alone_with(&single, &inside, move |keeper| be_init(child, keeper));
    }
    // From here on this process is the worker, and not a copy of it.
    epoch::claim();
    mask.restore();
    signal::die_with_parent()?;
    let own = pidfd::open(fork::own_pid())?;
    socket::send(inside.as_fd(), &[IoSlice::new(b"w")], &[own.as_fd()], true)
}

/// Runs the keeper, which passes signals on and ends as the worker does.
fn keep(init: i32, inside: &OwnedFd) -> ! {
    image::write_title(&[b"zygote: keeper"]);
    let mut worker = None;
    loop {
        let arrived = signal::next();
        if let Some(ended) = pidfd::reap(init, false) {
            end_as(last_word(inside).unwrap_or(ended.status));
        }
        // What the kernel sends, for example for a terminal's Ctrl-C, goes to the whole
        // group.
        if arrived.by_kernel {
            continue;
        }
        if arrived.number == signal::DETACH {
            signal::live_on();
        }
        if worker.is_none() {
            worker = hear(inside, true).and_then(|heard| heard.fds.into_iter().next());
        }
        if let Some(worker) = &worker {
            let _ = pidfd::signal(worker.as_fd(), arrived.number);
        }
    }
}

/// Hears what is said from inside; `None` at the end.
fn hear(inside: &OwnedFd, wait: bool) -> Option<Heard> {
    let mut status = [0; 4];
    let got = socket::receive(inside.as_fd(), &mut status, &mut [], &mut Vec::new(), wait).ok()?;
    (got.length > 0).then_some(Heard {
        status: (got.length == status.len()).then(|| i32::from_ne_bytes(status)),
        fds: got.fds,
    })
}

/// A message from inside: the worker's pidfd, or how it ended.
struct Heard {
    status: Option<i32>,
    fds: Vec<OwnedFd>,
}

fn last_word(inside: &OwnedFd) -> Option<i32> {
    std::iter::from_fn(|| hear(inside, false)).find_map(|heard| heard.status)
}

fn end_as(status: i32) -> ! {
    if libc::WIFSIGNALED(status) {
        signal::die_of(libc::WTERMSIG(status));
    }
    fork::exit(libc::WEXITSTATUS(status))
}

/// Runs as process 1: waits for whatever it inherits, and says how the worker ended.
/// When it ends, the kernel kills everything that is left inside.
fn be_init(worker: i32, keeper: &OwnedFd) -> ! {
    image::write_title(&[b"zygote: init"]);
    while let Some(ended) = pidfd::reap(-1, true) {
        if ended.pid == worker {
            let status = ended.status.to_ne_bytes();
            // If the keeper was killed, there is nobody to tell.
            let _ = socket::send(keeper.as_fd(), &[IoSlice::new(&status)], &[], true);
            fork::exit(0);
        }
    }
    fork::exit(1)
}
