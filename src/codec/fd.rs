//! Descriptors inside data.

use std::{
    ops::{Deref, DerefMut},
    os::fd::{AsFd, BorrowedFd},
};

/// A descriptor nested in a type that travels by serde.
///
/// A descriptor as such is an ordinary parameter or result: `File`,
/// `TcpListener`, `UnixStream` … Inside a struct, a `Vec` or a tuple it is
/// wrapped in `Fd`. It is duplicated when the value around it is encoded, and
/// arrives close-on-exec.
///
/// When a type could travel either as a descriptor or as data, `Fd` says that it goes
/// as a descriptor.
///
/// # Errors
///
/// Only this crate can pass a descriptor: any other serializer, such as
/// `serde_json`, gets an error.
///
/// # Examples
///
/// ```
/// use std::{fs::File, io::Read};
///
/// use serde::{Deserialize, Serialize};
/// use zygote::Fd;
///
/// #[derive(Serialize, Deserialize)]
/// struct Job {
///     name: String,
///     sources: Vec<Fd<File>>,
/// }
///
/// #[zygote::entry]
/// fn count(job: Job) -> std::io::Result<usize> {
///     let mut bytes = Vec::new();
///     for mut source in job.sources {
///         source.read_to_end(&mut bytes)?;
///     }
///     Ok(bytes.len())
/// }
///
/// let sources = vec![File::open("/dev/null")?.into()];
/// let job = Job { name: "nothing".into(), sources };
/// assert_eq!(count::spawn(job)?.join()??, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fd<T>(pub T);

impl<T> Fd<T> {
    /// Gives the descriptor itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Fd<T> {
    fn from(inner: T) -> Self {
        Self(inner)
    }
}

impl<T> Deref for Fd<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Fd<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: AsFd> AsFd for Fd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
