//! What 0, 1 and 2 are in a worker, and the program's ends of pipes.

use std::{
    fs::File,
    io::{self, pipe},
    os::fd::OwnedFd,
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::Arc,
};

use super::{Setting, Settings, What};
use crate::{
    error::{Error, Result},
    sys::fd,
};

/// What a standard stream of a worker is, for [`Process::stdin`](crate::Process::stdin)
/// and the like.
///
/// (`std::process::Stdio` would not do, because it cannot be looked into.)
///
/// # Examples
///
/// ```
/// use std::io::Read;
/// use zygote::{Process, Stdio};
///
/// #[zygote::entry]
/// fn greet() {
///     println!("hello");
/// }
///
/// let mut worker = Process::new()?.stdout(Stdio::piped()).run(greet::task())?;
/// let mut text = String::new();
/// worker.take_stdout().expect("it is piped").read_to_string(&mut text)?;
/// assert_eq!(text, "hello\n");
/// # Ok::<(), zygote::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stdio(Stream);

#[derive(Clone, Debug)]
enum Stream {
    Inherit,
    Null,
    Piped,
    Fd(Arc<OwnedFd>),
}

impl Stdio {
    /// Gives what the program has when the task is sent.
    #[must_use]
    pub fn inherit() -> Self {
        Self(Stream::Inherit)
    }

    /// Gives `/dev/null`.
    #[must_use]
    pub fn null() -> Self {
        Self(Stream::Null)
    }

    /// Makes a new pipe; you take the program's end from the worker's handle.
    #[must_use]
    pub fn piped() -> Self {
        Self(Stream::Piped)
    }
}

/// Gives any descriptor: a file, a socket, the end of another worker's pipe. It is kept
/// open in the program as long as the handles of the process and of its forks live.
impl From<OwnedFd> for Stdio {
    fn from(fd: OwnedFd) -> Self {
        Self(Stream::Fd(Arc::new(fd)))
    }
}

macro_rules! from_owned {
    ($($ty:ty),* $(,)?) => {$(
        impl From<$ty> for Stdio {
            fn from(value: $ty) -> Self {
                OwnedFd::from(value).into()
            }
        }
    )*};
}

from_owned!(
    File,
    std::io::PipeReader,
    std::io::PipeWriter,
    std::net::TcpStream,
    std::os::unix::net::UnixStream,
    std::process::ChildStdin,
    std::process::ChildStdout,
    std::process::ChildStderr,
);

/// The settings of 0, 1 and 2.
pub(crate) const STREAMS: [What; 3] = [What::Stdin, What::Stdout, What::Stderr];

/// The number of a stream's setting: what it is.
const NULL: i64 = 0;
const PIPED: i64 = 1;
/// The descriptor that is passed.
const PASSED: i64 = 2;
/// What the program has.
const INHERIT: i64 = 3;
/// What stdout is.
const MERGED: i64 = 4;

impl Settings {
    pub(crate) fn stdin(&mut self, stdin: impl Into<Stdio>) {
        self.stream(What::Stdin, stdin.into());
    }

    pub(crate) fn stdout(&mut self, stdout: impl Into<Stdio>) {
        self.stream(What::Stdout, stdout.into());
    }

    pub(crate) fn stderr(&mut self, stderr: impl Into<Stdio>) {
        self.stream(What::Stderr, stderr.into());
    }

    pub(crate) fn stderr_to_stdout(&mut self) {
        self.put(Setting::new(What::Stderr).number(MERGED));
    }

    pub(crate) fn stream(&mut self, what: What, Stdio(stream): Stdio) {
        let setting = Setting::new(what);
        self.put(match stream {
            Stream::Inherit => setting.number(INHERIT),
            Stream::Null => setting.number(NULL),
            Stream::Piped => setting.number(PIPED),
            Stream::Fd(fd) => setting.number(PASSED).fd(fd),
        });
    }

    /// Makes stderr what stdout is, if that is asked for.
    fn merge(&mut self) -> Result<()> {
        if self.of(What::Stderr).all(|it| it.numbers != [MERGED]) {
            return Ok(());
        }
        let stream = match self.of(What::Stdout).next() {
            Some(out) if out.numbers != [INHERIT] => Setting {
                what: What::Stderr,
                ..out.clone()
            },
            // A stream that the program has closed is `/dev/null` in the worker.
            _ => match fd::standard(1) {
                Err(_) => Setting::new(What::Stderr).number(NULL),
                Ok(out) => {
                    let copy = out.try_clone_to_owned().map_err(|error| {
                        Error::os("duplicating stdout for stderr failed", error).unstarted()
                    })?;
                    Setting::new(What::Stderr).number(PASSED).fd(Arc::new(copy))
                }
            },
        };
        self.put(stream);
        Ok(())
    }

    /// Tells whether a stream is what the program has.
    pub(crate) fn inherits(&self, stream: What) -> bool {
        self.of(stream).all(|setting| setting.numbers == [INHERIT])
    }
}

/// The program's ends of a worker's pipes.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

