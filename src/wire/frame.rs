//! The head of a frame and the bodies that are not a task or a result. Pure.

use std::time::Duration;

use crate::{
    error::{Error, Kind as ErrorKind},
    exit::Rusage,
    registry::Id,
};

/// What a frame says. The number is its first byte after the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// To a process: fork; the descriptor is the new process's end of its
    /// socket, the number its name between the two. Body: [`ids`] of children
    /// that nobody asks about any more.
    Fork = 1,
    /// To a process: run this preload. Body: [`call`]. The number says which
    /// [`streams`] follow its descriptors.
    Preload,
    /// To a process: keep these bytes as a raw argument.
    Arg,
    /// To a process: keep this descriptor as a raw argument.
    Fd,
    /// To a process: run this entry, with the owner's process id as number, and
    /// which [`streams`] follow its descriptors. Body: [`call`].
    Run,
    /// To a process: report nothing about the children in the body, [`ids`].
    Forget,
    /// To a process: look whether this child has ended.
    Reap,
    /// To a process: kill the children in the body, [`ids`], report nothing.
    Discard,
    /// To a process: it belongs to the sender now; the descriptor is the
    /// sender's pidfd. Answered by `Hello`.
    Owner,
    /// To a process: no more forks; leave when the children have.
    Close,
    /// To a program started as a server: the token it must know; the
    /// descriptor is the sender's pidfd.
    Token,
    /// To a process: what it is to be made of when it runs an entry. Body:
    /// [`Settings`](crate::settings::Settings).
    Settings,
    /// To a process: as `Fork`, but when nothing else is to be done.
    Spare,
    /// To a process: somebody waits for the spare of this number, fork it now.
    Hurry,
    /// To a process: start the program that the new process was told to become
    /// already. Otherwise as `Fork`.
    Program,
    /// To a process: it is given away, and another owner will speak. Answered by
    /// `Done`.
    Give,

    /// From a process, first of all: its id as number, its own pidfd.
    Hello = 32,
    /// From a process: the preload has run.
    Done,
    /// From a process: a request failed. Body: [`Failure`].
    Failed,
    /// From a worker: the result.
    Value,
    /// From a worker: it lives on without its template from here on.
    Detached,
    /// From a process: children that ended. Body: [`Report`]s.
    Exits,
    /// From a worker that was asked for it: its settings are applied.
    Ready,
    /// From a program that was executed to be a template: the template that it has
    /// cloned, its id as number and its pidfd. It comes before or after its `Hello`.
    Born,

    /// Between the ends of a channel.
    Message = 64,
}

impl Kind {
    const ALL: [Self; 25] = [
        Self::Fork,
        Self::Spare,
        Self::Hurry,
        Self::Program,
        Self::Preload,
        Self::Arg,
        Self::Fd,
        Self::Settings,
        Self::Run,
        Self::Forget,
        Self::Reap,
        Self::Discard,
        Self::Give,
        Self::Owner,
        Self::Close,
        Self::Token,
        Self::Hello,
        Self::Born,
        Self::Ready,
        Self::Done,
        Self::Failed,
        Self::Value,
        Self::Detached,
        Self::Exits,
        Self::Message,
    ];

    /// Whether it carries what a user made: bytes of any length, descriptors of
    /// any number. All others have a short body and at most one descriptor.
    pub(crate) fn is_parcel(self) -> bool {
        matches!(
            self,
            Self::Program
                | Self::Settings
                | Self::Preload
                | Self::Arg
                | Self::Run
                | Self::Failed
                | Self::Value
                | Self::Message
        )
    }
}

/// Every frame begins with this: "zygote", version 1 of the protocol.
const MARK: [u8; 4] = *b"zyg1";

/// Put into the number of `Run`, beside the owner's process id: the process has
/// waited in stock, and signals of that time are not meant for the worker.
pub(crate) const FROM_STOCK: u64 = 1 << 32;

/// Put into the number of `Run`: the owner waits for `Ready`.
pub(crate) const TELL_READY: u64 = 1 << 33;

/// Put into the number of `Run` and of `Preload`: which of 0, 1 and 2 the owner
/// lends. They stand behind all other descriptors of the frame, in this order.
pub(crate) mod streams {
    const FIRST: u32 = 34;

    /// For a stream that is lent.
    pub(crate) fn flag(stream: i32) -> u64 {
        1 << (FIRST + stream.cast_unsigned())
    }

    /// Those that are lent.
    pub(crate) fn of(number: u64) -> impl Iterator<Item = i32> {
        (0..3).filter(move |stream| number & flag(*stream) != 0)
    }
}

/// In the number of [`Kind::Owner`]: it is not the owner it was.
pub(crate) const NEW_OWNER: u64 = 1;

/// In the number of [`Kind::Owner`]: the owner asks again.
pub(crate) const SAME_OWNER: u64 = 0;

