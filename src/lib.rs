#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    target_endian = "little",
    any(target_env = "gnu", target_env = "musl")
)))]
compile_error!("zygote supports 64-bit little-endian Linux with glibc or musl");

mod error;
mod exit;

mod sys;

mod parcel;
mod raw;
mod registry;
mod start;

mod codec;
mod task;

mod wire;

mod client;
mod server;

mod current;

#[cfg(feature = "serde")]
mod channel;
#[cfg(feature = "tokio")]
mod tokio;

#[cfg(feature = "serde")]
pub use crate::channel::{Receiver, Sender, channel};
#[cfg(feature = "tokio")]
pub use crate::tokio::Join;
pub use crate::{
    client::{Process, Worker, wait_any},
    codec::Fd,
    error::{Error, Result},
    exit::{Exit, Rusage},
    raw::{Arg, Args, take_args},
    task::{Preload, Task},
};

/// Makes a function an entry: one that runs in a process of its own.
///
/// The function stays an ordinary function. Beside it there are:
///
/// - `f::spawn(same parameters) -> Result<Worker<R>>`: runs it in a fork of the
///   default template. A first parameter `&T` becomes `&Process<T>`, and it
///   runs in a fork of that.
/// - `f::task(same parameters) -> Task<R>`: for `process.run(task)`, retries
///   and queues. Without the first parameter `&T`.
///
/// It may be any free function that is not generic, not `async` (put
/// `#[tokio::main]` above) and not `unsafe`. It runs alone in its process, on
/// the main thread; a panic is caught and is the error of `join`. It is code of
/// the worker, which is a normal process with one thread at first: it may start
/// threads and runtimes, spawn workers of its own, or execute another program.
/// At its end the process leaves by `_exit`, with Rust's and C's stdout flushed.
///
/// # How arguments and results travel
///
/// | type | as |
/// |---|---|
/// | converts from and into `OwnedFd`: `File`, `TcpListener`, `UnixStream`, `ChildStdin`, [`Sender`], [`Receiver`] … | a descriptor |
/// | [`Process`] | itself, given away |
/// | `PathBuf`, `OsString` | raw bytes |
/// | `Vec<u8>`, also in an `Option` or in the `Ok` of a `Result` | bytes |
/// | `Serialize + DeserializeOwned` | `postcard`; descriptors inside as [`Fd`] |
/// | an error that is serde, [`Error`], `io::Error`, `Box<dyn Error + Send + Sync>`, `anyhow::Error` (with the feature) | kind and text |
///
/// There is no limit on size or number. A first parameter `&T` or `&mut T` is
/// the value that a [`preload`] left in the template; `&mut` changes the
/// worker's own copy.
///
/// # Options
///
/// - `#[zygote::entry(raw)]`: `fn f(conn: UnixStream, args: Args)`, run by
///   [`Process::run_raw`].
/// - `type = Name`: names the hidden type that carries `spawn` and `task`,
///   where a type or module has the function's name.
/// - `crate = path`: where this crate is, when it is re-exported.
///
/// # Examples
///
/// ```
/// use std::{fs::File, io::Write};
///
/// /// Appends a line.
/// #[zygote::entry]
/// fn append(mut log: File, line: String) -> std::io::Result<usize> {
///     writeln!(log, "{line}")?;
///     Ok(line.len())
/// }
///
/// let log = tempfile::tempfile()?;
/// let worker = append::spawn(log.try_clone()?, "hello".to_owned())?;
/// assert_eq!(worker.join()??, 5);
/// assert_eq!(append(log, "directly".to_owned())?, 8);
/// # Ok::<(), zygote::Error>(())
/// ```
pub use zygote_macros::entry;

/// Makes a function a preload: one that runs in a template and leaves a value
/// there.
///
/// `fn f(..) -> T` or `-> Result<T, E>` with `E: Display`. There is one
/// constructor, `f::task(..) -> Preload<T>`, for [`Process::preload`]. `T` need
/// be neither serde nor `Send`.
///
/// - A first parameter `&A` refers to the value of the preload before: layers.
/// - A first parameter `&mut S` changes that value in place; such a preload
///   returns `()` or `Result<(), E>`.
///
/// It runs in the template itself, with every signal blocked, and must leave no
/// thread behind. The options `type` and `crate` are those of [`entry`].
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
/// use zygote::Process;
///
/// type Index = BTreeMap<String, usize>;
///
/// #[zygote::preload]
/// fn index(text: String) -> Index {
///     text.split(' ').enumerate().map(|(at, word)| (word.to_owned(), at)).collect()
/// }
///
/// #[zygote::preload]
/// fn add(index: &mut Index, word: String) {
///     index.insert(word, 99);
/// }
///
/// #[zygote::entry]
/// fn find(index: &Index, word: String) -> Option<usize> {
///     index.get(&word).copied()
/// }
///
/// let process = Process::new()?
///     .preload(index::task("to be or not".into()))?
///     .preload(add::task("question".into()))?;
/// assert_eq!(find::spawn(&process, "or".into())?.join()?, Some(2));
/// assert_eq!(find::spawn(&process, "question".into())?.join()?, Some(99));
/// # Ok::<(), zygote::Error>(())
/// ```
pub use zygote_macros::preload;

/// Forks the template before `main`.
///
/// Once, in the root of the program (not of a library: what a program forks is
/// the program's choice). Without it, the program is executed once more, as a
/// template, when the first process is needed; with it, no binary on disk and
/// no /proc is needed, nothing is executed, and the template is as small as the
/// program is before `main`.
///
/// # Examples
///
/// ```
/// zygote::early!();
///
/// #[zygote::entry]
/// fn hello() -> String {
///     "hello".to_owned()
/// }
///
/// fn main() -> zygote::Result<()> {
///     assert_eq!(hello::spawn()?.join()?, "hello");
///     Ok(())
/// }
/// ```
#[macro_export]
macro_rules! early {
    () => {
        const _: () = {
            #[$crate::__private::linkme::distributed_slice($crate::__private::EARLY)]
            #[linkme(crate = $crate::__private::linkme)]
            static EARLY: fn() = || {};
        };
    };
}

/// What the macros expand to. Not part of the public API.
#[doc(hidden)]
pub mod __private {
    pub use linkme;

    pub use crate::{
        client::{Process, Worker},
        codec::*,
        error::{Error, Result},
        parcel::{Call, Decoder, Encoder},
        raw::{Args, take_args},
        registry::{EARLY, ENTRIES, Entry, Role},
        task::{Anywhere, On, Preload, RunsIn, Task},
    };
}
