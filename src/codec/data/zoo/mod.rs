//! What serde's attributes and hand-written code can do to a type: a value comes back
//! equal, or there is an error. It is never another value.

mod animals;
mod attributes;
mod by_hand;
mod known;
mod shapes;

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

use super::{decode_serde, encode_serde};
use crate::{
    error::Result,
    parcel::{Decoder, Encoder},
};

pub(super) fn there<T: Serialize>(value: &T) -> Result<Encoder> {
    let mut out = Encoder::default();
    encode_serde(value, &mut out).map(|()| out)
}

pub(super) fn back<T: DeserializeOwned>(out: Encoder) -> Result<T> {
    let mut input = Decoder::new(out.bytes, out.fds);
    let value = decode_serde(&mut input)?;
    input.finish().map(|()| value)
}

/// Checks that it comes back as it was, also twice in a row, where a shift would show.
#[track_caller]
pub(super) fn equal<T: Serialize + DeserializeOwned + Debug + PartialEq + Clone>(value: T) {
    let all = vec![(value.clone(), 77_u8), (value, 78)];
    let back: Vec<(T, u8)> = there(&all).and_then(back).unwrap();
    assert_eq!(back, all);
}

/// Checks that the encoder refuses it and says this.
#[track_caller]
pub(super) fn refused<T: Serialize>(value: &T, texts: &[&str]) {
    let error = there(&(1_u8, value)).map(|out| out.bytes).unwrap_err();
    assert_says(&error, texts);
}

/// Checks that the decoder refuses it and says this.
#[track_caller]
pub(super) fn unread<A: Serialize, B: DeserializeOwned + Debug>(value: &A, texts: &[&str]) {
    let out = there(&[value, value]).unwrap();
    assert_says(&back::<[B; 2]>(out).unwrap_err(), texts);
}

#[track_caller]
fn assert_says(error: &crate::Error, texts: &[&str]) {
    assert!(error.is_invalid(), "{error}");
    let text = error.to_string();
    for part in texts.iter().chain(&["zygote::codec::data::zoo::"]) {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}
