//! Those compared, by name.

use crate::ways::Kind as Role;

use super::load::{Kind, Load};

/// Who runs the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// This crate's `Pool`, as it is without settings.
    Pool,
    /// The same with 16 calls given to each worker in advance.
    DeepPool,
    /// Two of this crate's `Service`, asked by turns.
    Services,
    /// This crate's `spawn` and `join`.
    Spawn,
    /// The pool of `procspawn`.
    Procspawn,
    /// Python's `concurrent.futures.ProcessPoolExecutor`.
    Python,
    /// Perl's `AnyEvent::Fork::Pool`.
    PerlPool,
    /// The same with 16 calls given to each worker in advance.
    DeepPerlPool,
    /// Two of Perl's `AnyEvent::Fork::RPC`, asked by turns.
    PerlRpc,
    /// A message to a live process and back, by hand.
    Raw,
}

/// All, in the order of the table.
pub const ALL: [Who; 10] = [
    Who::Pool,
    Who::DeepPool,
    Who::Services,
    Who::Spawn,
    Who::Procspawn,
    Who::Python,
    Who::PerlPool,
    Who::DeepPerlPool,
    Who::PerlRpc,
    Who::Raw,
];

impl Who {
    /// As its program calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::DeepPool => "deep-pool",
            Self::Services => "services",
            Self::Spawn => "spawn",
            Self::Procspawn => "procspawn",
            Self::Python => "python",
            Self::PerlPool => "perl-pool",
            Self::DeepPerlPool => "perl-deep-pool",
            Self::PerlRpc => "perl-rpc",
            Self::Raw => "raw",
        }
    }

    /// As the table calls it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Pool => "**this crate's `Pool`**",
            Self::DeepPool => "**the same, `depth(16)`**",
            Self::Services => "**two of this crate's `Service`, by turns**",
            Self::Spawn => "**this crate's `spawn` and `join`**",
            Self::Procspawn => "`procspawn::Pool`",
            Self::Python => "Python's `ProcessPoolExecutor`",
            Self::PerlPool => "Perl's `AnyEvent::Fork::Pool`",
            Self::DeepPerlPool => "Perl's `AnyEvent::Fork::Pool`, `load => 16`",
            Self::PerlRpc => "two of Perl's `AnyEvent::Fork::RPC`, by turns",
            Self::Raw => "one SEQPACKET message and back, by hand",
        }
    }

    /// What it is to the comparison.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Pool | Self::DeepPool | Self::Services | Self::Spawn => Role::Ours,
            Self::Procspawn
            | Self::Python
            | Self::PerlPool
            | Self::DeepPerlPool
            | Self::PerlRpc => Role::Peer,
            Self::Raw => Role::Baseline,
        }
    }

    /// Tells whether it is made for such calls.
    #[must_use]
    pub fn does(self, load: Load) -> bool {
        match self {
            Self::Pool | Self::Procspawn | Self::Python | Self::PerlPool => true,
            Self::DeepPool | Self::Services | Self::DeepPerlPool | Self::PerlRpc => {
                load.kind != Kind::Fresh
            }
            Self::Spawn => load.kind == Kind::Fresh,
            Self::Raw => load.many == 1 && matches!(load.kind, Kind::Number | Kind::Bytes),
        }
    }

    /// Tells whether it may be missing here: it is no part of this package.
    #[must_use]
    pub fn may_be_missing(self) -> bool {
        matches!(
            self,
            Self::Python | Self::PerlPool | Self::DeepPerlPool | Self::PerlRpc
        )
    }
}
