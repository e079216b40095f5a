//! Runs a preload in a process that forks others.

use std::{
    os::fd::AsRawFd,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    panics,
    serve::{Host, busy, threads},
};
use crate::{
    error::{Error, Kind as ErrorKind},
    parcel::{Call, Decoder, State},
    raw,
    registry::{self, Role},
    sys::{fd, fork, signal},
    wire::{
        frame::{Failure, Frame, Head, Kind, call},
        link,
    },
};

/// Runs the preload that the frame names and answers. A preload that fails
/// ends the process: what it left behind is not known.
pub(super) fn run(host: &mut Host, frame: Frame) {
    if host.is_busy() {
        return host.fail(&busy("preload"));
    }
    let state = host.state.take();
    let result = catch_unwind(AssertUnwindSafe(|| perform(state, frame)));
    // It may have changed what a worker must find as a fresh `main` does.
    signal::block_all();
    signal::reset_dispositions();
    panics::install();
    let result = match result {
        Ok(result) => result.map_err(|error| Failure::from_error(&error)),
        Err(payload) => Err(panics::caught(&*payload)),
    };
    let result = result.and_then(|state| match fork::is_single_threaded() {
        true => Ok(state),
        false => Err(Failure {
            kind: ErrorKind::Invalid,
            unstarted: false,
            code: 0,
            text: threads(&fork::other_threads()),
        }),
    });
    match result {
        Ok(state) => host.state = state,
        Err(failure) => {
            host.fail(&failure);
            fork::exit(1);
        }
    }
    keep_descriptors(host);
    let head = Head::new(Kind::Done, 0);
    let _ = link::send(host.socket(), head, &[], &[], true);
}

fn perform(state: Option<State>, frame: Frame) -> Result<Option<State>, Error> {
    let id = call::decode(&frame.body)
        .ok_or_else(|| Error::new(ErrorKind::Protocol, "a preload without a name"))?;
    let entry = registry::find(id)?;
    if entry.role() != Role::Preload {
        return Err(Error::invalid(format!("{} is not a preload", entry.path())));
    }
    let mut call = Call {
        args: Decoder::after(call::LENGTH, frame.body, frame.fds),
        state,
        ..Call::default()
    };
    entry.run(&mut call)?;
    Ok(call.state)
}

/// Notes the descriptors that the preload left open: live values own them, so
/// that workers keep them.
fn keep_descriptors(host: &mut Host) {
    let raw = raw::held_fds();
    let own = host.own_descriptors();
    host.kept = fd::open_numbers();
    host.kept
        .retain(|fd| !own.contains(fd) && !raw.contains(fd));
    debug_assert!(!host.kept.contains(&host.socket().as_raw_fd()));
}
