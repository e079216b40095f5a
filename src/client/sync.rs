//! Locks, and what each process keeps for itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sys::{epoch, leaked::Leaked};

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A static of one process. A copy of the process, made by a fork of the program's own,
/// gets a new one, because a lock in here may have been held while it was copied.
#[derive(Debug)]
pub(super) struct Own<T: 'static>(Leaked<Of<T>>);

#[derive(Debug)]
struct Of<T> {
    epoch: u64,
    value: T,
}

impl<T: Default + Send + Sync + 'static> Own<T> {
    pub(super) const fn new() -> Self {
        Self(Leaked::none())
    }

    /// Gives this process's value, which is made when it is first needed and never
    /// freed.
    pub(super) fn get(&self) -> &'static T {
        let (epoch, known) = (epoch::current(), self.0.get());
        if let Some(known) = known
            && known.epoch == epoch
        {
            return &known.value;
        }
        let value = T::default();
        // When another thread is first, its value is of this epoch, too.
        &self.0.replace(known, Of { epoch, value }).value
    }
}
