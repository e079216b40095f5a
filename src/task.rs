//! A task: an entry with its arguments, ready to run somewhere.

use std::{
    fmt,
    marker::PhantomData,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use once_cell::sync::OnceCell;

use crate::{
    error::{Error, Result},
    parcel::{Decoder, Encoder},
    registry::Entry,
};

/// An entry with its arguments, ready to run in a process.
///
/// `f::task(…)` makes one, for every `#[zygote::entry] fn f(…)`. The arguments are
/// encoded when the task is made; descriptors among them are moved into it. A clone
/// shares both, and running a task does not use it up, so that one task can be run
/// again after a failure, or in many processes.
///
/// `R` is what the entry returns. `K` says where the task may run:
/// [`Anywhere`], or only on a `Process<T>`, [`On<T>`](On).
///
/// Arguments that are longer than a message, 64 KiB, are written into memory once, at
/// the first run, and each worker copies them from there; the memory is freed with the
/// task. For large data that many workers only read, use an argument of type
/// [`Bytes`](crate::Bytes), of which no worker has a copy.
///
/// If a value cannot be encoded, running the task is an error. A task that is dropped
/// closes its descriptors.
///
/// # Examples
///
/// ```
/// use std::{fs::File, io::Read};
///
/// #[zygote::entry]
/// fn head(mut file: File) -> std::io::Result<String> {
///     let mut text = [0; 9];
///     file.read_exact(&mut text)?;
///     Ok(String::from_utf8_lossy(&text).into_owned())
/// }
///
/// let task = head::task(File::open("Cargo.toml")?);
/// let worker = zygote::Process::new()?.run(task.clone())?;
/// assert_eq!(worker.join()??, "[workspac");
/// assert_eq!(task.into_fds()?.len(), 1);
/// # Ok::<(), zygote::Error>(())
/// ```
#[must_use = "a task does nothing until it is run"]
pub struct Task<R, K = Anywhere> {
    load: Arc<Load>,
    decode: fn(&mut Decoder) -> Result<R>,
    place: PhantomData<fn() -> K>,
}

/// A preload with its arguments, ready to run in a template.
///
/// `f::task(…)` makes one, for every `#[zygote::preload] fn f(…)`, and
/// [`Process::preload`](crate::Process::preload) runs it. `T` is the value that stays
/// in the template, and `K` says on which process it may run, as in [`Task`].
///
/// # Examples
///
/// ```
/// #[zygote::preload]
/// fn words(text: String) -> Vec<String> {
///     text.split(' ').map(str::to_owned).collect()
/// }
///
/// #[zygote::entry]
/// fn word(words: &Vec<String>, n: usize) -> Option<String> {
///     words.get(n).cloned()
/// }
///
/// let process = zygote::Process::new()?.preload(words::task("one two".into()))?;
/// assert_eq!(word::spawn(&process, 1)?.join()?.as_deref(), Some("two"));
/// # Ok::<(), zygote::Error>(())
/// ```
#[must_use = "a preload does nothing until a process is told to load it"]
pub struct Preload<T, K = Anywhere> {
    load: Arc<Load>,
    place: PhantomData<fn() -> (T, K)>,
}

/// The place of a task that runs on any process.
#[derive(Debug)]
pub enum Anywhere {}

/// The place of a task that runs on a `Process<T>` only.
#[derive(Debug)]
pub struct On<T>(PhantomData<fn() -> T>);

/// Says that a task of place `Self` may run on a `Process<S>`.
#[diagnostic::on_unimplemented(
    message = "this task needs a process with a preloaded value",
    label = "this task does not run on a `Process<{S}>`",
    note = "preload the value that the entry's first parameter refers to: `process.preload(load::task(..))?`"
)]
pub trait RunsIn<S> {}

impl<S> RunsIn<S> for Anywhere {}
impl<S> RunsIn<S> for On<S> {}

/// What a task is made of.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) entry: &'static Entry,
    pub(crate) bytes: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
    /// The memory that a long body was written into, once it was sent.
    pub(crate) memory: OnceCell<OwnedFd>,
    error: Option<Error>,
}

