//! The kinds of error.

use std::io;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum ErrorKind {
    /// The entry or the preload panicked.
    Panic,
    /// The worker ended without a result and without a signal.
    Exit,
    /// The worker was killed by a signal before it gave a result.
    Signal,
    /// A deadline passed.
    Timeout,
    /// The caller asked for something impossible.
    Invalid,
    /// The template died.
    TemplateGone,
    /// The other end of a channel is gone.
    Disconnected,
    /// A preload returned an error.
    Preload,
    /// A setting of a process could not be applied.
    Setting,
    /// What arrived is not what this library sends.
    Protocol,
    /// A call to the operating system failed.
    Os,
    /// A hook returned an error or panicked.
    Hook,
    /// The worker got no memory and was killed by SIGABRT.
    OutOfMemory,
    /// The caller took a call back, or killed it.
    Cancelled,
    /// A queue had no room.
    #[cfg_attr(not(feature = "pool"), allow(dead_code, reason = "a pool's alone"))]
    Full,
    /// A pool was shut down.
    #[cfg_attr(not(feature = "pool"), allow(dead_code, reason = "a pool's alone"))]
    Closed,
}

impl ErrorKind {
    /// Gives the kind of `io::Error` that says the same; `None` if there is none.
    pub(super) fn as_io(self) -> Option<io::ErrorKind> {
        match self {
            Self::Timeout => Some(io::ErrorKind::TimedOut),
            Self::Invalid => Some(io::ErrorKind::InvalidInput),
            Self::Protocol => Some(io::ErrorKind::InvalidData),
            Self::OutOfMemory => Some(io::ErrorKind::OutOfMemory),
            Self::Disconnected => Some(io::ErrorKind::BrokenPipe),
            _ => None,
        }
    }
}
