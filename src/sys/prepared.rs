//! A message that is made in advance, for code that must not allocate, lock or wait.

use std::{
    os::fd::AsRawFd,
    sync::atomic::{AtomicU64, Ordering},
};

use super::ours;

/// A message of three words. The second is filled in when the message is sent.
pub(super) struct Prepared([AtomicU64; 3]);

impl Prepared {
    pub(super) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 3])
    }

    /// Sets the message that is sent from here on.
    pub(super) fn set(&self, message: [u8; 24]) {
        for (slot, word) in self.0.iter().zip(message.chunks_exact(8)) {
            let word = word.try_into().map_or(0, u64::from_ne_bytes);
            slot.store(word, Ordering::Relaxed);
        }
    }

    /// Sends it on this process's socket, with this second word, if there is room. Makes
    /// async-signal-safe calls only.
    pub(super) fn say(&self, second: u64) {
        ours::with_main_socket(|socket| {
            let message = self.with(second);
            let (socket, flags) = (socket.as_raw_fd(), libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT);
            // SAFETY: the pointer and length are those of `message`.
            unsafe {
                libc::send(
                    socket,
                    message.as_ptr().cast(),
                    size_of_val(&message),
                    flags,
                )
            }
        });
    }

    fn with(&self, second: u64) -> [u64; 3] {
        let [first, _, last] = &self.0;
        let [first, last] = [first, last].map(|word| word.load(Ordering::Relaxed));
        [first, second, last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_second_word_is_as_it_was_set() {
        let prepared = Prepared::new();
        prepared.set(std::array::from_fn(|at| u8::try_from(at).unwrap()));
        let message = prepared
            .with(u64::from_ne_bytes([9; 8]))
            .map(u64::to_ne_bytes);
        assert_eq!(message[0], [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(message[1], [9; 8]);
        assert_eq!(message[2], [16, 17, 18, 19, 20, 21, 22, 23]);
    }
}
