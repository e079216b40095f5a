//! The program's own 0 to 2, which a worker has unless its settings say otherwise.

use std::os::fd::BorrowedFd;

use crate::{
    settings::{STREAMS, Settings},
    sys::fd,
    wire::frame::streams,
};

/// Gives the program's own 0 to 2 as they are now, unless the settings say otherwise,
/// and their flags. A stream that is closed is `/dev/null` in the worker.
pub(crate) fn lend(settings: &Settings) -> (u64, Vec<BorrowedFd<'static>>) {
    let (mut flags, mut lent) = (0, Vec::new());
    for (stream, what) in (0..).zip(STREAMS) {
        if settings.inherits(what)
            && let Ok(fd) = fd::standard(stream)
        {
            flags |= streams::flag(stream);
            lent.push(fd);
        }
    }
    (flags, lent)
}
