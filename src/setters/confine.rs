//! Confinement.

use crate::{Process, settings::Confine};

/// # Confinement
impl<S> Process<S> {
    /// Drops, as the last step before the entry runs, every right that the worker does
    /// not need.
    ///
    /// Everything before that keeps its rights: the template, its preloads, the other
    /// settings, and the hooks of the program. Only after this step are the arguments
    /// of the entry decoded. It cannot be undone, and the worker's threads are
    /// confined, too. A hook must not leave threads behind.
    ///
    /// It works with privileges and without. It uses resource limits, Landlock as far
    /// as the kernel has it, and a seccomp filter that allows a list of system calls.
    ///
    /// In a confined worker:
    ///
    /// - panics, output, results of any size below the limit of memory, and everything
    ///   received as an argument (channels, files, sockets) work as usual;
    /// - `spawn` and [`channel`](crate::channel()) are errors, and so is a
    ///   message with more than 251 descriptors: they need new sockets;
    /// - memory cannot be made executable, so that nothing can be loaded or compiled at
    ///   run time;
    /// - [`Worker::detach`](crate::Worker::detach) fails with its timeout: the worker
    ///   cannot leave its template. (A worker that began detached stays detached.)
    ///
    /// It does not keep a worker from using the descriptors that it was given (the
    /// standard streams among them) or the side channels of the hardware, nor from
    /// sending a wrong result.
    ///
    /// # Errors
    ///
    /// [`run`](Self::run) fails ([`is_setting`](crate::Error::is_setting)) if the
    /// kernel has no seccomp filters, if it has no Landlock and a path is to be
    /// readable, if such a path does not exist, or if there is more than one thread.
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
