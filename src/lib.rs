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
mod phase;

mod hooks;
pub mod raw;
mod registry;
pub mod settings;
mod start;

mod bytes;
mod codec;
mod task;

mod launch;
mod wire;

mod client;
mod server;

mod current;

#[cfg(feature = "serde")]
mod channel;
mod command;

pub mod call;
mod service;

#[cfg(feature = "pool")]
pub mod pool;

#[cfg(feature = "tokio")]
pub mod tokio;

mod setters;

#[cfg(test)]
mod properties;

#[cfg(all(fuzzing, feature = "serde"))]
#[doc(hidden)]
#[path = "fuzz.rs"]
pub mod __fuzz;

#[cfg(feature = "serde")]
pub use crate::channel::{Receiver, Sender, channel};
#[cfg(feature = "pool")]
pub use crate::pool::Pool;
pub use crate::{
    bytes::Bytes,
    call::Call,
    client::{Process, Worker, renew_template, wait_any, wait_any_timeout},
    codec::Fd,
    command::{Child, Command},
    error::{Error, Result},
    exit::{Exit, Rusage},
    service::Service,
    settings::stdio::Stdio,
    sys::allocator::Allocator,
    task::{Preload, Task},
};

/// Makes a function an entry: one that runs in a process of its own.
///
/// The function stays an ordinary function. Beside it you get:
///
/// - `f::spawn(same parameters) -> Result<Worker<R>>` runs it in a fork of the default
///   template. A first parameter `&T` becomes `&Process<T>` in `spawn`, and the
///   function runs in a fork of that process.
/// - `f::task(same parameters) -> Task<R>` makes a task, for `process.run(task)`,
///   retries and queues. It leaves out the first parameter `&T`.
///
/// Any free function can be an entry that is not generic, not `async` (put
/// `#[tokio::main]` above it) and not `unsafe`. It runs alone in its process, on the
/// main thread; a panic is caught and becomes the error of `join`. A worker is a normal
/// process, which has one thread at first: the entry may start threads and runtimes,
/// spawn workers, or execute another program. At the end Rust's and C's stdout are
/// flushed, the coverage profile is written if the program was built with `-C
/// instrument-coverage`, and the process leaves by `_exit`.
///
/// # How arguments and results travel
///
/// | type | as |
/// |---|---|
/// | converts from and into `OwnedFd`: `File`, `TcpListener`, `UnixStream`, `ChildStdin`, [`Sender`], [`Receiver`] … | a descriptor |
/// | [`Process`] | itself, given away |
/// | `PathBuf`, `OsString` | raw bytes |
/// | `Vec<u8>` and vectors of other numbers, also in an `Option` or in the `Ok` of a `Result` | their memory |
/// | [`Bytes`], also inside of values | sealed memory, written once, that all workers share |
/// | `Serialize + DeserializeOwned` | `postcard`; descriptors inside as [`Fd`] |
/// | an error that is serde, [`Error`], `io::Error`, `Box<dyn Error + Send + Sync>`, `anyhow::Error` (with the feature) | kind and text |
///
/// A value that travels by serde arrives equal, or there is an error. The names of
/// fields and variants and the kinds of the values travel with it, and what
/// `Deserialize` asks for is compared with what `Serialize` gave. These are refused:
///
/// - before anything runs: a field that `skip_serializing_if` leaves out, a struct
///   with `flatten`, a sequence or map that does not say how many elements it has;
/// - where the value is read, before the entry's code runs: `untagged`, `tag` and
///   everything else that asks the data for its type, and types that do not read what
///   they write, such as one with `skip_serializing` alone.
///
/// The error ([`is_invalid`](Error::is_invalid)) names the type and the field. If a
/// result is refused, that is the error of `join`. Encode such a value yourself, for
/// example with `serde_json`, and pass the bytes. A field that `#[serde(skip)]` leaves
/// out arrives as its default: that is the type's choice.
///
/// There is no limit on size or number. Every worker gets its own copy of everything
/// except [`Bytes`]; use `Bytes` for large data that many workers read. A first
/// parameter `&T` or `&mut T` refers to the value that a [`preload`] left in the
/// template; `&mut` changes the worker's own copy.
///
/// # Options
///
/// - `#[zygote::entry(raw)]` is for `fn f(conn: UnixStream, args: Args)`, which
///   [`Process::run_raw`] runs.
/// - `type = Name` names the hidden type that carries `spawn` and `task`, in case
///   another type or module has the function's name.
/// - `crate = path` says where this crate is when it is re-exported.
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
/// The function is `fn f(..) -> T`, or `-> Result<T, E>` with `E: Display`. It has one
/// constructor, `f::task(..) -> Preload<T>`, which makes what [`Process::preload`]
/// takes. `T` need be neither serde nor `Send`.
///
/// - A first parameter `&A` refers to the value of the preload before it, so that
///   preloads can build on each other.
/// - A first parameter `&mut S` changes that value in place; such a preload
///   returns `()` or `Result<(), E>`.
///
/// A preload runs in the template itself, with every signal blocked, and must leave no
/// thread behind. Signal handlers that it installs stay, and the template's forks have
/// them. It may start processes, since it runs only once. If it calls `fork`, the copy
/// ends where the preload returns in it. The options `type` and `crate` are those of
/// [`entry`].
///
/// What a preload leaves on the heap makes each fork of the template slower, since the
/// page tables are copied: 256 MiB cost some 20 ms. Keep large data in [`Bytes`], which
/// cost a fork nothing at any size, or ask for [`Process::huge_pages`].
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
/// use zygote::{Bytes, Process};
///
/// /// The text may be long, and no worker has a copy. The index is small.
/// struct Index {
///     text: Bytes,
///     words: BTreeMap<String, usize>,
/// }
///
/// #[zygote::preload]
/// fn index(text: String) -> zygote::Result<Index> {
///     let words = text.split(' ').enumerate().map(|(at, word)| (word.to_owned(), at));
///     Ok(Index { words: words.collect(), text: Bytes::new(text)? })
/// }
///
/// #[zygote::preload]
/// fn add(index: &mut Index, word: String) {
///     index.words.insert(word, 99);
/// }
///
/// #[zygote::entry]
/// fn find(index: &Index, word: String) -> Option<usize> {
///     index.words.get(&word).copied()
/// }
///
/// #[zygote::entry]
/// fn length(index: &Index) -> usize {
///     index.text.len()
/// }
///
/// let process = Process::new()?
///     .preload(index::task("to be or not".into()))?
///     .preload(add::task("question".into()))?;
/// assert_eq!(find::spawn(&process, "or".into())?.join()?, Some(2));
/// assert_eq!(find::spawn(&process, "question".into())?.join()?, Some(99));
/// assert_eq!(length::spawn(&process)?.join()?, 12);
/// # Ok::<(), zygote::Error>(())
/// ```
pub use zygote_macros::preload;

