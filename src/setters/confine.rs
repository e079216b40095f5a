//! Confinement.

use crate::{Process, settings::Confine};

/// # Confinement
impl<S> Process<S> {
    /// Drops, as the last step before the entry runs, every right that the worker does
    /// not need.
    ///
    /// Everything before that has its rights: the template, its preloads, the
    /// other settings, and the hooks of the program. Then this is done, and only
    /// then are the arguments of the entry decoded. It cannot be undone, and
    /// threads have it, too. A hook must not leave threads behind.
    ///
    /// It works with privileges and without, and is made of resource limits, of
    /// Landlock as far as the kernel has it, and of a seccomp filter that allows
    /// a list of system calls.
    ///
    /// In a confined worker
    ///
    /// - a panic, a result of any size below the limit of memory, output, and
    ///   everything received as an argument work as ever: channels, files,
    ///   sockets;
    /// - `spawn` and [`channel`](crate::channel()) are errors, and so is a
    ///   message with more than 251 descriptors: they need new sockets;
    /// - memory cannot be made executable, so that nothing is loaded or compiled
    ///   at run time;
    /// - [`Worker::detach`](crate::Worker::detach) is refused, by its timeout:
    ///   it cannot leave its template. (A worker that began as a detached one
    ///   stays so.)
    ///
    /// It does not keep a worker from using the descriptors that it was given,
    /// standard streams among them, from the side channels of the hardware, nor
    /// from sending a wrong result.
    ///
    /// # Errors
    ///
    /// Of [`run`](Self::run), [`is_setting`](crate::Error::is_setting): the
    /// kernel has no seccomp filters; it has no Landlock, and a path is to be
    /// readable; such a path does not exist; there is more than one thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::UdpSocket;
    /// use zygote::{Process, settings::Confine};
    ///
    /// #[zygote::entry]
    /// fn call_home() -> Result<(), String> {
    ///     UdpSocket::bind("127.0.0.1:0").map(drop).map_err(|error| error.to_string())
    /// }
    ///
    /// let process = Process::new()?;
    /// assert_eq!(process.fork()?.run(call_home::task())?.join()?, Ok(()));
    /// let worker = process.confine(Confine::compute()).run(call_home::task())?;
    /// assert!(worker.join()?.unwrap_err().contains("not permitted"));
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn confine(mut self, confine: Confine) -> Self {
        self.settings.confine(confine);
        self
    }
}
