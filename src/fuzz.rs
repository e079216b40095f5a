//! What the fuzzer calls, see `fuzz/`: every decoder, with whatever it makes up.
//! Nothing may panic, and what is understood must come back the same.

use std::{
    cell::LazyCell,
    collections::{BTreeMap, HashSet},
    error,
    ffi::OsString,
    fmt,
    fs::File,
    io::{self, IoSlice},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::{
    Error, Fd,
    codec::{Codec, Way, via::*},
    parcel::{Decoder, Encoder},
    sys::{memory, socket},
    wire::{
        frame::{Head, Kind, Report, failure, ids, job},
        link,
    },
};

thread_local! {
    static ENDS: LazyCell<(OwnedFd, OwnedFd)> =
        LazyCell::new(|| socket::pair().expect("a socket pair"));
    static NULL: LazyCell<File> =
        LazyCell::new(|| File::open("/dev/null").expect("/dev/null is there"));
}

/// The bytes as a head and as every body that is not a parcel.
pub fn bodies(bytes: &[u8]) {
    if let Some(head) = bytes.first_chunk() {
        if let Some(decoded) = Head::decode(head) {
            assert_eq!(&decoded.encode(), head);
        }
    }
    if let Some(error) = failure::decode(bytes) {
        let encoded = failure::encode(&error);
        let again = failure::decode(&encoded).map(|error| failure::encode(&error));
        assert_eq!(again, Some(encoded));
    }
    let reports = Report::decode(bytes);
    assert_eq!(Report::decode(&Report::encode(&reports)), reports);
    assert!(
        ids::decode(&ids::encode(&ids::decode(bytes).collect::<Vec<_>>())).eq(ids::decode(bytes))
    );
    if let Some(id) = job::decode(bytes) {
        assert_eq!(job::encode(id), bytes[..job::LENGTH]);
    }
}

/// The bytes as a message on a socket: the first says which descriptors come
/// with it.
pub fn message(bytes: &[u8]) {
    let Some((with, bytes)) = bytes.split_first() else {
        return;
    };
    let mut fds = Vec::new();
    NULL.with(|null| {
        for _ in 0..with >> 4 {
            fds.push(null.as_fd().try_clone_to_owned().expect("a copy"));
        }
    });
    let (direct, rest) = bytes.split_at(bytes.len().min(Head::LENGTH));
    let mut message = bytes;
    if with & 1 != 0 {
        message = direct;
        fds.push(memory::sealed(&[rest]).expect("sealed memory"));
    }
    if with & 2 != 0 {
        let (near, far) = socket::pair().expect("a socket pair");
        let inside: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let _ = socket::send(near.as_fd(), &[IoSlice::new(&[1])], &inside, false);
        fds.push(far);
    }
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    ENDS.with(|ends| {
        socket::send(ends.0.as_fd(), &[IoSlice::new(message)], &fds, false).expect("there is room");
        if let Ok(frame) = link::receive(ends.1.as_fd(), false) {
            assert!(frame.kind != Kind::Hello || frame.fds.len() < 2);
            assert!(frame.body.len() <= bytes.len());
        }
    });
}

#[derive(Debug, Serialize, Deserialize)]
enum Shape {
    Unit,
    New(Box<(u8, char)>),
    Pair(i128, f64),
    Named { name: String, at: Option<Duration> },
}

#[derive(Debug, Serialize, Deserialize)]
struct Job {
    name: String,
    files: Vec<Fd<File>>,
    shapes: BTreeMap<u16, Shape>,
    seen: HashSet<i64>,
    time: SystemTime,
}

/// The bytes as arguments and results of many types: the first says which, and
/// how many descriptors come with them.
pub fn arguments(bytes: &[u8]) {
    macro_rules! plain {
        ($ty:ty, $fds:expr, $bytes:expr) => {
            decode::<$ty>(&(&&&&&Way::<$ty>::NEW).codec_of_way(), $fds, $bytes)
        };
    }
    macro_rules! fallible {
        ($ty:ty, $fds:expr, $bytes:expr) => {{
            let ways = (&&Way::<$ty>::NEW).split_way();
            let codec = ways.join(
                (&&&&&ways.ok()).codec_of_way(),
                (&&&&&ways.err()).codec_of_way(),
            );
            decode::<$ty>(&codec, $fds, $bytes);
        }};
    }
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    let fds = which >> 6;
    match which & 0x3f {
        0 => plain!(Vec<u8>, fds, bytes),
        1 => plain!(String, fds, bytes),
        2 => plain!(Option<PathBuf>, fds, bytes),
        3 => plain!(OsString, fds, bytes),
        4 => plain!(io::Error, fds, bytes),
        5 => plain!(Box<dyn error::Error + Send + Sync>, fds, bytes),
        6 => plain!(Error, fds, bytes),
        7 => plain!(Option<Fd<File>>, fds, bytes),
        8 => plain!(Job, fds, bytes),
        9 => plain!(Vec<Shape>, fds, bytes),
        10 => plain!((u64, String, [u16; 3]), fds, bytes),
        11 => plain!(Vec<Option<Fd<File>>>, fds, bytes),
        12 => fallible!(Result<Vec<u8>, Error>, fds, bytes),
        13 => fallible!(io::Result<File>, fds, bytes),
        14 => fallible!(Result<Job, Box<dyn error::Error + Send + Sync>>, fds, bytes),
        15 => fallible!((), fds, bytes),
        _ => {}
    }
}

/// What is understood must be encoded again, and that understood as the same.
fn decode<T: fmt::Debug>(codec: &impl Codec<T>, fds: u8, bytes: &[u8]) {
    let fds = NULL.with(|null| {
        let copy = |_| null.as_fd().try_clone_to_owned().expect("a copy");
        (0..fds).map(copy).collect()
    });
    let mut input = Decoder::new(bytes.to_vec(), fds);
    let Ok(value) = codec.decode_this_way(&mut input) else {
        return;
    };
    let _ = input.finish();
    let text = format!("{value:?}");
    let mut out = Encoder::default();
    codec
        .encode_this_way(value, &mut out)
        .expect("what was decoded can be encoded");
    let mut input = Decoder::new(out.bytes, out.fds);
    let again = codec
        .decode_this_way(&mut input)
        .expect("what was encoded can be decoded");
    input.finish().expect("nothing is left over");
    // Numbers of descriptors and the order of a set differ.
    if !text.contains("fd:") && !text.contains("seen") {
        assert_eq!(format!("{again:?}"), text);
    }
}
