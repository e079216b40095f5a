//! Properties of what is pure: every value comes back; what was cut, changed or
//! made up is an error or a value, and never a panic; and no length is believed
//! before the bytes are seen to be there.

use std::{
    error, ffi::OsString, fmt, io, os::unix::ffi::OsStringExt, path::PathBuf, time::Duration,
};

use proptest::{
    collection::{btree_map, vec},
    prelude::*,
};

use crate::{
    codec::{Codec, Way, via::*},
    error::{Error, ErrorKind},
    exit::Rusage,
    parcel::{Decoder, Encoder},
    registry::Id,
    sys::counted::largest,
    wire::frame::{Fate, Head, Kind, Report, failure, ids, job},
};

type Boxed = Box<dyn error::Error + Send + Sync>;

/// The codec that the macros choose for a type.
macro_rules! way {
    ($ty:ty) => {{
        let ways = (&&Way::<$ty>::NEW).split_way();
        ways.join(
            (&&&&&ways.ok()).codec_of_way(),
            (&&&&&ways.err()).codec_of_way(),
        )
    }};
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// serde reserves so much for a sequence before it has seen an element.
const RESERVED: usize = 1 << 20;

/// What a decoder may ask for at once, for so many bytes.
fn allowed(bytes: usize) -> usize {
    // Texts of errors, and elements that are larger than their bytes.
    4096 + 128 * bytes
}

fn kinds() -> Vec<Kind> {
    let kind = |byte| {
        let mut head = Head::new(Kind::Run, 0).encode();
        head[4] = byte;
        Some(Head::decode(&head)?.kind)
    };
    (0..=u8::MAX).filter_map(kind).collect()
}

fn heads() -> impl Strategy<Value = Head> {
    let kinds = prop::sample::select(kinds());
    let numbers = (any::<u32>(), any::<u64>(), 0..1_u64 << 48);
    (kinds, any::<bool>(), any::<bool>(), numbers).prop_map(
        |(kind, in_memory, in_carrier, (fds, number, length))| Head {
            kind,
            in_memory,
            in_carrier,
            fds,
            number,
            length,
        },
    )
}

fn failures() -> impl Strategy<Value = Error> {
    let kinds = [
        ErrorKind::Os,
        ErrorKind::Invalid,
        ErrorKind::Preload,
        ErrorKind::Panic,
        ErrorKind::Protocol,
    ];
    let kinds = prop::sample::select(kinds.to_vec());
    (kinds, any::<bool>(), any::<i32>(), ".*").prop_map(|(kind, unstarted, code, text)| {
        let error = Error::new(kind, text);
        let error = error.with_source(io::Error::from_raw_os_error(code));
        if unstarted { error.unstarted() } else { error }
    })
}

fn reports() -> impl Strategy<Value = Report> {
    let ended = (any::<i32>(), any::<[u64; 4]>()).prop_map(|(status, words)| Fate::Ended {
        status,
        rusage: Rusage {
            user: Duration::from_nanos(words[0]),
            system: Duration::from_nanos(words[1]),
            max_rss: words[2],
            blocks_out: words[3],
            ..Rusage::default()
        },
    });
    let unborn = any::<i32>().prop_map(|code| Fate::Unborn { code });
    (any::<u64>(), prop_oneof![ended, unborn]).prop_map(|(child, fate)| Report { child, fate })
}

/// All of what a frame's body can be.
fn understand(bytes: &[u8]) {
    let _ = bytes.first_chunk().and_then(Head::decode);
    let _ = failure::decode(bytes).map(|error| failure::encode(&error));
    let _ = Report::decode(bytes);
    let _ = ids::decode(bytes).count();
    let _ = job::decode(bytes);
}

/// Every beginning, and one change.
fn spoilt(bytes: &[u8], at: prop::sample::Index, with: u8) -> Vec<Vec<u8>> {
    let mut all: Vec<_> = (0..bytes.len()).map(|end| bytes[..end].to_vec()).collect();
    let mut changed = bytes.to_vec();
    if !changed.is_empty() {
        let at = at.index(changed.len());
        changed[at] ^= with;
    }
    all.push(changed);
    all
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_head_comes_back_and_nothing_else_is_one(head in heads(), bytes: [u8; Head::LENGTH]) {
        prop_assert_eq!(Head::decode(&head.encode()), Some(head));
        if let Some(head) = Head::decode(&bytes) {
            prop_assert_eq!(head.encode(), bytes);
        }
    }

    #[test]
    fn a_head_with_one_change_is_none_or_another(head in heads(), at in 0..24_usize, with in 1..=u8::MAX) {
        let mut bytes = head.encode();
        bytes[at] ^= with;
        let changed = Head::decode(&bytes);
        prop_assert!(at >= 4 || changed.is_none());
        prop_assert_ne!(changed, Some(head));
    }

    #[test]
    fn bodies_come_back(
        error in failures(),
        reports in vec(reports(), 0..9),
        numbers: Vec<u64>,
        name: (u32, u64),
    ) {
        let back = failure::decode(&failure::encode(&error)).unwrap();
        prop_assert_eq!(
            (back.kind(), back.code().unwrap_or(0), back.is_unstarted(), back.text()),
            (error.kind(), error.code().unwrap_or(0), error.is_unstarted(), error.text()),
        );
        prop_assert_eq!(Report::decode(&Report::encode(&reports)), reports);
        prop_assert!(ids::decode(&ids::encode(&numbers)).eq(numbers));
        let id = Id { index: name.0, hash: name.1 };
        prop_assert_eq!(job::decode(&job::encode(id)), Some(id));
    }

    #[test]
    fn bodies_that_were_spoilt_are_no_panic(
        error in failures(),
        report in reports(),
        made_up: Vec<u8>,
        at: prop::sample::Index,
        with: u8,
    ) {
        for bytes in [failure::encode(&error), Report::encode(&[report]), made_up] {
            for bytes in spoilt(&bytes, at, with) {
                let ((), most) = largest(|| understand(&bytes));
                prop_assert!(most <= allowed(bytes.len()), "{most} for {} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn a_decoder_takes_what_was_put(parts: Vec<(Vec<u8>, u8)>, at: prop::sample::Index) {
        let mut out = Encoder::default();
        for (bytes, byte) in &parts {
            out.push_bytes(bytes);
            out.push_byte(*byte);
        }
        let cut = at.index(out.bytes.len() + 1);
        let mut short = Decoder::new(out.bytes[..cut].to_vec(), Vec::new());
        let mut input = Decoder::new(out.bytes, out.fds);
        for (bytes, byte) in &parts {
            prop_assert_eq!(input.take_bytes().ok(), Some(&bytes[..]));
            prop_assert_eq!(input.take_byte().ok(), Some(*byte));
        }
        prop_assert!(input.finish().is_ok());
        let taken = (0..parts.len()).all(|_| short.take_bytes().is_ok() && short.take_byte().is_ok());
        prop_assert_eq!(taken, cut == input_length(&parts));
    }
}

fn input_length(parts: &[(Vec<u8>, u8)]) -> usize {
    parts.iter().map(|(bytes, _)| bytes.len() + 9).sum()
}

/// Encodes, decodes, and gives every decoder what was spoilt.
fn travel<T: fmt::Debug>(
    codec: &impl Codec<T>,
    value: T,
    at: prop::sample::Index,
    with: u8,
) -> Result<(), TestCaseError> {
    let text = format!("{value:?}");
    let mut out = Encoder::default();
    codec
        .encode_this_way(value, &mut out)
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    for bytes in spoilt(&out.bytes, at, with) {
        let length = bytes.len();
        let (_, most) = largest(|| {
            let mut input = Decoder::new(bytes, Vec::new());
            let value = codec.decode_this_way(&mut input);
            value.and_then(|value| input.finish().map(|()| value))
        });
        prop_assert!(
            most <= RESERVED.max(allowed(length)),
            "{most} for {length} bytes"
        );
    }
    let mut input = Decoder::new(out.bytes, out.fds);
    let value = codec.decode_this_way(&mut input);
    prop_assert_eq!(value.ok().map(|value| format!("{value:?}")), Some(text));
    prop_assert!(input.finish().is_ok());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: config().cases.div_ceil(4), ..config() })]

    #[test]
    fn what_is_encoded_by_hand_comes_back(
        bytes: Vec<u8>,
        text: String,
        code in prop::option::of(1..=133_i32),
        at: prop::sample::Index,
        with: u8,
    ) {
        travel::<()>(&way!(()), (), at, with)?;
        travel::<Vec<u8>>(&way!(Vec<u8>), bytes.clone(), at, with)?;
        travel::<Option<Vec<u8>>>(&way!(Option<Vec<u8>>), Some(bytes.clone()), at, with)?;
        travel::<Option<PathBuf>>(&way!(Option<PathBuf>), Some(PathBuf::from(OsString::from_vec(bytes.clone()))), at, with)?;
        travel::<String>(&way!(String), text.clone(), at, with)?;
        let failed = || match code {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(io::ErrorKind::InvalidData, text.clone()),
        };
        travel::<io::Error>(&way!(io::Error), failed(), at, with)?;
        travel::<Result<Vec<u8>, io::Error>>(&way!(Result<Vec<u8>, io::Error>), Ok(bytes), at, with)?;
        travel::<Result<Vec<u8>, Boxed>>(&way!(Result<Vec<u8>, Boxed>), Err(failed().into()), at, with)?;
        travel::<Result<String, Boxed>>(&way!(Result<String, Boxed>), Err(text.into()), at, with)?;
    }

    #[cfg(feature = "serde")]
    #[test]
    fn what_is_encoded_by_serde_comes_back(
        words in btree_map(".{0,4}", vec(any::<u16>(), 0..4), 0..4),
        number: (i128, f32, char, Option<bool>),
        nested in vec(prop::result::maybe_err((any::<u8>(), ".{0,4}"), vec(any::<i64>(), 0..4)), 0..4),
        text: String,
        at: prop::sample::Index,
        with: u8,
    ) {
        prop_assume!(number.1 == number.1);
        travel::<std::collections::BTreeMap<String, Vec<u16>>>(&way!(std::collections::BTreeMap<String, Vec<u16>>), words, at, with)?;
        travel::<(i128, f32, char, Option<bool>)>(&way!((i128, f32, char, Option<bool>)), number, at, with)?;
        travel::<Vec<Result<(u8, String), Vec<i64>>>>(&way!(Vec<Result<(u8, String), Vec<i64>>>), nested, at, with)?;
        travel::<Error>(&way!(Error), Error::timeout(text.clone()).with_pid(5), at, with)?;
        travel::<Result<u64, Error>>(&way!(Result<u64, Error>), Err(Error::os(text, io::Error::last_os_error())), at, with)?;
    }

    #[test]
    fn what_nobody_encoded_is_no_panic(bytes: Vec<u8>) {
        macro_rules! taken {
            ($($ty:ty),*) => { $(
                let (_, most) = largest(|| {
                    let value: Result<$ty, Error> = way!($ty).decode_this_way(&mut Decoder::new(bytes.clone(), Vec::new()));
                    value.is_ok()
                });
                prop_assert!(most <= RESERVED.max(allowed(bytes.len())), "{most}");
            )* };
        }
        taken!(Vec<u8>, String, Option<PathBuf>, io::Error, Boxed, Result<Vec<u8>, Boxed>);
        #[cfg(feature = "serde")]
        taken!(Error, Vec<u64>, Vec<(u128, u128)>, Option<String>, std::collections::HashMap<u8, String>);
    }
}

#[test]
fn a_length_is_not_believed() {
    let mut bytes = u64::MAX.to_le_bytes().to_vec();
    for length in [1_u64 << 62, 1 << 40, 1 << 30, 9] {
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        let mut input = Decoder::new(bytes.clone(), Vec::new());
        let (taken, most) = largest(|| input.take_bytes().is_err());
        assert!(taken && most <= 4096, "{most} for a length of {length}");
    }
}
