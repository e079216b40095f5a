//! The cause of an error, which can be cloned and can travel.

use std::{io, sync::Arc};

/// The cause of an error: an `io::Error` that can be cloned.
#[derive(Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "Source", into = "Source"))]
pub(super) struct Cause(pub(super) Arc<io::Error>);

#[cfg(feature = "serde")]
impl From<Source> for Cause {
    fn from(source: Source) -> Self {
        Self(Arc::new(source.into_io()))
    }
}

#[cfg(feature = "serde")]
impl From<Cause> for Source {
    fn from(cause: Cause) -> Self {
        Self::new(&cause.0)
    }
}

/// An `io::Error` that can be sent to another process: code, kind and text.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Source {
    code: Option<i32>,
    kind: u8,
    text: String,
}

/// The kinds that keep their identity on the way; any other arrives as `Other`.
/// A kind's place in this list is its number on the wire.
const KINDS: [io::ErrorKind; 23] = [
    io::ErrorKind::Other,
    io::ErrorKind::NotFound,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::ConnectionRefused,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::NotConnected,
    io::ErrorKind::AddrInUse,
    io::ErrorKind::AddrNotAvailable,
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::AlreadyExists,
    io::ErrorKind::WouldBlock,
    io::ErrorKind::InvalidInput,
    io::ErrorKind::InvalidData,
    io::ErrorKind::TimedOut,
    io::ErrorKind::WriteZero,
    io::ErrorKind::Interrupted,
    io::ErrorKind::Unsupported,
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::OutOfMemory,
    io::ErrorKind::HostUnreachable,
    io::ErrorKind::NetworkUnreachable,
    io::ErrorKind::StorageFull,
];

impl Source {
    pub(crate) fn new(error: &io::Error) -> Self {
        let kind = KINDS.iter().position(|kind| *kind == error.kind());
        Self {
            code: error.raw_os_error(),
            kind: kind.and_then(|at| u8::try_from(at).ok()).unwrap_or(0),
            text: error.to_string(),
        }
    }

    pub(crate) fn from_parts(code: Option<i32>, kind: u8, text: String) -> Self {
        Self { code, kind, text }
    }

    pub(crate) fn into_parts(self) -> (Option<i32>, u8, String) {
        (self.code, self.kind, self.text)
    }

    fn kind(&self) -> io::ErrorKind {
        match self.code {
            Some(code) => io::Error::from_raw_os_error(code).kind(),
            None => KINDS
                .get(usize::from(self.kind))
                .copied()
                .unwrap_or(KINDS[0]),
        }
    }

    pub(crate) fn into_io(self) -> io::Error {
        match self.code {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(self.kind(), self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_io_error_keeps_its_kind_and_text() {
        for kind in KINDS {
            let back = Source::new(&io::Error::new(kind, "why")).into_io();
            assert_eq!((back.kind(), back.to_string()), (kind, "why".to_owned()));
        }
        let os = Source::new(&io::Error::from_raw_os_error(libc::ENOENT)).into_io();
        assert_eq!(os.raw_os_error(), Some(libc::ENOENT));
    }
}
