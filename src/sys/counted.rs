//! The allocator of the unit tests: it notes the largest request of a thread.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

struct Counted;

#[global_allocator]
static COUNTED: Counted = Counted;

fn note(size: usize) {
    // A thread at its end has no counter.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: all work is the system allocator's; noting a number allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise is the system allocator's, unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

/// Tells the most bytes that were asked for at once.
pub(crate) fn largest<R>(act: impl FnOnce() -> R) -> (R, usize) {
    LARGEST.set(0);
    let result = act();
    (result, LARGEST.get())
}

#[test]
fn the_largest_request_is_noted() {
    let (_, small) = largest(|| Vec::<u8>::with_capacity(10));
    assert_eq!(small, 10);
    let (_, large) = largest(|| [vec![0_u8; 5000], vec![1; 70]]);
    assert_eq!(large, 5000);
}
