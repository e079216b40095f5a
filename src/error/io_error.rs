//! Into an `io::Error` and back.

use std::io;

use super::{Error, ErrorKind};

impl From<io::Error> for Error {
    /// Takes our error out again, if it was one of ours before it became an
    /// `io::Error`.
    fn from(error: io::Error) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<Self>()) {
            let inner = error.into_inner().map(|inner| inner.downcast::<Self>());
            return match inner {
                Some(Ok(own)) => *own,
                _ => Self::new(ErrorKind::Os, "an I/O error lost its cause"),
            };
        }
        Self::os("an I/O operation failed", error)
    }
}

impl From<Error> for io::Error {
    /// Gives the errno of the operating system, if there is one; otherwise an error
    /// that has this one inside.
    fn from(error: Error) -> Self {
        if let Some(code) = error.code() {
            return Self::from_raw_os_error(code);
        }
        let cause = || error.0.source.as_ref().map(|source| source.0.kind());
        let kind = error.0.kind.as_io().or_else(cause);
        Self::new(kind.unwrap_or(io::ErrorKind::Other), error)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn survives_the_way_through_io_error() {
        let error = Error::timeout("no result within 5 ms").with_pid(7);
        let io = io::Error::from(error);
        assert_eq!(io.kind(), io::ErrorKind::TimedOut);
        let back = Error::from(io);
        assert!(back.is_timeout());
        assert_eq!(back.pid(), Some(7));
    }

    #[test]
    fn a_cause_without_an_errno_keeps_its_kind() {
        let cause = io::Error::new(io::ErrorKind::Unsupported, "not here");
        let error = Error::os("an operation failed", cause);
        let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.kind(), io::ErrorKind::Unsupported);
        let io = io::Error::from(error);
        assert_eq!(io.kind(), io::ErrorKind::Unsupported);
        assert_eq!(Error::from(io).to_string(), "an operation failed");
    }
}
