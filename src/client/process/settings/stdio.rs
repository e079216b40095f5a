//! The list of setters for 0, 1 and 2, and the program's own.

use std::os::fd::BorrowedFd;

use super::Process;
use crate::{
    settings::{STREAMS, Settings, Stdio},
    sys::fd,
    wire::frame::streams,
};

macro_rules! with_stdio {
    ($to:ident) => {
        $to! {
            //! # Standard streams
            //!
            //! By default a worker has those that the program has when it is told what to
            //! run, as the children of `std::process::Command` do. A stream that the program
            //! has closed is `/dev/null`. A template has `/dev/null` at all three; a
            //! [preload](crate::preload) has the program's while it runs.

            /// Sets what the new process reads at 0: [`Stdio::null`], [`Stdio::piped`], or a
            /// descriptor.
            stdin(stdin: impl Into<Stdio>) {
                /// With a pipe, [`Worker::take_stdin`](crate::Worker::take_stdin) has the other
                /// end.
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

            /// Sets what the new process writes to at 1, as [`stdin`](Self::stdin).
            stdout(stdout: impl Into<Stdio>) {
                /// Rust's and C's buffers are flushed before the result is sent.
            }

            /// Sets what the new process writes to at 2, as [`stdin`](Self::stdin).
            stderr(stderr: impl Into<Stdio>);
        }
    };
}

with_stdio!(on_process);
pub(crate) use with_stdio;

/// The program's own 0 to 2, as they are now, as far as the settings say nothing
/// else; and their flags. One that is closed is `/dev/null` there.
pub(crate) fn lend(settings: &Settings) -> (u64, Vec<BorrowedFd<'static>>) {
    let (mut flags, mut lent) = (0, Vec::new());
    for (stream, what) in (0..).zip(STREAMS) {
        if settings.inherits(what)
            && let Ok(fd) = fd::lend(stream)
        {
            flags |= streams::flag(stream);
            lent.push(fd);
        }
    }
    (flags, lent)
}
