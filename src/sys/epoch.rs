//! Whether this process is still the one that made a handle, or the one that serves.
//!
//! A plain `fork` of the program copies every handle, and two processes that speak on
//! one socket corrupt its stream. The number kept here differs in every copy, at the
//! cost of reading one word: it is on a page that the kernel empties in the child of a
//! fork.

use std::{
    ptr,
    sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering},
};

/// The page, or null while there is none.
static PAGE: AtomicPtr<Page> = AtomicPtr::new(ptr::null_mut());

/// What is on the page.
#[repr(C)]
struct Page {
    epoch: AtomicU64,
    /// The process id, which the C library asks the kernel for each time.
    pid: AtomicU32,
}

/// The last number given out. A fork copies it, so the numbers of a copy are always
/// greater than those it inherited.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The number of the process that serves in this memory, see [`claim`]; 0 is none.
static SERVING: AtomicU64 = AtomicU64::new(0);

/// Makes this process the one that serves: a template or a worker.
pub(crate) fn claim() {
    let number = page().map_or_else(current, begin);
    SERVING.store(number, Ordering::Relaxed);
}

/// Tells whether user code has forked this process from one that serves.
pub(crate) fn is_copy() -> bool {
    let serving = SERVING.load(Ordering::Relaxed);
    serving != 0 && serving != current()
}

/// Gives a number that stays the same while this process lives, and that none of the
/// processes it was forked from had.
pub(crate) fn current() -> u64 {
    let page = page();
    let Some(page) = page else {
        return u64::from(std::process::id());
    };
    match page.epoch.load(Ordering::Relaxed) {
        0 => begin(page),
        epoch => epoch,
    }
}

/// Gives the number on the page, and makes one if there is none. It writes at once,
/// because reading a new page first would be a second fault.
fn begin(page: &Page) -> u64 {
    let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    match page
        .epoch
        .compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed)
    {
        Ok(_) => next,
        Err(other) => other,
    }
}

/// Gives this process's id.
pub(crate) fn pid() -> u32 {
    let Some(page) = page() else {
        return std::process::id();
    };
    match page.pid.load(Ordering::Relaxed) {
        0 => {
            let pid = std::process::id();
            page.pid.store(pid, Ordering::Relaxed);
            pid
        }
        pid => pid,
    }
}

/// Gives the page; `None` when the kernel gives none (then the process id serves, which
/// costs a system call and is as good until ids are reused).
fn page() -> Option<&'static Page> {
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        let new = map();
        if new.is_null() {
            return None;
        }
        page = match PAGE.compare_exchange(
            ptr::null_mut(),
            new,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => new,
            // Two threads came first at the same time: the other thread's page counts,
            // and this one stays mapped and unused.
            Err(other) => other,
        };
    }
    // SAFETY: `page` came from `map`, which returns null or the start of a
    // readable, writable, zeroed page that is never unmapped.
    Some(unsafe { &*page })
}

fn map() -> *mut Page {
    const LENGTH: usize = 4096;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice
    // touches no existing memory.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            LENGTH,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return ptr::null_mut();
    }
    // SAFETY: advice on the page that was mapped just above.
    let wiped = unsafe { libc::madvise(page, LENGTH, libc::MADV_WIPEONFORK) };
    if wiped != 0 {
        // SAFETY: the page was mapped above and nobody else has its address.
        unsafe { libc::munmap(page, LENGTH) };
        return ptr::null_mut();
    }
    page.cast()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_number_stays() {
        let first = super::current();
        let other = std::thread::spawn(super::current).join().unwrap();
        assert_ne!(first, 0);
        assert_eq!(first, other);
        assert_eq!(super::pid(), std::process::id());
        assert_eq!(super::pid(), std::process::id());
    }
}
