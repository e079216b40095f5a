//! What travels without serde.

use std::{
    convert::Infallible,
    ffi::OsString,
    os::{
        fd::OwnedFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::PathBuf,
};

use super::Fd;
use crate::{
    bytes::Bytes,
    error::{Error, Result},
    parcel::{Decoder, Encoder},
};

/// A type that this crate encodes itself. These are octets in one piece, whatever their
/// text encoding, and types that are neither data nor simply a descriptor.
pub trait Hand: Sized {
    /// Puts the value at the end.
    fn encode_by_hand(self, out: &mut Encoder) -> Result<()>;

    /// Takes what [`encode_by_hand`](Self::encode_by_hand) put.
    fn decode_by_hand(input: &mut Decoder) -> Result<Self>;
}

impl Hand for () {
    fn encode_by_hand(self, _: &mut Encoder) -> Result<()> {
        Ok(())
    }

    fn decode_by_hand(_: &mut Decoder) -> Result<()> {
        Ok(())
    }
}

/// The result of an entry that returns `!`.
impl Hand for Infallible {
    fn encode_by_hand(self, _: &mut Encoder) -> Result<()> {
        match self {}
    }

    fn decode_by_hand(_: &mut Decoder) -> Result<Self> {
        Err(Error::invalid("a value arrived where there cannot be one"))
    }
}

impl Hand for Vec<u8> {
    fn encode_by_hand(self, out: &mut Encoder) -> Result<()> {
        out.push_bytes(&self);
        Ok(())
    }

    fn decode_by_hand(input: &mut Decoder) -> Result<Self> {
        input.take_bytes().map(<[u8]>::to_vec)
    }
}

impl Hand for String {
    fn encode_by_hand(self, out: &mut Encoder) -> Result<()> {
        self.into_bytes().encode_by_hand(out)
    }

    fn decode_by_hand(input: &mut Decoder) -> Result<Self> {
        Self::from_utf8(Vec::decode_by_hand(input)?)
            .map_err(|error| Error::invalid(format!("the text that arrived is not UTF-8: {error}")))
    }
}

impl Hand for OsString {
    fn encode_by_hand(self, out: &mut Encoder) -> Result<()> {
        out.push_bytes(self.as_bytes());
        Ok(())
    }

    fn decode_by_hand(input: &mut Decoder) -> Result<Self> {
        Vec::decode_by_hand(input).map(Self::from_vec)
    }
}

impl Hand for PathBuf {
    fn encode_by_hand(self, out: &mut Encoder) -> Result<()> {
        self.into_os_string().encode_by_hand(out)
    }

    fn decode_by_hand(input: &mut Decoder) -> Result<Self> {
        OsString::decode_by_hand(input).map(Self::from)
    }
}

/// The descriptor itself moves; only a descriptor nested in data is duplicated.
impl<T: From<OwnedFd> + Into<OwnedFd>> Hand for Fd<T> {
    fn encode_by_hand(self, out: &mut Encoder) -> Result<()> {
        out.push_fd(self.0.into());
        Ok(())
    }

    fn decode_by_hand(input: &mut Decoder) -> Result<Self> {
        Ok(Self(input.take_fd()?.into()))
    }
}

/// The descriptor of the memory travels; what arrives is checked and mapped.
impl Hand for Bytes {
    fn encode_by_hand(self, out: &mut Encoder) -> Result<()> {
        out.push_fd(self.try_into()?);
        Ok(())
    }

    fn decode_by_hand(input: &mut Decoder) -> Result<Self> {
        input.take_fd()?.try_into()
    }
}

impl<T: Hand> Hand for Option<T> {
    fn encode_by_hand(self, out: &mut Encoder) -> Result<()> {
        out.push_byte(self.is_some().into());
        self.map_or(Ok(()), |value| value.encode_by_hand(out))
    }

    fn decode_by_hand(input: &mut Decoder) -> Result<Self> {
        match input.take_byte()? {
            0 => Ok(None),
            1 => T::decode_by_hand(input).map(Some),
            other => Err(unknown("an `Option`", other)),
        }
    }
}

/// Makes the error for a first byte that nobody writes.
pub(super) fn unknown(what: &str, byte: u8) -> Error {
    Error::invalid(format!("{byte} is not the first byte of {what}"))
}

#[cfg(test)]
pub(super) mod tests {
    use std::{fs::File, io::Read};

    use super::*;

    /// Encodes and decodes a value; every truncation must be an error.
    pub(in crate::codec) fn there_and_back<T: Hand>(value: T) -> Result<T> {
        let mut out = Encoder::default();
        value.encode_by_hand(&mut out)?;
        for end in 0..out.bytes.len() {
            let mut cut = Decoder::new(out.bytes[..end].to_vec(), Vec::new());
            assert!(T::decode_by_hand(&mut cut).is_err_and(|error| error.is_invalid()));
        }
        let mut input = Decoder::new(out.bytes, out.fds);
        let value = T::decode_by_hand(&mut input)?;
        input.finish()?;
        Ok(value)
    }

    #[test]
    fn octets_come_back_as_they_were() -> Result<()> {
        let octets = b"not \xff UTF-8 \0 at all".to_vec();
        let name = OsString::from_vec(octets.clone());
        assert_eq!(there_and_back(octets.clone())?, octets);
        assert_eq!(there_and_back(name.clone())?, name);
        assert_eq!(there_and_back(PathBuf::from(&name))?, PathBuf::from(&name));
        assert_eq!(there_and_back("tëxt".to_owned())?, "tëxt");
        there_and_back(())
    }

    #[test]
    fn an_option_may_be_empty() -> Result<()> {
        assert_eq!(there_and_back(None::<Vec<u8>>)?, None);
        assert_eq!(there_and_back(Some(Vec::<u8>::new()))?, Some(Vec::new()));
        let mut text = String::new();
        let file = there_and_back(Some(Fd(File::open("/dev/null").unwrap())))?;
        file.unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "");
        Ok(())
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no memory files")]
    fn shared_memory_comes_back_and_nothing_else_does() -> Result<()> {
        let bytes = Bytes::new("some")?;
        assert_eq!(there_and_back(bytes.clone())?, bytes);
        assert_eq!(there_and_back(Some(bytes.clone()))?, Some(bytes));
        let other = File::open("/dev/null").unwrap().into();
        let mut input = Decoder::new(Vec::new(), vec![other]);
        assert!(Bytes::decode_by_hand(&mut input).unwrap_err().is_invalid());
        Ok(())
    }

    #[test]
    fn what_nobody_writes_is_an_error() {
        let mut input = Decoder::new(vec![2], Vec::new());
        assert!(
            Option::<String>::decode_by_hand(&mut input)
                .unwrap_err()
                .is_invalid()
        );
        let mut out = Encoder::default();
        out.push_bytes(b"\xff");
        let mut input = Decoder::new(out.bytes, Vec::new());
        assert!(String::decode_by_hand(&mut input).unwrap_err().is_invalid());
        assert!(
            Infallible::decode_by_hand(&mut input)
                .unwrap_err()
                .is_invalid()
        );
    }
}
