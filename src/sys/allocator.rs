//! The wrapper of the user's allocator, which tells the owner of a worker when it gets
//! no memory.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use super::{keep_errno, prepared::Prepared};

/// A global allocator with which a worker tells, before it dies, how much memory it
/// asked for in vain.
///
/// A Rust program aborts when it needs memory and gets none. Of a worker you then learn
/// only that it was killed by SIGABRT, because stable Rust runs no code of the program
/// between the failure and the abort. Wrap this around your program's allocator: then
/// the error of [`join`](crate::Worker::join) has the size, and
/// [`is_out_of_memory`](crate::Error::is_out_of_memory) is true.
///
/// A worker reports each allocation that fails to its owner at once, up to sixteen
/// times, from any thread, and from its settings and hooks on to its end. The error has
/// the last size; after sixteen failures or more it has none. It says that memory was
/// refused, not that the worker died of it. So if `try_reserve` fails in a worker that
/// later calls `abort` for another reason, before it gives a result, the error is out of
/// memory, too. If the worker gives a result or panics after the failure, that is the
/// outcome, as always.
///
/// In the program, in templates and in preloads it reports nothing, and does what the
/// allocator inside it does. That allocator must show a failure as a null pointer: a
/// worker that the kernel kills for its memory has reported nothing (see
/// [Killed for its memory](crate::gotchas#killed-for-its-memory)).
///
/// # Examples
///
/// ```
/// use std::{alloc::System, hint::black_box};
///
/// #[global_allocator]
/// static ALLOCATOR: zygote::Allocator = zygote::Allocator::new(System);
///
/// #[zygote::entry]
/// fn collect(bytes: usize) -> usize {
///     black_box(Vec::<u8>::with_capacity(bytes)).capacity()
/// }
///
/// let most = isize::MAX as usize;
/// let error = collect::spawn(most)?.join().unwrap_err();
/// assert!(error.is_out_of_memory() && error.is_signal());
/// assert!(error.message().ends_with(&format!("{most} bytes of memory could not be had")));
/// # Ok::<(), zygote::Error>(())
/// ```
///
/// With another allocator inside:
///
/// ```
/// # use std::alloc::System as Jemalloc;
/// #[global_allocator]
/// static ALLOCATOR: zygote::Allocator<Jemalloc> = zygote::Allocator::new(Jemalloc);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocator<A = System>(A);

impl<A: GlobalAlloc> Allocator<A> {
    /// Makes an allocator that takes all memory from this one.
    #[must_use]
    pub const fn new(inner: A) -> Self {
        Self(inner)
    }
}

// SAFETY: each method gives what the same method of the inner allocator gives for the
// same arguments; `pass` neither unwinds nor allocates.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Allocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout has a size.
        pass(unsafe { self.0.alloc(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's block is from here, so from the inner one, with this
        // layout.
        unsafe { self.0.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout has a size.
        pass(unsafe { self.0.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's block is from here, so from the inner one, with this
        // layout, and the size makes a layout, too.
        pass(unsafe { self.0.realloc(block, layout, size) }, size)
    }
}

/// Whether the program uses this allocator. It is noted at the first allocation.
static IS_IN: AtomicBool = AtomicBool::new(false);

/// How often this process may still tell its owner.
static LEFT: AtomicU32 = AtomicU32::new(0);

/// How often a worker may tell its owner. Its result must still find room in the socket
/// behind these frames while nobody reads.
const MOST: u32 = 16;

/// The size in the last frame that may be sent: that one stands for all failures from
/// there on.
const MANY: u64 = 0;

/// What is told; its second word is the size.
static WORD: Prepared = Prepared::new();

/// Passes on what an allocator gave for this size.
#[inline]
fn pass(block: *mut u8, size: usize) -> *mut u8 {
    // A store each time would move the line between the threads' caches.
    if !IS_IN.load(Ordering::Relaxed) {
        IS_IN.store(true, Ordering::Relaxed);
    }
    if block.is_null() {
        tell(size);
    }
    block
}

#[cold]
fn tell(size: usize) {
    if let Some(told) = count(&LEFT, size) {
        // The allocator's own errno is the caller's to see.
        keep_errno(|| WORD.say(told));
    }
}

/// Counts a failure, and gives the size to tell, if any more may be told.
fn count(left: &AtomicU32, size: usize) -> Option<u64> {
    let one_less = |left: u32| left.checked_sub(1);
    match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
        Ok(1) => Some(MANY),
        Ok(_) => Some(size as u64),
        Err(_) => None,
    }
}

/// Tells whether the program uses this allocator.
pub(crate) fn is_in() -> bool {
    IS_IN.load(Ordering::Relaxed)
}

/// Sets the message whose second word is for the size. This process tells nothing until
/// [`speak`], although it may be a copy of one that did.
pub(crate) fn prepare(message: [u8; 24]) {
    WORD.set(message);
    LEFT.store(0, Ordering::Relaxed);
}

/// Lets this process, a worker, tell its owner of memory that it asks for in vain.
pub(crate) fn speak() {
    // A worker of a program without the allocator writes to no memory for it.
    if is_in() {
        LEFT.store(MOST, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_sizes_are_told_and_the_last_stands_for_the_rest() {
        let left = AtomicU32::new(MOST);
        for size in 1..16 {
            assert_eq!(count(&left, size), Some(size as u64));
        }
        assert_eq!(count(&left, 16), Some(MANY));
        for _ in 0..2 {
            assert_eq!(count(&left, 17), None);
        }
    }

    #[test]
    fn blocks_are_those_of_the_allocator_inside() {
        let (allocator, small) = (Allocator::new(System), Layout::new::<[u8; 16]>());
        let more = small.size() * 2;
        // SAFETY: the layout has a size.
        let block = unsafe { allocator.alloc_zeroed(small) };
        // SAFETY: it was made just above with this layout.
        let block = unsafe { allocator.realloc(block, small, more) };
        // SAFETY: it has so many bytes, the first of which are zeroed.
        assert_eq!(unsafe { block.cast::<[u8; 16]>().read() }, [0; 16]);
        let layout = Layout::from_size_align(more, small.align()).unwrap();
        // SAFETY: it was made just above with this layout.
        unsafe { allocator.dealloc(block, layout) };
        assert!(is_in());
        let huge = Layout::array::<u8>(isize::MAX as usize).unwrap();
        // SAFETY: the layout has a size.
        assert!(unsafe { allocator.alloc(huge) }.is_null());
    }
}
