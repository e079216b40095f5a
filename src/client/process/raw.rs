//! The raw layer: octets, descriptors, and an entry by name.

use std::os::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    unix::net::UnixStream,
};

use super::{Process, started::Until};
use crate::{
    client::{template, worker::Worker},
    error::{Error, Result},
    registry,
    task::{Anywhere, Task, task},
    wire::frame::{Head, Kind},
};

impl<S> Process<S> {
    /// Runs the raw entry of this name, which is its full path, or a last segment that
    /// only one raw entry has. The entry is given one end of a new stream socket, and
    /// the raw arguments. You get the other end, which is non-blocking. Both ends are
    /// close-on-exec.
    ///
    /// # Errors
    ///
    /// Fails as [`run`](Self::run) does, and for a name that no raw entry has, or more
    /// than one ([`is_invalid`](Error::is_invalid)).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{io::{Read, Write}, os::unix::net::UnixStream};
    /// use zygote::{Process, raw::{Arg, Args}};
    ///
    /// #[zygote::entry(raw)]
    /// fn greet(mut conn: UnixStream, args: Args) {
    ///     for arg in args {
    ///         if let Arg::Bytes(bytes) = arg {
    ///             conn.write_all(&bytes).expect("the program listens");
    ///         }
    ///     }
    /// }
    ///
    /// let process = Process::new()?;
    /// process.send_arg("hello, ")?.send_arg("world")?;
    /// let (worker, mut conn) = process.run_raw("greet")?;
    /// conn.set_nonblocking(false)?;
    /// let mut text = String::new();
    /// conn.read_to_string(&mut text)?;
    /// assert_eq!(text, "hello, world");
    /// worker.join()?;
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn run_raw(self, name: &str) -> Result<(Worker<()>, UnixStream)> {
        let entry = registry::find_raw(name).map_err(Error::unstarted)?;
        let tried =
            |error| Error::descriptor("a socket pair for a raw entry failed", error).unstarted();
        let (near, far) = UnixStream::pair().map_err(tried)?;
        near.set_nonblocking(true).map_err(tried)?;
        let task: Task<(), Anywhere> = task(entry, |_| Ok(()), |_| Ok(()));
        let deadline = self.until(template::PATIENCE);
        let more = [far.as_fd()];
        let started = self.start(task.load(), &more, Until::Ready, deadline)?;
        Ok((started.begin(&task, &more, deadline)?, near))
    }

    /// Sends octets as a raw argument. A fork has its own copy of everything that was
    /// sent so far.
    ///
    /// # Errors
    ///
    /// The process is gone, or reads nothing before the deadline.
    pub fn send_arg(&self, bytes: impl AsRef<[u8]>) -> Result<&Self> {
        self.send(Kind::Arg, &[bytes.as_ref()], &[])
    }

    /// Sends a descriptor as a raw argument. The program's own copy is closed.
    ///
    /// # Errors
    ///
    /// Fails as [`send_arg`](Self::send_arg) does.
    pub fn send_fd(&self, fd: impl Into<OwnedFd>) -> Result<&Self> {
        self.send(Kind::Fd, &[], &[fd.into().as_fd()])
    }

    fn send(&self, kind: Kind, body: &[&[u8]], fds: &[BorrowedFd<'_>]) -> Result<&Self> {
        let peer = self.peer();
        peer.check_epoch()?;
        // What waits in stock was forked without it.
        peer.discard_stock();
        peer.life.mark_told();
        let deadline = self.until(template::PATIENCE);
        peer.line
            .send(Head::new(kind, 0), body, fds, deadline)
            .map_err(|trouble| peer.lost(trouble, "sending a raw argument", deadline))?;
        Ok(self)
    }
}
