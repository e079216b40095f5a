//! What 0, 1 and 2 are in a worker.

use std::{fs::File, os::fd::OwnedFd, sync::Arc};

/// What a standard stream of a worker is, for
/// [`Process::stdin`](crate::Process::stdin) and its like.
///
/// (Not `std::process::Stdio`, which cannot be looked into.)
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
pub struct Stdio(pub(crate) Stream);

/// The number of a stream's setting: what it is.
pub(crate) const NULL: i64 = 0;
pub(crate) const PIPED: i64 = 1;
pub(crate) const PASSED: i64 = 2;
/// What the program has.
pub(crate) const INHERIT: i64 = 3;

#[derive(Clone, Debug)]
pub(crate) enum Stream {
    Inherit,
    Null,
    Piped,
    Fd(Arc<OwnedFd>),
}

impl Stdio {
    /// What the program has when the task is sent.
    #[must_use]
    pub fn inherit() -> Self {
        Self(Stream::Inherit)
    }

    /// `/dev/null`.
    #[must_use]
    pub fn null() -> Self {
        Self(Stream::Null)
    }

    /// A new pipe; the program's end is taken from the worker's handle.
    #[must_use]
    pub fn piped() -> Self {
        Self(Stream::Piped)
    }
}

/// Any descriptor: a file, a socket, the end of another worker's pipe. It is
/// kept open in the program as long as the process's handle and its forks.
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
