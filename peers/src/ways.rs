//! The ways by name.

use serde::{Deserialize, Serialize};

/// Who makes the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Name {
    /// This crate, as most will use it.
    Ours,
    /// This crate, every process forked when it is asked for.
    OursNoStock,
    /// This crate without `early!()`: the template is the program executed again.
    OursExecuted,
    /// `zygote` of crates.io.
    Jprendes,
    /// `procspawn`.
    Procspawn,
    /// `crossmist`.
    Crossmist,
    /// `mem-isolate`.
    MemIsolate,
    /// `std::process::Command` of the program itself.
    Command,
    /// `tokio::process::Command` of the program itself.
    Tokio,
    /// Perl's `AnyEvent::Fork`.
    AnyEvent,
    /// A template by hand.
    Bare,
    /// Fork, `_exit` and wait in a tiny process.
    Tiny,
    /// Fork of the program.
    Fork,
    /// Not a process: a thread.
    Thread,
}

/// What it is to the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This crate.
    Ours,
    /// What people use in its place.
    Peer,
    /// The same by hand, with less to it.
    Baseline,
}

/// All, in the order of the tables.
pub const WAYS: [Name; 14] = [
    Name::Ours,
    Name::OursNoStock,
    Name::OursExecuted,
    Name::Jprendes,
    Name::Procspawn,
    Name::Crossmist,
    Name::MemIsolate,
    Name::Command,
    Name::Tokio,
    Name::AnyEvent,
    Name::Bare,
    Name::Tiny,
    Name::Fork,
    Name::Thread,
];

/// The ways that are plotted, in colours that stay theirs.
pub const PLOTTED: [Name; 11] = [
    Name::OursNoStock,
    Name::Ours,
    Name::Jprendes,
    Name::Procspawn,
    Name::MemIsolate,
    Name::Command,
    Name::Tokio,
    Name::AnyEvent,
    Name::Bare,
    Name::Fork,
    Name::Thread,
];

impl Name {
    /// As the tables call it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Ours => "this crate",
            Self::OursNoStock => "this crate, no stock",
            Self::OursExecuted => "this crate, executed template",
            Self::Jprendes => "`zygote` 0.1.2 (jprendes)",
            Self::Procspawn => "`procspawn` 1.0.2",
            Self::Crossmist => "`crossmist` 1.1.2",
            Self::MemIsolate => "`mem-isolate` 0.1.6",
            Self::Command => "`std::process::Command`",
            Self::Tokio => "`tokio::process::Command` 1.54.1",
            Self::AnyEvent => "Perl's `AnyEvent::Fork`",
            Self::Bare => "bare template by hand",
            Self::Tiny => "fork, `_exit`, wait in a tiny process",
            Self::Fork => "fork of the program by hand",
            Self::Thread => "`std::thread` (no process)",
        }
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Ours | Self::OursNoStock | Self::OursExecuted => Kind::Ours,
            Self::Bare | Self::Tiny | Self::Fork | Self::Thread => Kind::Baseline,
            _ => Kind::Peer,
        }
    }
}
