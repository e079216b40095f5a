//! What wakes a future: a process's socket and pidfd, in a tokio runtime.

use std::{
    os::fd::{BorrowedFd, OwnedFd},
    task::{Context, Poll},
};

use ::tokio::{io::unix::AsyncFd, runtime::Handle};

use crate::error::{Error, Result};

/// Copies of a process's socket and pidfd, registered at the first poll.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<[AsyncFd<OwnedFd>; 2]>);

impl Watch {
    /// Is ready when the socket or the pidfd may have something new. Outside of a
    /// runtime it is an error.
    pub(crate) fn poll(
        &mut self,
        fds: [BorrowedFd<'_>; 2],
        context: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let mut any = false;
        for fd in self.registered(fds)? {
            if let Poll::Ready(guard) = fd.poll_read_ready(context) {
                let tried = |error| Error::os("waiting for a worker with tokio failed", error);
                guard.map_err(tried)?.clear_ready();
                any = true;
            }
        }
        match any {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn registered(&mut self, fds: [BorrowedFd<'_>; 2]) -> Result<&[AsyncFd<OwnedFd>; 2]> {
        if self.0.is_none() {
            let [socket, pidfd] = fds.map(register);
            self.0 = Some([socket?, pidfd?]);
        }
        match &self.0 {
            Some(registered) => Ok(registered),
            None => unreachable!("set just above"),
        }
    }
}

// `register` is unsafe for the sake of types that lend a descriptor; an `OwnedFd` owns
// it.
#[allow(deprecated, reason = "in newer versions of tokio only")]
fn register(fd: BorrowedFd<'_>) -> Result<AsyncFd<OwnedFd>> {
    // Without a runtime it would panic.
    Handle::try_current().map_err(|_| {
        Error::invalid("awaited outside of a tokio runtime: `join` waits without one")
    })?;
    fd.try_clone_to_owned()
        .and_then(AsyncFd::new)
        .map_err(|error| Error::os("registering a worker with tokio failed", error))
}
