//! A value that is published and never freed.

use std::{
    fmt, ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

/// A place for values that live until the end of the process. It has no lock, because a
/// fork may copy it at any moment.
pub(crate) struct Leaked<T: 'static>(AtomicPtr<T>);

impl<T: Send + Sync + 'static> Leaked<T> {
    pub(crate) const fn none() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Gives the value that was put here last.
    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: it is null, or what `replace` has leaked: nobody frees it or
        // writes through the pointer.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Puts a value in place of the `known` one, and gives the value that is here
    /// afterwards. That is a different one if another thread was first.
    pub(crate) fn replace(&self, known: Option<&'static T>, value: T) -> &'static T {
        let known = known.map_or(ptr::null_mut(), |known| ptr::from_ref(known).cast_mut());
        let new: &'static T = Box::leak(Box::new(value));
        let pointer = ptr::from_ref(new).cast_mut();
        let _ = self
            .0
            .compare_exchange(known, pointer, Ordering::AcqRel, Ordering::Acquire);
        self.get().unwrap_or(new)
    }
}

impl<T> fmt::Debug for Leaked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Leaked").field(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_second_gets_the_value_of_the_first() {
        let place = Leaked::none();
        assert_eq!(place.get(), None);
        let first = place.replace(None, 1);
        assert_eq!((*first, place.get()), (1, Some(&1)));
        assert_eq!(place.replace(None, 2), &1);
        assert_eq!(place.replace(Some(first), 3), &3);
        assert_eq!((*first, place.get()), (1, Some(&3)));
    }
}
