//! What is asked of a pool.

use std::{fmt, str::FromStr, time::Duration};

use anyhow::{Context, Error, Result, bail};

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Gives a `u64` back.
    Number,
    /// Uses the processor for [`WORK`], then gives a `u64` back.
    Work,
    /// Gives 64 KiB back.
    Bytes,
    /// Gives a `u64` back, in a process that runs nothing else.
    Fresh,
}

/// Time on the processor, not on the clock: it is the same work when two share one CPU.
pub const WORK: Duration = Duration::from_micros(200);

/// The bytes of a long argument.
pub const BYTES: usize = 64 << 10;

/// How many workers each pool has.
pub const WORKERS: usize = 2;

/// One cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load {
    /// Of each call.
    pub kind: Kind,
    /// Calls in flight.
    pub many: usize,
}

/// All cells, in the order of the table.
pub const LOADS: [Load; 8] = [
    Load::of(Kind::Number, 1),
    Load::of(Kind::Number, 16),
    Load::of(Kind::Number, 256),
    Load::of(Kind::Work, 16),
    Load::of(Kind::Bytes, 1),
    Load::of(Kind::Bytes, 16),
    Load::of(Kind::Fresh, 1),
    Load::of(Kind::Fresh, 16),
];

impl Load {
    const fn of(kind: Kind, many: usize) -> Self {
        Self { kind, many }
    }

    /// As the table calls it.
    #[must_use]
    pub fn title(self) -> String {
        let many = self.many;
        match self.kind {
            Kind::Number => format!("`u64`, {many}"),
            Kind::Work => format!("200 µs of work, {many}"),
            Kind::Bytes => format!("64 KiB, {many}"),
            Kind::Fresh => format!("process each, {many}"),
        }
    }
}

/// As a request says it.
impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Number => "number",
            Kind::Work => "work",
            Kind::Bytes => "bytes",
            Kind::Fresh => "fresh",
        };
        write!(f, "{kind} {}", self.many)
    }
}

impl FromStr for Load {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, many) = text.split_once(' ').context("one word")?;
        let kind = match kind {
            "number" => Kind::Number,
            "work" => Kind::Work,
            "bytes" => Kind::Bytes,
            "fresh" => Kind::Fresh,
            _ => bail!("unknown: {kind}"),
        };
        Ok(Self::of(kind, many.parse()?))
    }
}
