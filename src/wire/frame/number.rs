//! What the number of a frame holds beside, or in place of, a process id.

/// Put into the number of `Run`, beside the owner's process id: the process has waited
/// in stock, and signals from that time are not meant for the worker.
pub(crate) const FROM_STOCK: u64 = 1 << 32;

/// Put into the number of `Run`: the owner waits for `Ready`.
pub(crate) const TELL_READY: u64 = 1 << 33;

/// Put into the number of `Run` and of `Preload`: which of 0, 1 and 2 the owner lends.
/// They come after all other descriptors of the frame, in this order.
pub(crate) mod streams {
    const FIRST: u32 = 34;

    /// Gives the flag for a stream that is lent.
    pub(crate) fn flag(stream: i32) -> u64 {
        1 << (FIRST + stream.cast_unsigned())
    }

    /// Gives the streams that are lent.
    pub(crate) fn of(number: u64) -> impl Iterator<Item = i32> {
        (0..3).filter(move |stream| number & flag(*stream) != 0)
    }
}

/// Put into the number of `Preload`: what it leaves in memory goes into huge pages.
pub(crate) const HUGE_PAGES: u64 = 1 << 37;

/// Put into the number of `Serve`: after a panic that had the preloaded value by `&mut`,
/// the worker goes on.
pub(crate) const KEEP: u64 = 1 << 38;

/// Put into the number of `Serve`: the worker ends after one call.
pub(crate) const ONCE: u64 = 1 << 39;

/// The number of [`Kind::Owner`] when the owner is a new one.
pub(crate) const NEW_OWNER: u64 = 1;

/// The number of [`Kind::Owner`] when the same owner asks again.
pub(crate) const SAME_OWNER: u64 = 0;
