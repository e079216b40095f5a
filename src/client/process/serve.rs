//! Making a process a live worker.

use std::os::fd::AsFd;

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

impl<S> Process<S> {
    /// Makes it a worker that takes calls, and gives the ends of its pipes.
    pub(crate) fn live(self) -> Result<(Live, Ends)> {
        let deadline = self.settings.until(template::PATIENCE);
        let (page, fd) = Page::make().map_err(|error| {
            Error::os(
                "making the page of a service failed (memfd_create, mmap)",
                error,
            )
            .unstarted()
        })?;
        let lease = self.lease.without_children("take calls", deadline);
        let lease = lease.map_err(Error::unstarted)?;
        let told = Told::Serve(fd.as_fd());
        let started = Started::tell(lease, self.settings, told, Until::Ready, deadline)?;
        let (peer, ends, tree) = started.settle(told)?;
        Ok((Live::new(peer, tree, page), ends))
    }
}
