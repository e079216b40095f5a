//! What travels by serde: values in the format of `postcard`, then what they
//! are made of (see [`shape`]).
//!
//! ```text
//! number of descriptors: u32 · length of the value: u64 · value · its form · shapes
//! ```
//!
//! Numbers are little endian; form and shapes are in postcard's format.
//!
//! Descriptors travel beside the bytes, see [`basket`].

mod basket;
mod fault;
mod read;
mod shape;
mod write;
#[cfg(test)]
mod zoo;

use std::{
    any::{Any, type_name},
    os::fd::OwnedFd,
};

use serde::{Serialize, de::DeserializeOwned};

pub(super) use self::basket::rehearse;
use self::{
    basket::{Active, number_of},
    fault::Fault,
    read::Reader,
    shape::{Form, Shape},
    write::Writer,
};
use crate::{
    codec::numbers,
    error::{Error, Result},
    parcel::{Decoder, Encoder},
};

/// How many bytes there are before the value.
const HEAD: usize = 4 + 8;

/// Puts a value at the end; its descriptors are duplicated.
pub(crate) fn encode_serde<T: Serialize>(value: &T, out: &mut Encoder) -> Result<()> {
    let head = out.bytes.len();
    out.bytes.extend_from_slice(&[0; HEAD]);
    let active = Active::new(true, Vec::new());
    let done = write(value, &mut out.bytes);
    let (length, fds) = active.finish::<T, _>(done)?;
    out.bytes[head..head + 4].copy_from_slice(&number_of(&fds)?.to_le_bytes());
    out.bytes[head + 4..head + HEAD].copy_from_slice(&length.to_le_bytes());
    out.fds.extend(fds.into_iter().flatten());
    Ok(())
}

/// Writes the value, its form and its shapes, and gives the length of the value.
fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<u64, Fault> {
    let before = out.len();
    let mut writer = Writer::new(out);
    value.serialize(&mut writer)?;
    let made_of = writer.finish()?;
    // A length that fits into memory fits into 64 bits.
    let length = (out.len() - before) as u64;
    *out = postcard::to_extend(&made_of, std::mem::take(out))?;
    Ok(length)
}

/// Takes what [`encode_serde`] put.
pub(crate) fn decode_serde<T: DeserializeOwned>(input: &mut Decoder) -> Result<T> {
    let short = || {
        Error::invalid(format!(
            "the bytes of a `{}` end too early",
            type_name::<T>()
        ))
    };
    let head: &[u8; HEAD] = input.rest().first_chunk().ok_or_else(short)?;
    let [a, b, c, d, length @ ..] = *head;
    let length = usize::try_from(u64::from_le_bytes(length)).map_err(|_| short())?;
    input.skip(HEAD);
    let fds: Result<_> = (0..u32::from_le_bytes([a, b, c, d]))
        .map(|_| input.take_fd().map(Some))
        .collect();
    let active = Active::new(false, fds?);
    let (value, made_of) = input.rest().split_at_checked(length).ok_or_else(short)?;
    let ((value, read), _) = active.finish::<T, _>(read(value, made_of))?;
    input.skip(length + read);
    Ok(value)
}

/// Reads the value, and tells how many bytes say what it is made of.
fn read<T: DeserializeOwned>(value: &[u8], made_of: &[u8]) -> Result<(T, usize), Fault> {
    let (form, shapes, rest) = match postcard::take_from_bytes::<(Form, Vec<Shape<'_>>)>(made_of) {
        Ok(((form, shapes), rest)) => (form, shapes, rest),
        Err(error) => return Err(error.into()),
    };
    let mut reader = Reader::new(value, form, shapes)?;
    let value = T::deserialize(&mut reader)?;
    reader.finish()?;
    Ok((value, made_of.len() - rest.len()))
}