/// Makes a function a hook: one that runs in every worker before its entry, or
/// around every fork of a template.
///
/// A hook is a free function without parameters, `fn f()` or `fn f() -> Result<(), E>`
/// with `E: Display`. It is registered wherever it is linked, even in a dependency:
/// there is nothing to call.
///
/// | when | runs |
/// |---|---|
/// | `worker` | in each worker, before the arguments of the entry are decoded |
/// | `prepare` | in a template, before each fork; in reverse order |
/// | `parent` | in the template, after each fork |
/// | `child` | in each forked process, whatever becomes of it, before anything else |
///
/// The last three correspond to `pthread_atfork`, but run only around forks that a
/// template makes (those in stock and forks of forks included), not around
/// [`Process::fork_current`] or other forks of a program. They run with every signal
/// blocked, and leave signals as they are. A `worker` hook runs as the entry does.
///
/// A hook cannot start processes with this library: they would run the hooks as well,
/// and so on without end. In a hook of any kind, and in threads that run meanwhile,
/// every way to start one fails at once with an error
/// ([`is_invalid`](Error::is_invalid)). Use `std::process::Command` to start programs
/// there.
///
/// # Options
///
/// - `order = 10` sets the hook's place in the order. A smaller number runs first:
///   `order = -10` runs before the default, 0. Hooks with the same number run in the
///   order of their paths, and then of their lines.
/// - `crate = path` says where this crate is when it is re-exported.
///
/// # When one fails
///
/// A hook fails when it returns an error or panics. The hooks after it do not run, and
/// there is an error ([`is_hook`](Error::is_hook)) with its path and its message. What
/// else happens depends on the kind:
///
/// - `worker`: no code of the entry runs, and the worker ends. The error
///   [is unstarted](Error::is_unstarted).
/// - `prepare`: there is no fork; the error of the process that was asked for is
///   unstarted. The template lives on.
/// - `parent`: nothing is known any more about the state of the template. It ends, with
///   everything that is attached to it; the process that was just forked is killed. Its
///   error is unstarted if it is the error of the spawn, and not if it comes after the
///   worker had begun.
/// - `child`: the process ends; its error is unstarted. The template lives on.
///
/// All parent hooks run once after every attempt to fork, even if a prepare hook or the
/// fork itself failed: a parent hook must cope if the prepare hook that belongs to it
/// has not run. With `panic = "abort"` a panic ends the process that the hook runs in.
///
/// A hook that blocks is limited by the deadline of the call that waits for it: for
/// `prepare`, `parent` and `child` that is the spawn. If there are threads after the
/// prepare hooks, the fork fails. A child or worker hook may start threads, but then
/// the process cannot fork others, and a setting of its environment is an error. Until
/// the process has a task, its threads cannot start processes either. If a hook calls
/// `fork`, the copy ends where the hook returns in it.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use zygote::Process;
///
/// /// How many processes this template has forked.
/// static FORKS: AtomicU32 = AtomicU32::new(0);
///
/// #[zygote::hook(parent)]
/// fn count() {
///     FORKS.fetch_add(1, Ordering::Relaxed);
/// }
///
/// /// A preload may have used the generator: then all workers have a copy.
/// #[zygote::hook(worker)]
/// fn reseed() -> Result<(), impl std::fmt::Display> {
///     rand::rng().reseed()
/// }
///
/// #[zygote::preload]
/// fn warm_up() -> u64 {
///     rand::random()
/// }
///
/// #[zygote::entry]
/// fn draw(_: &u64) -> (u64, u32) {
///     (rand::random(), FORKS.load(Ordering::Relaxed))
/// }
///
/// let process = Process::new()?.preload(warm_up::task())?;
/// let (first, before) = draw::spawn(&process)?.join()?;
/// let (second, after) = draw::spawn(&process)?.join()?;
/// assert_ne!(first, second);
/// assert!(after > before);
/// # Ok::<(), zygote::Error>(())
/// ```
pub use zygote_macros::hook;

/// Forks the template before `main`.
///
/// Say it once, in the root of the program (not of a library: what a program forks is
/// the program's choice). Without it, the program is executed once more, as a template,
/// when the first process is needed. With it, nothing is executed, neither a binary on
/// disk nor /proc is needed, and the template is as small as the program is before
/// `main`.
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

#[doc = include_str!("../docs/choosing.md")]
pub mod choosing {}

#[doc = include_str!("../docs/gotchas.md")]
pub mod gotchas {}

/// What the macros expand to. It is not part of the public API.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "failpoints")]
    pub use crate::sys::fail::STEPS;
    pub use linkme;
    pub use std::string::String;

    pub use crate::{
        client::{Process, Worker, spawn},
        codec::*,
        error::{Error, Result},
        hooks::{HOOKS, Hook, Outcome, When, outcome},
        parcel::{Decoder, Encoder, Job},
        raw::{Args, take_args},
        registry::{EARLY, ENTRIES, Entry, Role},
        task::{Anywhere, On, Preload, RunsIn, Task, preload, task},
    };
}
