//! One page of memory that two processes share, as atomic words.

use std::{
    io::{self, Write},
    num::NonZeroUsize,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::atomic::AtomicU64,
};

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::{
        mman::{MapFlags, ProtFlags, mmap, munmap},
        stat::fstat,
    },
};

use super::memory;

/// How many words there are: 4 KiB.
pub(crate) const WORDS: usize = 512;

type Words = [AtomicU64; WORDS];

const LENGTH: NonZeroUsize = NonZeroUsize::new(size_of::<Words>()).expect("some words");

/// What makes the length final. The bytes are not.
const FIXED: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);

/// A page that another process may have, too. What that one writes is at worst a wrong
/// number: the page stays there, and every access is an atomic one.
#[derive(Debug)]
pub(crate) struct Shared(NonNull<Words>);

impl Shared {
    /// Makes a page of zeroes, and gives the memory file by which another process maps
    /// it.
    pub(crate) fn make() -> io::Result<(Self, OwnedFd)> {
        let mut file = memory::unsealed(LENGTH.get())?;
        // It is written, so that the kernel has the memory before anybody needs it.
        file.write_all(&[0; LENGTH.get()])?;
        fcntl(&file, FcntlArg::F_ADD_SEALS(FIXED | SealFlag::F_SEAL_SEAL))?;
        Ok((map(file.as_fd())?, file.into()))
    }

    /// Maps what [`make`](Self::make) has made; `None` if this is something else, or if
    /// somebody could make it shorter.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        let seals = memory::seals_of(fd)?;
        let is_whole = u64::try_from(fstat(fd)?.st_size) == Ok(LENGTH.get() as u64);
        (seals.contains(FIXED) && is_whole)
            .then(|| map(fd))
            .transpose()
    }

    pub(crate) fn words(&self) -> &Words {
        // SAFETY: `map` has mapped so many words for reading and writing, at the start
        // of a page, and until `self` is dropped; the seals keep all of them in the
        // file. Every number is a valid word, and nobody accesses them but by atomics.
        unsafe { self.0.as_ref() }
    }
}

fn map(fd: BorrowedFd<'_>) -> io::Result<Shared> {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice touches no existing
    // memory.
    let start = unsafe { mmap(None, LENGTH, access, MapFlags::MAP_SHARED, fd, 0) }?;
    Ok(Shared(start.cast()))
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: `map` mapped it, of this length, and no reference to its words
        // outlives `self`. There is nothing to do about an error.
        let _ = unsafe { munmap(self.0.cast(), LENGTH.get()) };
    }
}

// SAFETY: it is accessed by atomics alone, and unmapping is not bound to a thread.
unsafe impl Send for Shared {}

// SAFETY: as above.
unsafe impl Sync for Shared {}

#[cfg(test)]
mod tests {
    use std::{fs::File, sync::atomic::Ordering};

    use nix::sys::memfd::{MFdFlags, memfd_create};

    use super::*;

    #[test]
    fn both_sides_see_the_same_words() {
        let (one, fd) = Shared::make().unwrap();
        let other = Shared::of(fd.as_fd()).unwrap().unwrap();
        one.words()[WORDS - 1].store(7, Ordering::SeqCst);
        assert_eq!(other.words()[WORDS - 1].load(Ordering::SeqCst), 7);
        drop(one);
        assert_eq!(other.words()[WORDS - 1].load(Ordering::SeqCst), 7);
    }

    #[test]
    fn nobody_changes_its_length() {
        let (_page, fd) = Shared::make().unwrap();
        let file = File::from(fd);
        for length in [0, 1, 1 << 20] {
            let error = file.set_len(length).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        }
    }

    #[test]
    fn what_could_become_shorter_is_not_mapped() {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        for (length, seals) in [
            (4096, SealFlag::F_SEAL_GROW),
            (4096, SealFlag::F_SEAL_SHRINK),
            (4095, FIXED),
            (8192, FIXED),
        ] {
            let file = File::from(memfd_create(c"other", flags).unwrap());
            file.set_len(length).unwrap();
            fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
            assert!(Shared::of(file.as_fd()).unwrap().is_none(), "{seals:?}");
        }
        let null = File::open("/dev/null").unwrap();
        assert!(Shared::of(null.as_fd()).unwrap().is_none());
    }
}
