//! How arguments and results become bytes and descriptors.
//!
//! The way is chosen by type, at compile time, in the expansion of the macros: [`Way`]
//! has the ranks. Nothing here makes a system call, except to duplicate a descriptor,
//! and nothing knows frames or processes.

#[cfg(feature = "serde")]
mod data;
mod failure;
mod fd;
mod hand;
mod numbers;
mod result;
mod steps;
mod way;

#[cfg(feature = "serde")]
pub(crate) use self::data::{decode_any, decode_serde, encode_any, encode_serde};
#[cfg(feature = "serde")]
pub use self::way::{Data, Unambiguous};
pub use self::{
    fd::Fd,
    hand::Hand,
    result::{Either, Fallible, Plain},
    steps::{all, arguments, connection, loaded, put, returned, state, take},
    way::{ByHand, Descriptor, Never, Travels, TravelsInBox, TravelsShared, Way, via},
};

/// The result of an entry that returns `!`.
pub use std::convert::Infallible;

use crate::{
    error::Result,
    parcel::{Decoder, Encoder},
};

/// Makes this thread register what it must destroy at its end. When a template does
/// this, its forks need not.
pub(crate) fn rehearse() {
    #[cfg(feature = "serde")]
    data::rehearse();
}

/// Reads the reply of an entry that gives an `io::Result<()>`.
pub(crate) fn done(reply: Encoder) -> Result<std::io::Result<()>> {
    let mut reply = Decoder::new(reply.bytes, reply.fds);
    match reply.take_byte()? {
        0 => Ok(Ok(())),
        _ => std::io::Error::decode_by_hand(&mut reply).map(Err),
    }
}

/// A way for values of type `T` to travel.
///
/// No method of the traits here has a plain name. If a user called a method of such a
/// name on any type, the compiler would suggest the trait, although it is hidden.
pub trait Codec<T> {
    /// Puts a value at the end.
    fn encode_this_way(&self, value: T, out: &mut Encoder) -> Result<()>;

    /// Takes what [`encode_this_way`](Self::encode_this_way) put.
    fn decode_this_way(&self, input: &mut Decoder) -> Result<T>;
}
