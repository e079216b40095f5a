//! What a template says about its children.

use std::time::Duration;

use crate::exit::Rusage;

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
}
