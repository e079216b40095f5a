//! The standard streams that an owner lends with a task.
//!
//! A process that serves has `/dev/null` at 0 to 2, so that nobody waits for the
//! end of a pipe that the program has closed long ago.

use crate::{
    error::Kind as ErrorKind,
    sys::fd,
    wire::frame::{Failure, Frame, streams},
};

/// Puts those that the frame brings where they belong.
pub(super) fn take(frame: &mut Frame) -> Result<(), Failure> {
    let lent: Vec<i32> = streams::of(frame.number).collect();
    let Some(at) = frame.fds.len().checked_sub(lent.len()) else {
        return Err(failure(ErrorKind::Protocol, 0));
    };
    for (stream, fd) in lent.into_iter().zip(frame.fds.split_off(at)) {
        fd::put(stream, &fd)
            .map_err(|error| failure(ErrorKind::Os, error.raw_os_error().unwrap_or(0)))?;
    }
    Ok(())
}

fn failure(kind: ErrorKind, code: i32) -> Failure {
    Failure {
        kind,
        unstarted: true,
        code,
        text: "putting the standard streams in place failed (dup2)".to_owned(),
    }
}
