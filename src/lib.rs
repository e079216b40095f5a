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
pub use zygote_macros::{entry, preload};

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
