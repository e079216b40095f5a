//! Which way a type travels.
//!
//! Stable Rust makes this choice between traits only when the type is concrete, and
//! here it always is, because an entry is never generic. Every rank has a method of the
//! same name, on a reference one level less deep than the rank before. The expansion
//! calls it on the deepest reference,
//!
//! ```text
//! (&&&&&Way::<T>::NEW).codec_of_way()
//! ```
//!
//! and the compiler takes the first rank that `T` allows:
//!
//! | rank | on | `T` |
//! |---|---|---|
//! | ambiguous | `&&&&Way<T>` | a descriptor and serde: refused |
//! | [`Descriptor`] | `&&&Way<T>` | converts from and into `OwnedFd` |
//! | [`ByHand`] | `&&Way<T>` | [`Hand`] |
//! | [`Data`] | `&Way<T>` | serde |
//! | none | `Way<T>` | anything: refused |
//!
//! A rank that refuses does so by a bound on its *method*: method lookup does not
//! consider the bound, so there is one error, with the bound's own text.

use std::{fmt, marker::PhantomData, os::fd::OwnedFd, rc::Rc, sync::Arc};

use super::{Codec, Hand};
use crate::{
    error::Result,
    parcel::{Decoder, Encoder},
};

/// A type that is asked for its way to travel.
pub struct Way<T>(PhantomData<fn() -> T>);

impl<T> Way<T> {
    /// The only value.
    pub const NEW: Self = Self(PhantomData);
}

impl<T> fmt::Debug for Way<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Way<{}>", std::any::type_name::<T>())
    }
}

/// The ranks' methods, which are imported without their names because those could hide
/// the user's.
pub mod via {
    #[cfg(feature = "serde")]
    pub use super::{ViaAmbiguous as _, ViaData as _};
    pub use super::{ViaDescriptor as _, ViaHand as _, ViaNothing as _};
    pub use crate::codec::result::{ViaFallible as _, ViaPlain as _};
}

/// The rank of what is refused as ambiguous.
#[cfg(feature = "serde")]
pub trait ViaAmbiguous<T> {
    /// Can never be called.
    fn codec_of_way(&self) -> Never
    where
        T: Unambiguous;
}

#[cfg(feature = "serde")]
impl<T> ViaAmbiguous<T> for &&&&Way<T>
where
    T: From<OwnedFd> + Into<OwnedFd> + serde::Serialize + serde::de::DeserializeOwned,
{
    fn codec_of_way(&self) -> Never
    where
        T: Unambiguous,
    {
        T::never_travels()
    }
}

/// A trait that no type has; it carries the text of the refusal.
#[cfg(feature = "serde")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` could travel as a descriptor or as data",
    label = "converts from and into `OwnedFd`, and is serde too",
    note = "to send the descriptor, wrap it in `zygote::Fd<_>`; to send the data, put it into a struct that derives `Serialize` and `Deserialize`"
)]
pub trait Unambiguous: Sized {
    /// Can never be called.
    fn never_travels() -> Never;
}

/// The rank of descriptors.
pub trait ViaDescriptor {
    /// Gives the codec of this rank.
    fn codec_of_way(&self) -> Descriptor {
        Descriptor
    }
}

impl<T: From<OwnedFd> + Into<OwnedFd>> ViaDescriptor for &&&Way<T> {}

/// Sends the descriptor itself.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor;

impl<T: From<OwnedFd> + Into<OwnedFd>> Codec<T> for Descriptor {
    fn encode_this_way(&self, value: T, out: &mut Encoder) -> Result<()> {
        out.push_fd(value.into());
        Ok(())
    }

    fn decode_this_way(&self, input: &mut Decoder) -> Result<T> {
        input.take_fd().map(T::from)
    }
}

/// The rank of what this crate encodes itself.
pub trait ViaHand {
    /// Gives the codec of this rank.
    fn codec_of_way(&self) -> ByHand {
        ByHand
    }
}

impl<T: Hand> ViaHand for &&Way<T> {}

/// Sends the value as its [`Hand`] says.
#[derive(Clone, Copy, Debug)]
pub struct ByHand;

impl<T: Hand> Codec<T> for ByHand {
    fn encode_this_way(&self, value: T, out: &mut Encoder) -> Result<()> {
        value.encode_by_hand(out)
    }

    fn decode_this_way(&self, input: &mut Decoder) -> Result<T> {
        T::decode_by_hand(input)
    }
}

/// The rank of serde types.
#[cfg(feature = "serde")]
pub trait ViaData {
    /// Gives the codec of this rank.
    fn codec_of_way(&self) -> Data {
        Data
    }
}

#[cfg(feature = "serde")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> ViaData for &Way<T> {}

/// Sends the value by serde.
#[cfg(feature = "serde")]
#[derive(Clone, Copy, Debug)]
pub struct Data;

#[cfg(feature = "serde")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Codec<T> for Data {
    fn encode_this_way(&self, value: T, out: &mut Encoder) -> Result<()> {
        super::encode_serde(&value, out)
    }

    fn decode_this_way(&self, input: &mut Decoder) -> Result<T> {
        super::decode_serde(input)
    }
}

/// The rank of what cannot travel.
pub trait ViaNothing<T> {
    /// Can never be called.
    fn codec_of_way(&self) -> Never
    where
        T: Travels;
}

impl<T> ViaNothing<T> for Way<T> {
    fn codec_of_way(&self) -> Never
    where
        T: Travels,
    {
        T::never_travels()
    }
}

