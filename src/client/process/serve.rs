//! Making a process a live worker.

use std::os::fd::{AsFd, OwnedFd};

use super::{
    Process,
    started::{Started, Told, Until},
};
use crate::{
    client::{live::Live, template},
    error::{Error, Result},
    settings::Ends,
    wire::page::Page,
};

/// A process that was told to take calls, and may not exist yet.
pub(crate) struct Starting {
    started: Started,
    page: Page,
    /// The page, for the process.
    fd: OwnedFd,
    keeps: bool,
}

impl<S> Process<S> {
    /// Tells it to take calls. With `keeps` it goes on after a panic that had the
    /// preloaded value by `&mut`.
    pub(crate) fn begin_to_serve(self, keeps: bool) -> Result<Starting> {
        let deadline = self.settings.until(template::PATIENCE);
        let (page, fd) = Page::make().map_err(|error| {
            Error::os(
                "making the page of a live worker failed (memfd_create, mmap)",
                error,
            )
            .unstarted()
        })?;
        let lease = self.lease.without_children("take calls", deadline);
        let lease = lease.map_err(Error::unstarted)?;
        let told = Told::Serve(fd.as_fd(), keeps);
        let started = Started::tell(lease, self.settings, told, Until::Ready, deadline)?;
        Ok(Starting {
            started,
            page,
            fd,
            keeps,
        })
    }
}

impl Starting {
    /// Waits until it is what its settings make of it, and gives the ends of its pipes.
    pub(crate) fn finish(self) -> Result<(Live, Ends)> {
        let told = Told::Serve(self.fd.as_fd(), self.keeps);
        let (peer, ends, tree) = self.started.settle(told)?;
        Ok((Live::new(peer, tree, self.page), ends))
    }
}
