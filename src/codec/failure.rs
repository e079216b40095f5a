//! Errors of other crates, as an entry returns them.
//!
//! The receiver gets an error of the same type. What that error holds cannot travel, so
//! it is rebuilt from what can: an `io::Error` from its code, or from its kind and
//! text; any other from its text.

use std::{error, io};

use super::{Hand, hand::unknown};
use crate::{
    error::{Result, Source},
    parcel::{Decoder, Encoder},
};

impl Hand for io::Error {
    fn encode_by_hand(self, out: &mut Encoder) -> Result<()> {
        let (code, kind, text) = Source::new(&self).into_parts();
        out.push_byte(code.is_some().into());
        out.push_array(code.unwrap_or(0).to_le_bytes());
        out.push_byte(kind);
        text.encode_by_hand(out)
    }

    fn decode_by_hand(input: &mut Decoder) -> Result<Self> {
        let has_code = input.take_byte()? != 0;
        let code = i32::from_le_bytes(input.take_array()?);
        let code = has_code.then_some(code);
        let kind = input.take_byte()?;
        Ok(Source::from_parts(code, kind, String::decode_by_hand(input)?).into_io())
    }
}

/// The first byte of a boxed error.
const TEXT: u8 = 0;
const IO: u8 = 1;
#[cfg(feature = "serde")]
const OWN: u8 = 2;

/// A boxed `io::Error`, and a boxed error of this crate, stay what they are.
impl Hand for Box<dyn error::Error + Send + Sync> {
    fn encode_by_hand(self, out: &mut Encoder) -> Result<()> {
        let other = match self.downcast::<io::Error>() {
            Ok(io) => {
                out.push_byte(IO);
                return io.encode_by_hand(out);
            }
            Err(other) => other,
        };
        #[cfg(feature = "serde")]
        if let Some(own) = other.downcast_ref::<crate::Error>() {
            out.push_byte(OWN);
            return super::encode_serde(own, out);
        }
        out.push_byte(TEXT);
        other.to_string().encode_by_hand(out)
    }

    fn decode_by_hand(input: &mut Decoder) -> Result<Self> {
        Ok(match input.take_byte()? {
            TEXT => String::decode_by_hand(input)?.into(),
            IO => io::Error::decode_by_hand(input)?.into(),
            #[cfg(feature = "serde")]
            OWN => super::decode_serde::<crate::Error>(input)?.into(),
            byte => return Err(unknown("an error", byte)),
        })
    }
}

/// The error travels with its causes, in the one line in which `anyhow` shows them.
#[cfg(feature = "anyhow")]
impl Hand for anyhow::Error {
    fn encode_by_hand(self, out: &mut Encoder) -> Result<()> {
        format!("{self:#}").encode_by_hand(out)
    }

    fn decode_by_hand(input: &mut Decoder) -> Result<Self> {
        String::decode_by_hand(input).map(Self::msg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<T: Hand>(value: T) -> T {
        let mut out = Encoder::default();
        value.encode_by_hand(&mut out).unwrap();
        let mut input = Decoder::new(out.bytes, out.fds);
        let value = T::decode_by_hand(&mut input).unwrap();
        input.finish().unwrap();
        value
    }

    #[test]
    fn an_io_error_keeps_code_kind_and_text() {
        let os = there_and_back(io::Error::from_raw_os_error(libc::ENOSPC));
        assert_eq!(os.raw_os_error(), Some(libc::ENOSPC));
        let own = there_and_back(io::Error::new(io::ErrorKind::InvalidData, "no PNG"));
        assert_eq!(
            (own.kind(), own.raw_os_error()),
            (io::ErrorKind::InvalidData, None)
        );
        assert_eq!(own.to_string(), "no PNG");
    }

    #[test]
    fn a_boxed_error_keeps_its_text_or_what_it_is() {
        type Boxed = Box<dyn error::Error + Send + Sync>;
        let text = there_and_back(Boxed::from("no cheese"));
        assert_eq!(text.to_string(), "no cheese");
        let io = there_and_back(Boxed::from(io::Error::from_raw_os_error(libc::ENOENT)));
        let io = io.downcast::<io::Error>().unwrap();
        assert_eq!(io.raw_os_error(), Some(libc::ENOENT));
        let own = there_and_back(Boxed::from(crate::Error::timeout("no result within 5 ms")));
        assert_eq!(own.to_string(), "no result within 5 ms");
        #[cfg(feature = "serde")]
        assert!(own.downcast::<crate::Error>().unwrap().is_timeout());
    }

    #[cfg(feature = "anyhow")]
    #[test]
    fn anyhow_brings_its_causes() {
        let error = there_and_back(anyhow::anyhow!("no rennet").context("no cheese"));
        assert_eq!(error.to_string(), "no cheese: no rennet");
    }
}
