//! The kinds of setting, in the order in which they are applied.

use crate::error::{Error, Kind, Result};

/// What a setting is about. They are applied in this order: what needs rights
/// or paths of the template's first, then the rights are given up, then what
/// only touches the process itself, and what forbids the most comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum What {
    /// From here on everything counts for the group.
    Cgroup,
    Stdin,
    Stdout,
    Stderr,
    OomScoreAdj,
    Nice,
    IoPriority,
    Affinity,
    Scheduler,
    /// Here the process may fork twice more: the last that is inside goes on.
    Namespaces,
    Session,
    ProcessGroup,
    Terminal,
    Root,
    Rlimit,
    Groups,
    Gid,
    Uid,
    Capabilities,
    Dumpable,
    NoNewPrivs,
    CurrentDir,
    Umask,
    Environment,
    Title,
    ThreadName,
    /// Takes the parent-death signal back.
    Detached,
    /// After the hooks.
    Confine,
}

impl What {
    const ALL: [Self; 28] = [
        Self::Cgroup,
        Self::Stdin,
        Self::Stdout,
        Self::Stderr,
        Self::OomScoreAdj,
        Self::Nice,
        Self::IoPriority,
        Self::Affinity,
        Self::Scheduler,
        Self::Namespaces,
        Self::Session,
        Self::ProcessGroup,
        Self::Terminal,
        Self::Root,
        Self::Rlimit,
        Self::Groups,
        Self::Gid,
        Self::Uid,
        Self::Capabilities,
        Self::Dumpable,
        Self::NoNewPrivs,
        Self::CurrentDir,
        Self::Umask,
        Self::Environment,
        Self::Title,
        Self::ThreadName,
        Self::Detached,
        Self::Confine,
    ];

    pub(super) fn decode(byte: u8) -> Result<Self> {
        let what = Self::ALL.into_iter().find(|what| *what as u8 == byte);
        what.ok_or_else(|| Error::new(Kind::Protocol, "a setting of an unknown kind").unstarted())
    }

    /// Whether a few system calls on the process itself apply it. (Those of the
    /// environment may be put in place instead.)
    pub(super) fn is_plain(self) -> bool {
        matches!(
            self,
            Self::Stdin
                | Self::Stdout
                | Self::Stderr
                | Self::Session
                | Self::ProcessGroup
                | Self::CurrentDir
                | Self::Umask
                | Self::Detached
        )
    }

    /// The name of the method that records it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::OomScoreAdj => "oom_score_adj",
            Self::Nice => "nice",
            Self::IoPriority => "io_priority",
            Self::Affinity => "affinity",
            Self::Scheduler => "scheduler",
            Self::Session => "session",
            Self::ProcessGroup => "process_group",
            Self::Terminal => "controlling_terminal",
            Self::Namespaces => "namespaces",
            Self::Root => "root",
            Self::Rlimit => "rlimit",
            Self::Groups => "groups",
            Self::Gid => "gid",
            Self::Uid => "uid",
            Self::Capabilities => "capabilities",
            Self::Dumpable => "dumpable",
            Self::NoNewPrivs => "no_new_privs",
            Self::CurrentDir => "current_dir",
            Self::Umask => "umask",
            Self::Environment => "env",
            Self::Title => "title",
            Self::ThreadName => "thread_name",
            Self::Detached => "detached",
            Self::Confine => "confine",
        }
    }
}
