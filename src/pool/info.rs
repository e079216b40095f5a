//! What a pool tells of a worker.

/// A worker of a pool, for [`on_start`](super::Builder::on_start) and
/// [`on_stop`](super::Builder::on_stop).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Its process id.
    pub pid: u32,
    /// Its place in the pool, from 0 on. A worker that takes over from another one has
    /// its place.
    pub place: usize,
}

impl Info {
    pub(super) fn new(pid: u32, place: usize) -> Self {
        Self { pid, place }
    }
}
