//! How an error reads.

use std::fmt;

use super::Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.entry, self.0.pid) {
            (Some(entry), Some(pid)) => write!(f, "{entry} in process {pid}: ")?,
            (Some(entry), None) => write!(f, "{entry}: ")?,
            (None, Some(pid)) => write!(f, "process {pid}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.0.text)
    }
}

/// Writes what `main` and `unwrap` print: the text, then the cause.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {}", source.0)?;
        }
        Ok(())
    }
}