impl Ends {
    /// Tells whether there is a pipe.
    #[cfg(feature = "pool")]
    pub(crate) fn are_there(&self) -> bool {
        self.stdin.is_some() || self.stdout.is_some() || self.stderr.is_some()
    }

    /// Makes the pipes that the settings ask for, and puts the worker's ends into the
    /// settings in their place.
    pub(crate) fn make(settings: &mut Settings) -> Result<Self> {
        let mut ends = Self::default();
        for setting in settings.iter_mut() {
            let what = setting.what;
            if !STREAMS.contains(&what) || setting.numbers != [PIPED] {
                continue;
            }
            let (read, write) = pipe().map_err(|error| {
                Error::os(format!("a pipe for `{}` failed", what.name()), error).unstarted()
            })?;
            let (read, write) = (OwnedFd::from(read), OwnedFd::from(write));
            let far = match what {
                What::Stdin => {
                    ends.stdin = Some(write.into());
                    read
                }
                What::Stdout => {
                    ends.stdout = Some(read.into());
                    write
                }
                _ => {
                    ends.stderr = Some(read.into());
                    write
                }
            };
            *setting = Setting::new(what).number(PASSED).fd(Arc::new(far));
        }
        settings.merge()?;
        Ok(ends)
    }
}

pub(super) fn stream(setting: &Setting, _: &Settings) -> io::Result<()> {
    let number = match setting.what {
        What::Stdin => 0,
        What::Stdout => 1,
        _ => 2,
    };
    match (&setting.numbers[..], &setting.fds[..]) {
        ([INHERIT], []) => Ok(()),
        ([NULL], []) => fd::put_null(number),
        ([PASSED], [fd]) => fd::put(number, fd),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn the_last_that_is_said_of_a_stream_counts() {
        let mut settings = Settings::default();
        assert!(settings.inherits(What::Stdin));
        settings.stdin(Stdio::null());
        assert!(!settings.inherits(What::Stdin) && settings.inherits(What::Stdout));
        settings.stdin(Stdio::inherit());
        assert!(settings.inherits(What::Stdin));
    }

    #[test]
    fn pipes_are_made_where_they_are_asked_for() {
        let mut settings = Settings::default();
        settings.stdin(Stdio::piped());
        settings.stdout(Stdio::null());
        settings.stderr(Stdio::piped());
        // It has the same number, and is no stream.
        settings.umask(1);
        let mut ends = Ends::make(&mut settings).unwrap();
        assert!(ends.stdout.is_none());
        let far = |what| {
            let setting = settings.of(what).next().unwrap();
            assert_eq!(setting.numbers, [PASSED]);
            File::from(setting.fds[0].try_clone().unwrap())
        };
        let (mut read, mut got) = ([0; 2], [0; 3]);
        ends.stdin.as_mut().unwrap().write_all(b"in").unwrap();
        far(What::Stdin).read_exact(&mut read).unwrap();
        far(What::Stderr).write_all(b"err").unwrap();
        ends.stderr.as_mut().unwrap().read_exact(&mut got).unwrap();
        assert_eq!((&read, &got), (b"in", b"err"));
        assert_eq!(settings.of(What::Umask).next().unwrap().numbers, [1]);
    }

    #[test]
    fn stderr_becomes_what_stdout_is() {
        let merged = |stdout: Option<Stdio>| {
            let mut settings = Settings::default();
            settings.stderr_to_stdout();
            if let Some(stdout) = stdout {
                settings.stdout(stdout);
            }
            assert!(!settings.inherits(What::Stderr));
            let ends = Ends::make(&mut settings).unwrap();
            assert!(ends.stderr.is_none());
            (
                settings.take(What::Stderr).unwrap(),
                settings.take(What::Stdout),
                ends,
            )
        };
        let (err, out, _) = merged(Some(Stdio::null()));
        assert_eq!(
            (err.numbers, out.unwrap().numbers),
            (vec![NULL], vec![NULL])
        );
        for inherited in [None, Some(Stdio::inherit())] {
            let (err, _, _) = merged(inherited);
            assert_eq!((err.numbers, err.fds.len()), (vec![PASSED], 1));
        }
        let (err, out, ends) = merged(Some(Stdio::piped()));
        assert!(Arc::ptr_eq(&err.fds[0], &out.unwrap().fds[0]));
        assert!(ends.stdout.is_some());
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let null = || Arc::new(OwnedFd::from(File::open("/dev/null").unwrap()));
        let of = || Setting::new(What::Stdin);
        let none = Settings::default();
        // A pipe has become a descriptor by the time that it travels.
        for wrong in [
            of(),
            of().number(PIPED),
            of().number(PASSED),
            of().number(NULL).fd(null()),
            of().number(MERGED),
            of().number(5),
            of().number(PASSED).fd(null()).fd(null()),
        ] {
            assert!(stream(&wrong, &none).is_err(), "{wrong:?}");
        }
        assert!(stream(&of().number(INHERIT), &none).is_ok());
    }
}