/// A trait that no type has; it carries the text of the refusal.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel to another process",
    label = "neither a descriptor nor data"
)]
#[cfg_attr(
    feature = "serde",
    diagnostic::on_unimplemented(
        note = "derive serde's `Serialize` and `Deserialize` for it; a descriptor inside goes into `zygote::Fd<_>`, and nothing inside may be borrowed"
    )
)]
#[cfg_attr(
    feature = "serde",
    diagnostic::on_unimplemented(
        note = "an `anyhow::Error` needs the feature `anyhow` of `zygote`"
    )
)]
#[cfg_attr(
    not(feature = "serde"),
    diagnostic::on_unimplemented(
        note = "without the feature `serde` of `zygote`, only descriptors, paths, `Bytes`, `String`, vectors of numbers and `()` can"
    )
)]
pub trait Travels: Sized {
    /// Can never be called.
    fn never_travels() -> Never;
}

/// Says why a `Box` is refused, by what is in it.
#[diagnostic::on_unimplemented(
    message = "`Box<{Self}>` cannot travel to another process",
    label = "what is in the box is no data",
    note = "an error is `Box<dyn Error + Send + Sync>`; a closure cannot travel: pass what it needs, and write the code as an entry"
)]
pub trait TravelsInBox {}

impl<T: ?Sized + TravelsInBox> Travels for Box<T> {
    fn never_travels() -> Never {
        unreachable!("no type has the bound")
    }
}

/// Says why an `Arc` or an `Rc` is refused.
#[diagnostic::on_unimplemented(
    message = "an `Arc` or `Rc` of `{Self}` cannot travel to another process",
    label = "a count of references that another process does not have",
    note = "with the feature `rc` of `serde` it travels as a copy; or pass a clone of the value, or `zygote::Bytes` for large data"
)]
pub trait TravelsShared {}

impl<T: ?Sized + TravelsShared> Travels for Arc<T> {
    fn never_travels() -> Never {
        unreachable!("no type has the bound")
    }
}

impl<T: ?Sized + TravelsShared> Travels for Rc<T> {
    fn never_travels() -> Never {
        unreachable!("no type has the bound")
    }
}

/// The codec of what is refused. It accepts any type, so that only the refusal is
/// reported.
#[derive(Clone, Copy, Debug)]
pub enum Never {}

impl<T> Codec<T> for Never {
    fn encode_this_way(&self, _: T, _: &mut Encoder) -> Result<()> {
        match *self {}
    }

    fn decode_this_way(&self, _: &mut Decoder) -> Result<T> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io, os::unix::net::UnixStream, path::PathBuf};

    use super::{super::Either, via::*, *};

    macro_rules! codec {
        ($ty:ty) => {
            (&&&&&Way::<$ty>::NEW).codec_of_way()
        };
    }

    macro_rules! result {
        ($ty:ty) => {{
            let ways = (&&Way::<$ty>::NEW).split_way();
            ways.join(
                (&&&&&ways.ok()).codec_of_way(),
                (&&&&&ways.err()).codec_of_way(),
            )
        }};
    }

    fn there_and_back<T>(codec: &impl Codec<T>, value: T) -> T {
        let mut out = Encoder::default();
        codec.encode_this_way(value, &mut out).unwrap();
        let mut input = Decoder::new(out.bytes, out.fds);
        let value = codec.decode_this_way(&mut input).unwrap();
        input.finish().unwrap();
        value
    }

    #[test]
    fn the_first_rank_that_fits_is_taken() {
        let Descriptor = codec!(File);
        let Descriptor = codec!(OwnedFd);
        let Descriptor = codec!(UnixStream);
        let ByHand = codec!(Vec<u8>);
        let ByHand = codec!(Vec<f64>);
        let ByHand = codec!(Option<PathBuf>);
        let ByHand = codec!(crate::Fd<File>);
        let ByHand = codec!(io::Error);
        let ByHand = codec!(Option<crate::Bytes>);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn everything_else_is_data() {
        let Data = codec!(u32);
        let Data = codec!(Vec<char>);
        let Data = codec!(Vec<crate::Fd<File>>);
        let Data = codec!(Vec<crate::Bytes>);
        let Data = codec!(crate::Error);
        assert_eq!(
            there_and_back(&codec!((u8, String)), (1, "x".to_owned())),
            (1, "x".into())
        );
    }

    #[test]
    fn a_result_travels_as_two_types() {
        type Bytes = Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;

        let Either {
            ok: ByHand,
            err: ByHand,
        } = result!(Bytes);
        let codec = |value: Bytes| there_and_back(&result!(Bytes), value);
        assert_eq!(codec(Ok(vec![1])).unwrap(), [1]);
        let error = codec(Err("no".into())).unwrap_err();
        assert_eq!(error.to_string(), "no");
        let ByHand = result!(PathBuf);
        let Either {
            ok: Descriptor,
            err: ByHand,
        } = result!(io::Result<File>);
        let codec = result!(io::Result<File>);
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let error = there_and_back::<io::Result<File>>(&codec, Err(missing)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(there_and_back(&codec, File::open("/dev/null")).is_ok());
        let mut neither = Decoder::new(vec![2], Vec::new());
        let error = Codec::<io::Result<File>>::decode_this_way(&codec, &mut neither).unwrap_err();
        assert!(error.is_invalid());
    }
}
