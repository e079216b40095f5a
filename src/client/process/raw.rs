//! The raw layer: octets, descriptors, and an entry by name.

use std::os::{
    fd::{AsFd, OwnedFd},
    unix::net::UnixStream,
};

use super::{Process, started::Until};
use crate::{
    client::worker::Worker,
    error::{Error, Result},
    registry,
    task::{Anywhere, Task, task},
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
    /// let process = Process::new()?.send_arg("hello, ").send_arg("world");
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
        let more = [far.as_fd()];
        let started = self.start(task.load(), &more, Until::Ready)?;
        Ok((started.begin(&task, &more)?, near))
    }

    /// Sends octets as a raw argument: with the next preload, or, if none follows, with
    /// each task. A fork has its own copy of everything that was sent before the fork.
    pub fn send_arg(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.settings.send_arg(bytes);
        self
    }

    /// Sends a descriptor as a raw argument, as [`send_arg`](Self::send_arg) does with
    /// octets. The program's own copy is closed with the last handle that sends it.
    pub fn send_fd(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.settings.send_fd(fd);
        self
    }
}
