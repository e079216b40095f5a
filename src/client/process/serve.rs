//! Making a process a live worker.

use std::os::fd::{AsFd, OwnedFd};

use super::{
    Process,
    started::{Manner, Started, Told, Until},
};
use crate::{
    client::{live::Live, template},
    error::{Error, Result},
    settings::Ends,
    wire::page::Page,
};

/// A process that was told to take calls, and may not exist yet.
#[derive(Debug)]
pub(crate) struct Starting {
    started: Started,
    page: Page,
    /// The page, for the process.
    fd: OwnedFd,
    manner: Manner,
}

impl<S> Process<S> {
    /// Gives a fork of this process that waits in stock and exists, if there is one.
    /// Does not wait.
    #[cfg(feature = "pool")]
    pub(crate) fn spare(&self) -> Option<Self> {
        let spare = self.peer().take_spare()?;
        Some(self.child(spare))
    }

    /// Tells it to take calls.
    pub(crate) fn begin_to_serve(self, manner: Manner) -> Result<Starting> {
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
        let told = Told::Serve(fd.as_fd(), manner);
        let started = Started::tell(lease, self.settings, told, Until::Ready, deadline)?;
        Ok(Starting {
            started,
            page,
            fd,
            manner,
        })
    }
}

impl Starting {
    /// Tells whether [`finish`](Self::finish) does not wait.
    #[cfg(feature = "pool")]
    pub(crate) fn is_there(&self) -> bool {
        self.started.is_there()
    }

    /// Waits until it is what its settings make of it, and gives the ends of its pipes.
    pub(crate) fn finish(self) -> Result<(Live, Ends)> {
        let told = Told::Serve(self.fd.as_fd(), self.manner);
        let (peer, ends, tree) = self.started.settle(told)?;
        Ok((Live::new(peer, tree, self.page), ends))
    }
}
