//! Locks, and what each process keeps for itself.

use std::{
    ptr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicPtr, Ordering},
    },
};

use crate::sys::{self, epoch};

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A static of one process. A copy of the process, by a fork of the program's own,
/// gets one of its own: a lock in here may have been held while it was copied.
#[derive(Debug)]
pub(super) struct Own<T>(AtomicPtr<Of<T>>);

#[derive(Debug)]
struct Of<T> {
    epoch: u64,
    value: T,
}

impl<T: Default + Sync + 'static> Own<T> {
    pub(super) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// This process's, made at the first need and never freed.
    pub(super) fn get(&self) -> &'static T {
        let epoch = epoch::current();
        let known = self.0.load(Ordering::Acquire);
        if let Some(known) = sys::shared(known)
            && known.epoch == epoch
        {
            return &known.value;
        }
        let value = T::default();
        let new: &'static Of<T> = Box::leak(Box::new(Of { epoch, value }));
        let new_ptr = ptr::from_ref(new).cast_mut();
        let put = self
            .0
            .compare_exchange(known, new_ptr, Ordering::AcqRel, Ordering::Acquire);
        match put {
            Ok(_) => &new.value,
            // Another thread was first; its own is of this epoch.
            Err(other) => &sys::shared(other).unwrap_or(new).value,
        }
    }
}
