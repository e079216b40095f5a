//! The first bytes of a frame.

use super::kind::Kind;

/// Every frame begins with this: "zygote", version 1 of the protocol.
const MARK: [u8; 4] = *b"zyg1";

/// The first bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// Whether the body is in a sealed memory file, which is one more descriptor.
    pub(crate) in_memory: bool,
    /// Whether the descriptors are inside a socket, which is one more descriptor.
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

    /// Encodes the head: mark 4 · kind 1 · flags 1 · high half of fds 2 · number 8 ·
    /// length 6 · low half of fds 2; all little-endian.
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

    /// Decodes a head; `None` for anything that `encode` does not make.
    pub(crate) fn decode(bytes: &[u8; Self::LENGTH]) -> Option<Self> {
        let kind = Kind::decode(bytes[4])?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_head_comes_back() {
        for &kind in Kind::ALL {
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
}
