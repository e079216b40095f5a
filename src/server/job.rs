//! A job: the entry or the preload that a frame names, with its arguments.

use crate::{
    error::{Error, ErrorKind, Result},
    parcel::{Decoder, Job, State},
    registry::{self, Entry, Role},
    wire::frame::{Frame, job},
};

/// Finds the entry that a frame names.
pub(super) fn entry(frame: &Frame) -> Result<&'static Entry> {
    let entry = find(frame, "a task")?;
    if entry.role() == Role::Preload {
        let text = format!("{} is a preload, not an entry", entry.path());
        return Err(Error::invalid(text));
    }
    Ok(entry)
}

/// Finds the preload that a frame names.
pub(super) fn preload(frame: &Frame) -> Result<&'static Entry> {
    let entry = find(frame, "a preload")?;
    if entry.role() != Role::Preload {
        return Err(Error::invalid(format!("{} is not a preload", entry.path())));
    }
    Ok(entry)
}

fn find(frame: &Frame, what: &str) -> Result<&'static Entry> {
    let id = job::decode(&frame.body);
    let id = id.ok_or_else(|| Error::new(ErrorKind::Protocol, format!("{what} without a name")))?;
    registry::find(id)
}

/// Makes what the entry is given: the arguments that the frame brings, and the
/// preloaded value.
pub(super) fn given(frame: Frame, state: Option<State>) -> Job {
    Job {
        args: Decoder::after(job::LENGTH, frame.body, frame.fds),
        state,
        ..Job::default()
    }
}