impl Load {
    fn new(entry: &'static Entry, encode: impl FnOnce(&mut Encoder) -> Result<()>) -> Arc<Self> {
        let mut out = Encoder::default();
        let error = encode(&mut out).err();
        Arc::new(Self {
            entry,
            bytes: out.bytes,
            fds: out.fds,
            memory: OnceCell::new(),
            error: error.map(|error| error.unstarted().with_entry(entry.path())),
        })
    }

    /// Gives its descriptors, and `more` after them.
    pub(crate) fn all_fds<'a>(
        &'a self,
        more: &[BorrowedFd<'a>],
    ) -> impl Iterator<Item = BorrowedFd<'a>> {
        self.fds.iter().map(AsFd::as_fd).chain(more.iter().copied())
    }

    /// Gives the error of the encoding, if there was one.
    pub(crate) fn check(&self) -> Result<()> {
        self.error.clone().map_or(Ok(()), Err)
    }
}

/// Makes a task from the arguments; `f::task` calls this. It is not a method, because the
/// compiler suggests even hidden ones.
pub fn task<R, K>(
    entry: &'static Entry,
    encode: impl FnOnce(&mut Encoder) -> Result<()>,
    decode: fn(&mut Decoder) -> Result<R>,
) -> Task<R, K> {
    Task {
        load: Load::new(entry, encode),
        decode,
        place: PhantomData,
    }
}

/// Makes a preload from the arguments, as [`task`] makes a task.
pub fn preload<T, K>(
    entry: &'static Entry,
    encode: impl FnOnce(&mut Encoder) -> Result<()>,
) -> Preload<T, K> {
    Preload {
        load: Load::new(entry, encode),
        place: PhantomData,
    }
}

impl<R, K> Task<R, K> {
    /// Gives the full path of the entry.
    #[must_use]
    pub fn entry(&self) -> &'static str {
        self.load.entry.path()
    }

    /// Gives back the descriptors that were passed as arguments, in order.
    ///
    /// If a clone of the task still exists, it keeps the originals, and these are
    /// duplicates.
    ///
    /// # Errors
    ///
    /// A descriptor cannot be duplicated.
    pub fn into_fds(self) -> Result<Vec<OwnedFd>> {
        match Arc::try_unwrap(self.load) {
            Ok(load) => Ok(load.fds),
            Err(shared) => shared
                .fds
                .iter()
                .map(|fd| {
                    fd.try_clone()
                        .map_err(|error| Error::os("duplicating a task's descriptor failed", error))
                })
                .collect(),
        }
    }

    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// Gives what it is made of, for somebody who runs it later.
    #[cfg(feature = "pool")]
    pub(crate) fn shared_load(&self) -> Arc<Load> {
        Arc::clone(&self.load)
    }

    pub(crate) fn decode(&self) -> fn(&mut Decoder) -> Result<R> {
        self.decode
    }
}

impl<T, K> Preload<T, K> {
    /// Gives the full path of the preload.
    #[must_use]
    pub fn entry(&self) -> &'static str {
        self.load.entry.path()
    }

    pub(crate) fn load(&self) -> &Load {
        &self.load
    }
}

impl<R, K> Clone for Task<R, K> {
    fn clone(&self) -> Self {
        Self {
            load: Arc::clone(&self.load),
            decode: self.decode,
            place: PhantomData,
        }
    }
}

impl<T, K> Clone for Preload<T, K> {
    fn clone(&self) -> Self {
        Self {
            load: Arc::clone(&self.load),
            place: PhantomData,
        }
    }
}

impl<R, K> fmt::Debug for Task<R, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("Task", &self.load, f)
    }
}

impl<T, K> fmt::Debug for Preload<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("Preload", &self.load, f)
    }
}

/// Shows only names and sizes, because the arguments may be secret.
fn debug(name: &str, load: &Load, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct(name)
        .field("entry", &load.entry.path())
        .field("bytes", &load.bytes.len())
        .field("fds", &load.fds.len())
        .finish_non_exhaustive()
}
