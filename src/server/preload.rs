//! Runs a preload in a process that forks others.

use super::{
    panics,
    perform::{end_unheard, perform},
    serve::{Host, busy, threads},
    streams, worker,
};
use crate::{
    error::{Error, Kind as ErrorKind},
    parcel::{Call, Decoder, State},
    phase::{self, Phase},
    registry::{self, Role},
    sys::{fail, fd, fork, signal},
    wire::{
        frame::{Failure, Frame, Head, Kind, call},
        link,
    },
};

/// Runs the preload that the frame names and answers. A preload that fails
/// ends the process: what it left behind is not known.
pub(super) fn run(host: &mut Host, mut frame: Frame) {
    if host.is_busy() {
        return host.fail(&busy("preload"));
    }
    fail::set_role("template");
    let state = host.state.take();
    // What stands at 0 to 2 before. Afterwards there may be no room to open it.
    let nothing = match fd::lend(0).and_then(|null| null.try_clone_to_owned()) {
        Ok(nothing) => nothing,
        Err(error) => host.give_up(&error, "keeping the standard streams failed"),
    };
    phase::enter(Phase::Running);
    let result = streams::take(&mut frame)
        .and_then(|()| perform(|| load(state, frame)))
        .and_then(|result| result.map_err(|error| Failure::from_error(&error)));
    phase::enter(Phase::Serving);
    fail::point("template: after preload");
    // It may have changed what a template depends on.
    signal::block_all();
    signal::see_children();
    panics::install();
    // Before the answer, and so that no fork writes it once more.
    worker::write_out();
    end_unheard();
    if let Err(error) = (0..3).try_for_each(|stream| fd::put(stream, &nothing)) {
        host.give_up(&error, "letting go of the standard streams failed");
    }
    drop(nothing);
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
    host.keep_descriptors(&[]);
    let head = Head::new(Kind::Done, 0);
    let _ = link::send(host.socket(), head, &[], &[], true);
}

fn load(state: Option<State>, frame: Frame) -> Result<Option<State>, Error> {
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
    fail::point("template: before preload");
    entry.run(&mut call)?;
    Ok(call.state)
}
