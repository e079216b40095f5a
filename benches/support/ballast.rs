//! Memory that the program has touched, in pages of 4 KiB.
#![allow(unsafe_code, reason = "mmap, madvise")]

use std::{ffi::c_void, io, num::NonZeroUsize, ptr::NonNull};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

pub(crate) struct Ballast {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

impl Ballast {
    pub(crate) fn touch(megabytes: usize) -> io::Result<Self> {
        let length = NonZeroUsize::new(megabytes << 20).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, where the kernel likes.
        let start = unsafe { mmap_anonymous(None, length, access, MapFlags::MAP_PRIVATE)? };
        // SAFETY: the mapping just made; the advice changes no content.
        unsafe { madvise(start, length.get(), MmapAdvise::MADV_NOHUGEPAGE)? };
        for page in (0..length.get()).step_by(4096) {
            // SAFETY: within the mapping.
            let octet = unsafe { start.cast::<u8>().add(page) };
            // SAFETY: mapped, writable, and no one else's.
            unsafe { octet.write_volatile(1) };
        }
        Ok(Self { start, length })
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // SAFETY: our mapping, and this is its end.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}