/// The first bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// The body is in a sealed memory file, which is a descriptor of its own.
    pub(crate) in_memory: bool,
    /// The descriptors are inside a socket, which is a descriptor of its own.
    pub(crate) in_carrier: bool,
    /// How many descriptors belong to the frame.
    pub(crate) fds: u32,
    pub(crate) number: u64,
    /// How long the body is.
    pub(crate) length: u64,
}

impl Head {
    pub(crate) const LENGTH: usize = 24;

    pub(crate) fn new(kind: Kind, number: u64) -> Self {
        Self {
            kind,
            in_memory: false,
            in_carrier: false,
            fds: 0,
            number,
            length: 0,
        }
    }

    /// mark 4 · kind 1 · flags 1 · high half of fds 2 · number 8 · length 6 ·
    /// low half of fds 2; all little-endian.
    pub(crate) fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..4].copy_from_slice(&MARK);
        bytes[4] = self.kind as u8;
        bytes[5] = u8::from(self.in_memory) | u8::from(self.in_carrier) << 1;
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        // No process has 2^48 bytes: the upper two are free.
        bytes[16..22].copy_from_slice(&self.length.to_le_bytes()[..6]);
        bytes[22..24].copy_from_slice(&self.fds.to_le_bytes()[..2]);
        bytes[6..8].copy_from_slice(&self.fds.to_le_bytes()[2..]);
        bytes
    }

    /// `None` for anything that `encode` does not make.
    pub(crate) fn decode(bytes: &[u8; Self::LENGTH]) -> Option<Self> {
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == bytes[4])?;
        if bytes[..4] != MARK || bytes[5] > 3 {
            return None;
        }
        let word = |from: usize, length: usize| {
            let mut word = [0; 8];
            word[..length].copy_from_slice(&bytes[from..from + length]);
            u64::from_le_bytes(word)
        };
        let fds = word(22, 2) | word(6, 2) << 16;
        Some(Self {
            kind,
            in_memory: bytes[5] & 1 != 0,
            in_carrier: bytes[5] & 2 != 0,
            fds: u32::try_from(fds).ok()?,
            number: word(8, 8),
            length: word(16, 6),
        })
    }
}

/// A frame that arrived whole.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) fds: Vec<std::os::fd::OwnedFd>,
}

/// The body of `Fork`, `Spare`, `Forget`, `Discard`: numbers of children.
pub(crate) mod ids {
    pub(crate) fn encode(ids: &[u64]) -> Vec<u8> {
        ids.iter().flat_map(|id| id.to_le_bytes()).collect()
    }

    pub(crate) fn decode(body: &[u8]) -> impl Iterator<Item = u64> {
        // A rest that is no whole number is not ours and means nothing.
        body.chunks_exact(8)
            .filter_map(|id| Some(u64::from_le_bytes(id.try_into().ok()?)))
    }
}

/// The first bytes of `Preload` and `Run`: which entry. The encoded arguments
/// follow.
pub(crate) mod call {
    use super::Id;

    pub(crate) const LENGTH: usize = 12;

    pub(crate) fn encode(id: Id) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(&id.index.to_le_bytes());
        bytes[4..].copy_from_slice(&id.hash.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Id> {
        let (index, rest) = body.split_first_chunk()?;
        let (hash, _) = rest.split_first_chunk()?;
        Some(Id {
            index: u32::from_le_bytes(*index),
            hash: u64::from_le_bytes(*hash),
        })
    }
}

/// Why a request failed, as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    /// No code of the entry ran.
    pub(crate) unstarted: bool,
    /// The errno of the call that failed, or 0.
    pub(crate) code: i32,
    pub(crate) text: String,
}

/// The kinds of error that a process reports. The place is the number.
const FAILURES: [ErrorKind; 7] = [
    ErrorKind::Os,
    ErrorKind::Invalid,
    ErrorKind::Preload,
    ErrorKind::Panic,
    ErrorKind::Protocol,
    ErrorKind::Setting,
    ErrorKind::Hook,
];

impl Failure {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let kind = FAILURES.iter().position(|kind| *kind == self.kind);
        let mut body = vec![
            kind.and_then(|at| u8::try_from(at).ok()).unwrap_or(0),
            u8::from(self.unstarted),
        ];
        body.extend_from_slice(&self.code.to_le_bytes());
        body.extend_from_slice(self.text.as_bytes());
        body
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let ([kind, unstarted], rest) = body.split_first_chunk()?;
        let (code, text) = rest.split_first_chunk()?;
        Some(Self {
            kind: *FAILURES.get(usize::from(*kind))?,
            unstarted: *unstarted != 0,
            code: i32::from_le_bytes(*code),
            text: String::from_utf8_lossy(text).into_owned(),
        })
    }

    pub(crate) fn from_error(error: &Error) -> Self {
        let (kind, code) = error.kind_and_code();
        Self {
            kind: if FAILURES.contains(&kind) {
                kind
            } else {
                ErrorKind::Invalid
            },
            unstarted: error.is_unstarted(),
            code,
            text: error.message().to_owned(),
        }
    }

    pub(crate) fn into_error(self) -> Error {
        let mut error = Error::new(self.kind, self.text);
        if self.code != 0 {
            error = error.with_source(std::io::Error::from_raw_os_error(self.code));
        }
        if self.unstarted {
            error = error.unstarted();
        }
        error
    }
}

