//! What 0, 1 and 2 are, and the program's ends of pipes.

use std::{
    io::{self, pipe},
    os::fd::{BorrowedFd, OwnedFd},
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::Arc,
};

use super::{Process, Setting, What};
use crate::{
    error::{Error, Result},
    settings::{INHERIT, NULL, PASSED, PIPED, Settings, Stdio, Stream},
    sys::fd,
    wire::frame::streams,
};

/// # Standard streams
///
/// By default a worker has those that the program has when it is told what to
/// run, as the children of `std::process::Command` do. A stream that the program
/// has closed is `/dev/null`. A template has `/dev/null` at all three; a
/// [preload](crate::preload) has the program's while it runs.
impl<S> Process<S> {
    /// What the worker reads at 0: [`Stdio::null`], [`Stdio::piped`] (then
    /// [`Worker::take_stdin`](crate::Worker::take_stdin) has the other end), or
    /// a descriptor.
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
    pub fn stdin(self, stdin: impl Into<Stdio>) -> Self {
        self.stream(What::Stdin, stdin.into())
    }

    /// What the worker writes to at 1, as [`stdin`](Self::stdin). Rust's and
    /// C's buffers are flushed before the result is sent.
    pub fn stdout(self, stdout: impl Into<Stdio>) -> Self {
        self.stream(What::Stdout, stdout.into())
    }

    /// What the worker writes to at 2, as [`stdin`](Self::stdin).
    pub fn stderr(self, stderr: impl Into<Stdio>) -> Self {
        self.stream(What::Stderr, stderr.into())
    }

    pub(crate) fn stream(self, what: What, stdio: Stdio) -> Self {
        let setting = Setting::new(what);
        self.set(match stdio.0 {
            Stream::Inherit => setting.number(INHERIT),
            Stream::Null => setting.number(NULL),
            Stream::Piped => setting.number(PIPED),
            Stream::Fd(fd) => setting.number(PASSED).fd(fd),
        })
    }

    /// Whether nothing was said about a stream.
    pub(crate) fn says_nothing_of(&self, stream: What) -> bool {
        self.settings.of(stream).next().is_none()
    }

    /// The streams that a worker of this process is lent.
    pub(crate) fn lend(&self) -> (u64, Vec<BorrowedFd<'static>>) {
        lend(&self.settings)
    }
}

/// The program's own 0 to 2, as they are now, as far as the settings say nothing
/// else; and their flags. One that is closed is `/dev/null` there.
pub(crate) fn lend(settings: &Settings) -> (u64, Vec<BorrowedFd<'static>>) {
    let (mut flags, mut lent) = (0, Vec::new());
    for (stream, what) in (0..).zip([What::Stdin, What::Stdout, What::Stderr]) {
        let mut said = settings.of(what);
        if said.all(|setting| setting.numbers == [INHERIT])
            && let Ok(fd) = fd::standard(stream)
        {
            flags |= streams::flag(stream);
            lent.push(fd);
        }
    }
    (flags, lent)
}

/// The program's ends of a worker's pipes.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

impl Ends {
    /// Makes the pipes that the settings ask for, and puts the worker's ends
    /// there in their place.
    pub(crate) fn make(settings: &mut Settings) -> Result<Self> {
        let mut ends = Self::default();
        for setting in settings.iter_mut() {
            let is_piped = setting.numbers == [PIPED];
            let far: io::Result<OwnedFd> = match setting.what {
                What::Stdin if is_piped => pipe().map(|(read, write)| {
                    ends.stdin = Some(OwnedFd::from(write).into());
                    read.into()
                }),
                What::Stdout if is_piped => pipe().map(|(read, write)| {
                    ends.stdout = Some(OwnedFd::from(read).into());
                    write.into()
                }),
                What::Stderr if is_piped => pipe().map(|(read, write)| {
                    ends.stderr = Some(OwnedFd::from(read).into());
                    write.into()
                }),
                _ => continue,
            };
            let what = setting.what;
            let far = far.map_err(|error| {
                Error::os(format!("a pipe for `{}` failed", what.name()), error).unstarted()
            })?;
            *setting = Setting::new(what).number(PASSED).fd(Arc::new(far));
        }
        Ok(ends)
    }
}