/// Does what [`encode_serde`] does, for a value that is all there is: a `Vec<u8>`
/// becomes the bytes, without a copy, and any other vector of numbers with one.
pub(crate) fn encode_any<T: Serialize + 'static>(value: T, out: &mut Encoder) -> Result<()> {
    let mut value = Some(value);
    let any: &mut dyn Any = &mut value;
    if let Some(Some(bytes)) = any.downcast_mut::<Option<Vec<u8>>>() {
        out.bytes = std::mem::take(bytes);
        return Ok(());
    }
    if let Some(memory) = numbers::memory(any) {
        out.bytes = memory.to_vec();
        return Ok(());
    }
    value.map_or(Ok(()), |value| encode_serde(&value, out))
}

/// Takes what [`encode_any`] put.
pub(crate) fn decode_any<T: DeserializeOwned + 'static>(
    mut bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
) -> Result<T> {
    let mut value = None::<T>;
    let any: &mut dyn Any = &mut value;
    if let Some(slot) = any.downcast_mut::<Option<Vec<u8>>>() {
        *slot = Some(std::mem::take(&mut bytes));
    } else if numbers::fill(any, &bytes)? {
        bytes.clear();
    }
    let mut input = Decoder::new(bytes, fds);
    let value = value.map_or_else(|| decode_serde(&mut input), Ok)?;
    input.finish()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{Read, Write},
        os::unix::net::UnixStream,
    };

    use super::*;
    use crate::{Fd, bytes::Bytes};

    #[derive(Serialize, serde::Deserialize)]
    struct Job {
        name: String,
        files: Vec<Fd<UnixStream>>,
        more: Option<Box<Job>>,
    }

    fn encoded<T: Serialize>(value: &T) -> Encoder {
        let mut out = Encoder::default();
        encode_serde(value, &mut out).unwrap();
        out
    }

    fn decoder(out: Encoder) -> Decoder {
        Decoder::new(out.bytes, out.fds)
    }

    fn pair() -> (UnixStream, UnixStream) {
        UnixStream::pair().unwrap()
    }

    #[test]
    fn values_come_back_one_after_the_other() {
        let mut out = encoded(&(1_u8, "two", [3.0_f64; 3]));
        encode_serde(&Some('4'), &mut out).unwrap();
        let mut input = decoder(out);
        let first: (u8, String, [f64; 3]) = decode_serde(&mut input).unwrap();
        assert_eq!(first, (1, "two".to_owned(), [3.0; 3]));
        assert_eq!(decode_serde::<Option<char>>(&mut input).unwrap(), Some('4'));
        input.finish().unwrap();
    }

    #[test]
    fn descriptors_inside_keep_their_places() {
        let (one, mut one_end) = pair();
        let (two, mut two_end) = pair();
        let inner = Job {
            name: "in".into(),
            files: vec![two.into()],
            more: None,
        };
        let job = Job {
            name: "out".into(),
            files: vec![one.into()],
            more: Some(inner.into()),
        };
        let mut input = decoder(encoded(&job));
        drop(job);

        let mut job: Job = decode_serde(&mut input).unwrap();
        input.finish().unwrap();
        job.files[0].write_all(b"one").unwrap();
        job.more.as_mut().unwrap().files[0]
            .write_all(b"two")
            .unwrap();
        drop(job);
        let mut text = String::new();
        one_end.read_to_string(&mut text).unwrap();
        two_end.read_to_string(&mut text).unwrap();
        assert_eq!(text, "onetwo");
    }

    #[test]
    fn every_truncation_is_an_error() {
        let file = || Fd(File::open("/dev/null").unwrap());
        let whole = encoded(&("text", 70_000, file()));
        for end in 0..whole.bytes.len() {
            let fds = vec![file().0.into()];
            let mut cut = Decoder::new(whole.bytes[..end].to_vec(), fds);
            let error = decode_serde::<(String, u32, Fd<File>)>(&mut cut).unwrap_err();
            assert!(error.is_invalid(), "{error}");
        }
        let mut fewer = Decoder::new(whole.bytes, Vec::new());
        assert!(
            decode_serde::<(String, u32, Fd<File>)>(&mut fewer)
                .unwrap_err()
                .is_invalid()
        );
    }

    #[test]
    fn each_descriptor_is_taken_once() {
        // Both elements are read as numbers of descriptors, and both name the first
        // one.
        let out = encoded(&(Fd(File::open("/dev/null").unwrap()), 0_u32));
        let error = decode_serde::<[Fd<File>; 2]>(&mut decoder(out)).unwrap_err();
        assert!(
            error.to_string().contains("descriptor 0 did not arrive"),
            "{error}"
        );
    }

    #[test]
    fn shared_memory_inside_stays_shared() {
        let bytes = Bytes::new("some").unwrap();
        let mut input = decoder(encoded(&(bytes.clone(), vec![bytes.clone()])));
        let back: (Bytes, Vec<Bytes>) = decode_serde(&mut input).unwrap();
        assert_eq!(back, (bytes.clone(), vec![bytes]));
    }

    #[test]
    fn shared_memory_inside_is_checked() {
        let file = Fd(File::open("/dev/null").unwrap());
        let error = decode_serde::<Bytes>(&mut decoder(encoded(&file))).unwrap_err();
        assert!(error.is_invalid(), "{error}");
        assert!(error.to_string().contains("not shared memory"), "{error}");
    }

    #[test]
    fn only_zygote_passes_a_descriptor() {
        let stream = Fd(pair().0);
        assert!(postcard::to_stdvec(&stream).is_err());
        assert!(postcard::from_bytes::<Fd<UnixStream>>(&[0]).is_err());
        let mut out = Encoder::default();
        out.push_fd(stream.0.into());
    }

    #[test]
    fn a_failure_in_serde_says_for_which_type() {
        #[derive(Debug, Serialize, serde::Deserialize)]
        #[serde(untagged)]
        enum Loose {
            Number(u32),
        }
        let mut input = decoder(encoded(&Loose::Number(1)));
        let error = decode_serde::<Loose>(&mut input).unwrap_err();
        assert!(error.is_invalid());
        assert!(
            error
                .to_string()
                .contains("Loose` needs a format that describes itself")
        );
    }

    #[test]
    fn bytes_alone_are_not_copied() {
        let bytes = vec![7; 100];
        let at = bytes.as_ptr();
        let mut out = Encoder::default();
        encode_any(bytes, &mut out).unwrap();
        assert_eq!(out.bytes.len(), 100);
        let bytes: Vec<u8> = decode_any(out.bytes, out.fds).unwrap();
        assert_eq!(bytes.len(), 100);
        assert_eq!(bytes.as_ptr(), at);
    }

    #[test]
    fn numbers_alone_are_plain_memory() {
        let mut out = Encoder::default();
        encode_any(vec![1.0_f64, 2.0], &mut out).unwrap();
        assert_eq!(out.bytes.len(), 16);
        let numbers: Vec<f64> = decode_any(out.bytes, out.fds).unwrap();
        assert_eq!(numbers, [1.0, 2.0]);
        assert!(
            decode_any::<Vec<f64>>(vec![0; 9], Vec::new())
                .unwrap_err()
                .is_invalid()
        );
        assert!(
            decode_any::<Vec<f64>>(Vec::new(), Vec::new())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn anything_else_alone_goes_by_serde() {
        let mut out = Encoder::default();
        encode_any((5_u32, Fd(pair().0)), &mut out).unwrap();
        let (five, stream): (u32, Fd<UnixStream>) = decode_any(out.bytes, out.fds).unwrap();
        assert_eq!(five, 5);
        let stray = vec![stream.into_inner().into()];
        assert!(
            decode_any::<Vec<u8>>(Vec::new(), stray)
                .unwrap_err()
                .is_invalid()
        );
    }
}
