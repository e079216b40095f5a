//! Who gives calls, and their numbers. Pure.

/// The threads that give calls: one at a time does, so that calls arrive in the order of
/// their numbers.
#[derive(Debug, Default)]
pub(super) struct Senders {
    /// The number of the last call.
    last: u64,
    is_taken: bool,
}

impl Senders {
    /// Gives the number of the next call, if nobody else is sending.
    pub(super) fn begin(&mut self) -> Option<u64> {
        if std::mem::replace(&mut self.is_taken, true) {
            return None;
        }
        self.last += 1;
        Some(self.last)
    }

    pub(super) fn end(&mut self) {
        self.is_taken = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_sends_at_a_time_and_numbers_go_up() {
        let mut senders = Senders::default();
        assert_eq!(senders.begin(), Some(1), "0 is no call");
        assert_eq!(senders.begin(), None);
        senders.end();
        assert_eq!(senders.begin(), Some(2));
    }
}
