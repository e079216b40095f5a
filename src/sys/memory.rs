//! Sealed memory: files without a name whose bytes and length are final.

use std::{
    fs::File,
    io::{self, Write},
    num::NonZeroUsize,
    ops::Deref,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
    ptr::NonNull,
    slice,
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::{
        memfd::{MFdFlags, memfd_create},
        mman::{MapFlags, ProtFlags, mmap, munmap},
        resource::Resource,
        stat::fstat,
    },
};

use super::{fail, fd};

/// What makes the length and the bytes final.
const FIXED: SealFlag = SealFlag::F_SEAL_SHRINK
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_WRITE);

/// Makes memory with these bytes, one part after the other, that nobody can change or
/// shrink: `memfd_create(2)` with seals.
pub(crate) fn sealed(parts: &[&[u8]]) -> io::Result<OwnedFd> {
    let mut file = unsealed(parts.iter().map(|part| part.len()).sum())?;
    for part in parts {
        file.write_all(part)?;
    }
    seal(&file)?;
    Ok(file.into())
}

/// Makes an empty memory file that can be sealed, for so many bytes.
pub(super) fn unsealed(length: usize) -> io::Result<File> {
    if length as u64 > fd::limit_of(Resource::RLIMIT_FSIZE) {
        // Trying would raise SIGXFSZ, which kills by default.
        return Err(Errno::EFBIG.into());
    }
    fail::check("memfd_create")?;
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    Ok(fd::above_standard(memfd_create(c"zygote", flags)?)?.into())
}

/// Gives the seals of a file in memory, and none for any other.
pub(super) fn seals_of(fd: BorrowedFd<'_>) -> io::Result<SealFlag> {
    match fcntl(fd, FcntlArg::F_GET_SEALS) {
        Ok(seals) => Ok(SealFlag::from_bits_truncate(seals)),
        Err(Errno::EINVAL) => Ok(SealFlag::empty()),
        Err(error) => Err(error.into()),
    }
}

/// Seals the memory. The kernel refuses while something holds on to one of the pages:
/// when memory is short, this can be any process that looks for some.
fn seal(file: &File) -> io::Result<()> {
    const TRIES: usize = 10;
    for _ in 0..TRIES {
        match fcntl(file, FcntlArg::F_ADD_SEALS(FIXED | SealFlag::F_SEAL_SEAL)) {
            Err(Errno::EBUSY) => std::thread::sleep(Duration::from_millis(1)),
            result => return Ok(result.map(drop)?),
        }
    }
    Err(Errno::EBUSY.into())
}

/// Gives the length of [`sealed`] memory; `None` when it is not sealed or has holes.
/// The process that made it wrote every byte, and a length is not believed unless
/// somebody has spent the memory for it.
fn sealed_length(fd: BorrowedFd<'_>) -> io::Result<Option<usize>> {
    if !seals_of(fd)?.contains(FIXED) {
        return Ok(None);
    }
    // This comes after the seals were seen: from then on it does not change.
    let about = fstat(fd)?;
    // The blocks are units of 512 bytes, whatever the size of a page.
    let is_whole = about.st_blocks.saturating_mul(512) >= about.st_size;
    Ok(usize::try_from(about.st_size).ok().filter(|_| is_whole))
}

/// Copies the bytes of [`sealed`] memory; `None` when it is not sealed, not `length`
/// long, or has holes.
///
/// Other processes may have the same open file, so its offset is not used.
pub(crate) fn read_sealed(fd: OwnedFd, length: u64) -> io::Result<Option<Vec<u8>>> {
    let found = sealed_length(fd.as_fd())?;
    let Some(length) = found.filter(|found| *found as u64 == length) else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length)
        .map_err(|_| io::Error::from(Errno::ENOMEM))?;
    bytes.resize(length, 0);
    File::from(fd).read_exact_at(&mut bytes, 0)?;
    Ok(Some(bytes))
}

