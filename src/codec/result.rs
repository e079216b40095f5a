//! Results: for a `Result`, a mark says which of the two it is, and the value or the
//! error follows in the way of its own type.
//!
//! Whether a type is a `Result` is asked in the same way as in [`kind`](super::kind),
//! so an alias counts, too.

use std::convert::Infallible;

use super::{Codec, Way, hand::unknown};
use crate::{
    error::Result,
    parcel::{Decoder, Encoder},
};

/// What an entry returns, when it is asked whether that is a `Result` and it is not.
pub trait ViaPlain<T> {
    /// Gives the value itself and no error.
    fn split_way(&self) -> Plain<T>;
}

impl<T> ViaPlain<T> for Way<T> {
    fn split_way(&self) -> Plain<T> {
        Plain(Self::NEW)
    }
}

/// What an entry returns, when it is asked whether that is a `Result` and it is, under
/// whatever name.
pub trait ViaFallible<T, E> {
    /// Gives the value and the error, each of which travels in its own way.
    fn split_way(&self) -> Fallible<T, E>;
}

impl<T, E> ViaFallible<T, E> for &Way<Result<T, E>> {
    fn split_way(&self) -> Fallible<T, E> {
        Fallible(Way::NEW, Way::NEW)
    }
}

/// A result that is not a `Result`.
#[derive(Debug)]
pub struct Plain<T>(Way<T>);

impl<T> Plain<T> {
    /// Gives the type itself.
    #[must_use]
    pub fn ok(&self) -> &Way<T> {
        &self.0
    }

    /// Gives a type without values.
    #[must_use]
    pub fn err(&self) -> &Way<Infallible> {
        &Way::NEW
    }

    /// Gives the codec of the whole.
    pub fn join<C: Codec<T>>(&self, ok: C, _: impl Codec<Infallible>) -> C {
        ok
    }
}

/// A result that is a `Result`.
#[derive(Debug)]
pub struct Fallible<T, E>(Way<T>, Way<E>);

impl<T, E> Fallible<T, E> {
    /// Gives the type of the value.
    #[must_use]
    pub fn ok(&self) -> &Way<T> {
        &self.0
    }

    /// Gives the type of the error.
    #[must_use]
    pub fn err(&self) -> &Way<E> {
        &self.1
    }

    /// Gives the codec of the whole.
    pub fn join<C: Codec<T>, F: Codec<E>>(&self, ok: C, err: F) -> Either<C, F> {
        Either { ok, err }
    }
}

/// Sends a `Result`: first which of the two it is, then its contents.
#[derive(Clone, Copy, Debug)]
pub struct Either<C, F> {
    pub(super) ok: C,
    pub(super) err: F,
}

impl<T, E, C: Codec<T>, F: Codec<E>> Codec<Result<T, E>> for Either<C, F> {
    fn encode_this_way(&self, value: Result<T, E>, out: &mut Encoder) -> Result<()> {
        out.push_byte(value.is_err().into());
        match value {
            Ok(value) => self.ok.encode_this_way(value, out),
            Err(error) => self.err.encode_this_way(error, out),
        }
    }

    fn decode_this_way(&self, input: &mut Decoder) -> Result<Result<T, E>> {
        match input.take_byte()? {
            0 => self.ok.decode_this_way(input).map(Ok),
            1 => self.err.decode_this_way(input).map(Err),
            other => Err(unknown("a `Result`", other)),
        }
    }
}
