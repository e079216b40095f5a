//! An error on its way to the owner of the process that met it.

use std::io;

use crate::error::{Error, ErrorKind};

/// The kinds that keep their identity on the way; any other arrives as `Invalid`. A
/// kind's place in the list is its number.
const KINDS: [ErrorKind; 8] = [
    ErrorKind::Os,
    ErrorKind::Invalid,
    ErrorKind::Preload,
    ErrorKind::Panic,
    ErrorKind::Protocol,
    ErrorKind::Setting,
    ErrorKind::Hook,
    ErrorKind::Cancelled,
];

/// The place of `Invalid`.
const INVALID: u8 = 1;

/// Encodes an error: kind 1 · unstarted 1 · errno of the cause, or 0: 4 · text.
pub(crate) fn encode(error: &Error) -> Vec<u8> {
    let kind = KINDS.iter().position(|kind| *kind == error.kind());
    let kind = kind.and_then(|at| u8::try_from(at).ok());
    let mut body = vec![kind.unwrap_or(INVALID), u8::from(error.is_unstarted())];
    body.extend_from_slice(&error.code().unwrap_or(0).to_le_bytes());
    body.extend_from_slice(error.text().as_bytes());
    body
}

/// Decodes an error; `None` for anything that `encode` does not make.
pub(crate) fn decode(body: &[u8]) -> Option<Error> {
    let ([kind, unstarted], rest) = body.split_first_chunk()?;
    let (code, text) = rest.split_first_chunk()?;
    let kind = *KINDS.get(usize::from(*kind))?;
    let error = Error::new(kind, String::from_utf8_lossy(text));
    let error = match i32::from_le_bytes(*code) {
        0 => error,
        code => error.with_source(io::Error::from_raw_os_error(code)),
    };
    Some(match unstarted {
        0 => error,
        _ => error.unstarted(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(error: &Error) -> (ErrorKind, Option<i32>, bool, &str) {
        (
            error.kind(),
            error.code(),
            error.is_unstarted(),
            error.text(),
        )
    }

    #[test]
    fn failures_come_back_and_short_ones_do_not() {
        for kind in KINDS {
            let error = Error::new(kind, "fork failed");
            let cause = io::Error::from_raw_os_error(libc::ENOMEM);
            for error in [error.clone(), error.with_source(cause).unstarted()] {
                let back = decode(&encode(&error)).unwrap();
                assert_eq!(parts(&back), parts(&error));
            }
        }
        assert!(decode(&[0; 5]).is_none());
        assert!(decode(&[99; 20]).is_none());
    }

    #[test]
    fn a_kind_that_no_process_reports_arrives_as_invalid() {
        let error = Error::timeout("no result within 5 ms");
        let back = decode(&encode(&error)).unwrap();
        assert_eq!(
            parts(&back),
            (ErrorKind::Invalid, None, false, "no result within 5 ms")
        );
    }
}