/// The bytes of [`sealed`] memory where they are, for as long as it lives: all
/// processes that map the same file read the same pages.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    /// Maps the memory; `None` when it is not sealed or has holes.
    pub(crate) fn new(fd: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        let Some(length) = sealed_length(fd)? else {
            return Ok(None);
        };
        let start = match NonZeroUsize::new(length) {
            Some(length) => map(fd, length)?,
            // The kernel does not map an empty file.
            None => NonNull::dangling(),
        };
        Ok(Some(Self { start, length }))
    }
}

/// Maps the memory as private, though nobody writes: before Linux 6.7 sealed memory
/// cannot be mapped in any other way. As long as nobody writes, there is no copy.
fn map(fd: BorrowedFd<'_>, length: NonZeroUsize) -> io::Result<NonNull<u8>> {
    let flags = MapFlags::MAP_PRIVATE;
    // SAFETY: a new mapping at an address of the kernel's choice touches no
    // existing memory.
    let start = unsafe { mmap(None, length, ProtFlags::PROT_READ, flags, fd, 0) }?;
    Ok(start.cast())
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the memory is mapped for reading until `self` is dropped, or
        // the length is 0. F_SEAL_SHRINK keeps every page there. F_SEAL_WRITE
        // was seen before it was mapped: the kernel sets it only where nobody
        // can write by a mapping, and refuses every write from then on. Seals
        // are never taken back. So the bytes are the same for all time.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: `new` mapped it, of this length, and no slice of it
            // outlives `self`. There is nothing to do about an error.
            let _ = unsafe { munmap(self.start.cast(), self.length) };
        }
    }
}

// SAFETY: the bytes never change, and unmapping is not bound to a thread.
unsafe impl Send for Mapping {}

// SAFETY: as above, any number of threads may read.
unsafe impl Sync for Mapping {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes memory of this length that begins with these bytes.
    fn memory(bytes: &[u8], length: u64, seals: SealFlag) -> OwnedFd {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let mut file = File::from(memfd_create(c"other", flags).unwrap());
        file.write_all(bytes).unwrap();
        file.set_len(length).unwrap();
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
        file.into()
    }

    #[test]
    fn sealed_memory_of_every_length_comes_back() {
        for length in [0, 1, 511, 4095, 4096, 4097, (2 << 20) - 1, (2 << 20) + 1] {
            let bytes = vec![7; length];
            let memory = sealed(&[&bytes]).unwrap();
            let mapping = Mapping::new(memory.as_fd()).unwrap().unwrap();
            let read = read_sealed(memory, length as u64).unwrap();
            assert!(read.as_deref() == Some(&*mapping), "{length} bytes");
            assert!(read == Some(bytes), "{length} bytes");
        }
    }

    #[test]
    fn memory_with_holes_is_refused_before_its_length_is_believed() {
        for length in [8193, 1 << 30, 1 << 40] {
            let holes = memory(b"some", length, FIXED);
            assert!(Mapping::new(holes.as_fd()).unwrap().is_none());
            assert_eq!(read_sealed(holes, length).unwrap(), None);
        }
    }

    #[test]
    fn memory_that_may_change_is_refused() {
        for missing in FIXED {
            let open = memory(b"some", 4, FIXED - missing);
            assert!(Mapping::new(open.as_fd()).unwrap().is_none(), "{missing:?}");
            assert_eq!(read_sealed(open, 4).unwrap(), None, "{missing:?}");
        }
        let fixed = memory(b"some", 4, FIXED);
        assert_eq!(&*Mapping::new(fixed.as_fd()).unwrap().unwrap(), b"some");
        assert_eq!(read_sealed(fixed, 5).unwrap(), None, "another length");
    }

    #[test]
    fn nobody_writes_to_what_is_mapped() {
        let file = File::from(sealed(&[b"some"]).unwrap());
        let mapping = Mapping::new(file.as_fd()).unwrap().unwrap();
        let error = file.write_at(b"S", 0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        let error = file.set_len(0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        drop(file);
        assert_eq!(&*mapping, b"some");
    }
}