/// What a template says about a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// The number that `Fork` gave it.
    pub(crate) child: u64,
    pub(crate) fate: Fate,
}

/// What became of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It ended with this wait status.
    Ended { status: i32, rusage: Rusage },
    /// It never began: its socket was lost on the way, for this errno.
    Unborn { code: i32 },
}

impl Report {
    const LENGTH: usize = 96;

    pub(crate) fn encode(reports: &[Self]) -> Vec<u8> {
        let mut body = Vec::with_capacity(reports.len() * Self::LENGTH);
        for report in reports {
            let (ended, status, rusage) = match report.fate {
                Fate::Ended { status, rusage } => (1, status, rusage),
                Fate::Unborn { code } => (0, code, Rusage::default()),
            };
            body.extend_from_slice(&report.child.to_le_bytes());
            body.extend_from_slice(&status.to_le_bytes());
            body.extend_from_slice(&u32::to_le_bytes(ended));
            for word in words(&rusage) {
                body.extend_from_slice(&word.to_le_bytes());
            }
            body.extend_from_slice(&[0; 8]);
        }
        body
    }

    pub(crate) fn decode(body: &[u8]) -> Vec<Self> {
        body.chunks_exact(Self::LENGTH)
            .map(|bytes| {
                let word = |at: usize| {
                    let mut word = [0; 8];
                    word.copy_from_slice(&bytes[at * 8..at * 8 + 8]);
                    u64::from_le_bytes(word)
                };
                #[expect(clippy::cast_possible_truncation, reason = "the low half")]
                let status = (word(1) as u32).cast_signed();
                let fate = if word(1) >> 32 == 0 {
                    Fate::Unborn { code: status }
                } else {
                    let rusage = rusage(std::array::from_fn(|at| word(at + 2)));
                    Fate::Ended { status, rusage }
                };
                Self {
                    child: word(0),
                    fate,
                }
            })
            .collect()
    }
}

fn words(rusage: &Rusage) -> [u64; 9] {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    [
        nanos(rusage.user),
        nanos(rusage.system),
        rusage.max_rss,
        rusage.minor_faults,
        rusage.major_faults,
        rusage.blocks_in,
        rusage.blocks_out,
        rusage.voluntary_switches,
        rusage.involuntary_switches,
    ]
}

fn rusage(words: [u64; 9]) -> Rusage {
    Rusage {
        user: Duration::from_nanos(words[0]),
        system: Duration::from_nanos(words[1]),
        max_rss: words[2],
        minor_faults: words[3],
        major_faults: words[4],
        blocks_in: words[5],
        blocks_out: words[6],
        voluntary_switches: words[7],
        involuntary_switches: words[8],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_head_comes_back() {
        for kind in Kind::ALL {
            let head = Head {
                kind,
                in_memory: true,
                in_carrier: false,
                fds: 70_000,
                number: u64::MAX - 1,
                length: (1 << 48) - 1,
            };
            assert_eq!(Head::decode(&head.encode()), Some(head));
        }
    }

    #[test]
    fn a_head_that_is_not_ours_is_refused() {
        let good = Head::new(Kind::Run, 1).encode();
        for (at, value) in [(0, b'x'), (3, b'2'), (4, 0), (4, 200), (5, 4)] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(Head::decode(&bad), None, "byte {at} is {value}");
        }
    }

    #[test]
    fn reports_come_back() {
        let rusage = Rusage {
            user: Duration::from_micros(5),
            max_rss: 1 << 40,
            involuntary_switches: 9,
            ..Rusage::default()
        };
        let reports = [
            Report {
                child: 3,
                fate: Fate::Ended {
                    status: 139,
                    rusage,
                },
            },
            Report {
                child: u64::MAX,
                fate: Fate::Unborn { code: 24 },
            },
        ];
        assert_eq!(Report::decode(&Report::encode(&reports)), reports);
        assert!(Report::decode(&[1; 95]).is_empty());
    }

    #[test]
    fn failures_come_back_and_short_ones_do_not() {
        for kind in FAILURES {
            let failure = Failure {
                kind,
                unstarted: true,
                code: 12,
                text: "fork failed".to_owned(),
            };
            assert_eq!(Failure::decode(&failure.encode()), Some(failure));
        }
        assert_eq!(Failure::decode(&[0; 5]), None);
        assert_eq!(Failure::decode(&[99; 20]), None);
    }

    #[test]
    fn numbers_and_calls_come_back() {
        let list = [1, u64::MAX, 7];
        assert!(ids::decode(&ids::encode(&list)).eq(list));
        assert_eq!(ids::decode(&[1, 2, 3]).count(), 0);
        let id = Id { index: 5, hash: 99 };
        assert_eq!(call::decode(&call::encode(id)), Some(id));
        assert_eq!(call::decode(&[0; 11]), None);
    }
}
