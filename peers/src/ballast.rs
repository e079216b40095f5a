//! Memory that the program has touched, in pages of 4 KiB.
#![allow(unsafe_code, reason = "mmap, madvise")]

use std::{ffi::c_void, io, num::NonZeroUsize, ptr::NonNull};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// Such memory.
#[derive(Debug)]
pub struct Ballast {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

impl Ballast {
    /// Maps so much and writes to each page.
    ///
    /// # Errors
    ///
    /// There is not as much.
    pub fn touch(megabytes: usize) -> io::Result<Self> {
        let length = NonZeroUsize::new(megabytes << 20).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, where the kernel likes.
        let start = unsafe { mmap_anonymous(None, length, access, MapFlags::MAP_PRIVATE)? };
        // SAFETY: the mapping just made; the advice changes no content.
        unsafe { madvise(start, length.get(), MmapAdvise::MADV_NOHUGEPAGE)? };
        let ballast = Self { start, length };
        // All at once, where the kernel can (since 5.14); else one by one.
        // SAFETY: the mapping just made; its content is not changed.
        let touched =
            unsafe { libc::madvise(start.as_ptr(), length.get(), libc::MADV_POPULATE_WRITE) };
        if touched != 0 {
            ballast.write(0, length.get() / PAGE);
        }
        Ok(ballast)
    }

    /// Writes to this many pages from this one on, round and round.
    pub fn write(&self, first: usize, pages: usize) {
        for page in first..first + pages {
            // SAFETY: within the mapping.
            let octet = unsafe { self.start.cast::<u8>().add(page * PAGE % self.length.get()) };
            // SAFETY: mapped, writable, and no one else's: it is not `Sync`.
            unsafe { octet.write_volatile(2) };
        }
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // SAFETY: our mapping, and this is its end.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}
