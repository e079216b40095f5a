//! What 0, 1 and 2 are.

use crate::settings::stdio::Stdio;

setters! {
    //! # Standard streams
    //!
    //! By default a worker has the streams that the program has when it tells the
    //! worker what to run, as the children of `std::process::Command` do. A stream that
    //! the program has closed is `/dev/null`. A template has `/dev/null` at all three;
    //! a [preload](crate::preload) has the program's streams while it runs.

    /// Sets what the new process reads at 0: [`Stdio::null`], [`Stdio::piped`], or a
    /// descriptor.
    stdin(stdin: impl Into<Stdio>) {
        /// With a pipe, [`Worker::take_stdin`](crate::Worker::take_stdin) gives you the
        /// other end.
        ///
        /// # Examples
        ///
        /// ```
        /// use std::{fs::File, io::read_to_string};
        ///
        /// #[zygote::entry]
        /// fn first_line() -> std::io::Result<String> {
        ///     Ok(read_to_string(std::io::stdin())?.lines().next().unwrap_or_default().to_owned())
        /// }
        ///
        /// let process = zygote::Process::new()?.stdin(File::open("Cargo.toml")?);
        /// assert_eq!(process.run(first_line::task())?.join()??, "[workspace]");
        /// # Ok::<(), zygote::Error>(())
        /// ```
    }

    /// Sets what the new process writes to at 1, as [`stdin`](Self::stdin) does for 0.
    stdout(stdout: impl Into<Stdio>) {
        /// Rust's and C's buffers are flushed before the result is sent.
    }

    /// Sets what the new process writes to at 2, as [`stdin`](Self::stdin) does for 0.
    stderr(stderr: impl Into<Stdio>);

    /// Makes stderr the same as stdout, whatever stdout is. So what the new process
    /// writes to the two arrives in the order in which it was written.
    stderr_to_stdout() {
        /// # Examples
        ///
        /// ```
        /// let mut command = zygote::Command::new("sh");
        /// command.args(["-c", "echo one; echo two >&2; echo three"]).stderr_to_stdout();
        /// assert_eq!(command.output()?.stdout, b"one\ntwo\nthree\n");
        /// # Ok::<(), zygote::Error>(())
        /// ```
    }
}
