//! The standard streams that an owner lends with a task.
//!
//! A process that serves has `/dev/null` at 0 to 2, so that nobody waits for the
//! end of a pipe that the program has closed long ago.

use crate::{
    error::{Error, ErrorKind, Result},
    sys::fd,
    wire::frame::{Frame, streams},
};

const TRIED: &str = "putting the standard streams in place failed (dup2)";

/// Puts the streams that the frame brings where they belong.
pub(super) fn take(frame: &mut Frame) -> Result<()> {
    let lent: Vec<i32> = streams::of(frame.number).collect();
    let Some(at) = frame.fds.len().checked_sub(lent.len()) else {
        return Err(Error::new(ErrorKind::Protocol, TRIED).unstarted());
    };
    for (stream, fd) in lent.into_iter().zip(frame.fds.split_off(at)) {
        fd::put(stream, &fd).map_err(|error| Error::os(TRIED, error).unstarted())?;
    }
    Ok(())
}
