//! `Bytes`: octets that all processes share.

use std::{
    fmt,
    ops::Deref,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use crate::{
    error::{Error, Result},
    sys::memory::{Mapping, sealed},
};

/// Octets in memory that any number of processes share and nobody can change.
///
/// They are written once, into a sealed memory file (`memfd_create(2)`). Only its
/// descriptor travels, whatever the length; every process that receives it maps the
/// same pages for reading, and has no copy. As an argument or a result, `Bytes` may
/// stand alone, in an `Option` or a `Result`, or anywhere in a value that travels by
/// serde, also through a [`channel`](crate::channel()). In a preload's value all forks
/// share it.
///
/// You read it as a `[u8]`. A clone shares the descriptor and the mapping. Dropping the
/// last clone unmaps the memory and closes the descriptor, and the memory is free when
/// no process has it any more. Empty ones have a descriptor, too. The length counts
/// towards each process's `RLIMIT_AS`, and not towards the memory of a
/// [`confine`](crate::Process::confine)d worker, which is limited by `RLIMIT_DATA`.
///
/// It converts from and into an [`OwnedFd`] by [`TryFrom`]: memory that was filled
/// in place, or that another program has sealed, becomes `Bytes` without a copy.
///
/// # Errors
///
/// What arrives is checked before it is mapped: `F_SEAL_WRITE`, `F_SEAL_SHRINK` and
/// `F_SEAL_GROW` must be set, and every byte must have been written. Anything else is
/// an error ([`is_invalid`](Error::is_invalid)), like everything that cannot be
/// decoded. So it does not matter which program made it, and the length never changes.
///
/// Like an [`Fd`](crate::Fd), it can be passed by serde only with this crate.
///
/// # Examples
///
/// ```
/// use zygote::{Bytes, Process};
///
/// /// The largest octet in a part.
/// #[zygote::entry]
/// fn largest(image: Bytes, from: usize, to: usize) -> Option<u8> {
///     image[from..to].iter().max().copied()
/// }
///
/// let pixels: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
/// let image = Bytes::new(&pixels)?;
/// let parts = (0..4).map(|n| largest::task(image.clone(), n << 18, (n << 18) + 100));
/// for worker in Process::new()?.spawn_all(parts) {
///     assert_eq!(worker?.join()?, Some(99));
/// }
/// assert!(*image == *pixels);
/// # Ok::<(), zygote::Error>(())
/// ```
#[derive(Clone)]
pub struct Bytes(Arc<Shared>);

struct Shared {
    memory: OwnedFd,
    mapping: Mapping,
}

impl Bytes {
    /// Copies octets into new memory. It does not block.
    ///
    /// # Errors
    ///
    /// There is no room for the memory, the descriptor or the mapping, or the memory
    /// would be longer than `RLIMIT_FSIZE`.
    ///
    /// # Examples
    ///
    /// ```
    /// let bytes = zygote::Bytes::new("some")?;
    /// assert_eq!(&bytes[1..], b"ome");
    /// assert!(zygote::Bytes::new(Vec::new())?.is_empty());
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = bytes.as_ref();
        let memory = sealed(&[bytes]).map_err(|error| {
            let tried = format!("writing {} bytes into shared memory failed", bytes.len());
            Error::descriptor(&tried, error)
        })?;
        Self::try_from(memory)
    }
}

/// Maps sealed memory, whichever program made it.
///
/// # Examples
///
/// ```
/// use std::{fs::File, os::fd::OwnedFd};
/// use zygote::Bytes;
///
/// let fd = OwnedFd::try_from(Bytes::new("some")?)?;
/// assert_eq!(*Bytes::try_from(fd)?, *b"some");
///
/// let other = OwnedFd::from(File::open("/dev/null")?);
/// assert!(Bytes::try_from(other).unwrap_err().is_invalid());
/// # Ok::<(), zygote::Error>(())
/// ```
impl TryFrom<OwnedFd> for Bytes {
    type Error = Error;

    fn try_from(memory: OwnedFd) -> Result<Self> {
        let mapping = Mapping::new(memory.as_fd())
            .map_err(|error| Error::os("mapping shared memory failed", error))?;
        let mapping = mapping.ok_or_else(|| {
            Error::invalid(
                "a descriptor is not shared memory: a memory file with F_SEAL_WRITE, \
                 F_SEAL_SHRINK and F_SEAL_GROW, without holes",
            )
        })?;
        Ok(Self(Arc::new(Shared { memory, mapping })))
    }
}

/// Gives the descriptor itself, or a duplicate if there are clones.
impl TryFrom<Bytes> for OwnedFd {
    type Error = Error;

    fn try_from(bytes: Bytes) -> Result<Self> {
        Arc::try_unwrap(bytes.0)
            .map(|shared| shared.memory)
            .or_else(|shared| shared.memory.try_clone())
            .map_err(|error| {
                Error::descriptor("duplicating shared memory's descriptor failed", error)
            })
    }
}

/// Lends the descriptor: others can read it, map it and pass it on, but not change it.
impl AsFd for Bytes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.memory.as_fd()
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.mapping
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || **self == **other
    }
}

impl Eq for Bytes {}

/// Shows only the length, because the octets may be secret.
impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bytes")
            .field("length", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_and_others_are_compared() -> Result<()> {
        let is_shared = |_: &(dyn Send + Sync)| ();
        let (one, other) = (Bytes::new("some")?, Bytes::new(b"some")?);
        is_shared(&one);
        let clone = one.clone();
        assert_eq!(clone.as_ptr(), one.as_ptr());
        assert_ne!(other.as_ptr(), one.as_ptr());
        assert_eq!(clone, one);
        assert_eq!(other, one);
        assert_ne!(Bytes::new("same")?, one);
        assert_eq!(one.as_ref(), b"some");
        assert_eq!(format!("{one:?}"), "Bytes { length: 4, .. }");
        Ok(())
    }

    #[test]
    fn nothing_is_bytes_too() -> Result<()> {
        let empty = Bytes::new([])?;
        assert_eq!(*empty, []);
        assert_eq!(Bytes::try_from(OwnedFd::try_from(empty.clone())?)?, empty);
        Ok(())
    }
}
