//! Types with attributes of serde's derive.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! animals {
    ($($(#[$attr:meta])* $name:ident { $($(#[$field:meta])* $part:ident: $ty:ty,)* })*) => { $(
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        $(#[$attr])*
        pub(super) struct $name { $($(#[$field])* pub(super) $part: $ty,)* }
    )* };
}

fn nothing<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

animals! {
    Plain { a: u32, b: String, c: Option<Option<u8>>, }
    #[serde(default, deny_unknown_fields, rename = "other", rename_all = "camelCase")]
    Renamed { some_name: u8, #[serde(rename = "B", alias = "A", alias = "Z")] b_b: u16, c: i8, }
    SkipsIf {
        #[serde(skip_serializing_if = "nothing")] a: Option<u8>,
        b: u8,
        #[serde(default, skip_serializing_if = "nothing")] c: Vec<u8>,
    }
    Skips { #[serde(skip)] a: u8, b: u8, #[serde(skip)] c: u8, }
    #[serde(default)]
    SkipsWriting { #[serde(skip_serializing)] a: u8, b: u8, }
    SkipsWritingLast { a: u8, #[serde(skip_serializing, default)] b: u8, }
    SkipsReading { #[serde(skip_deserializing)] a: u8, b: u8, }
    SkipsEach { #[serde(skip_deserializing)] a: u8, #[serde(skip_serializing)] b: u8, c: u8, }
    RenamesOneWay { #[serde(rename(serialize = "x"))] a: u8, b: u8, }
    RenamesOneWayWithAlias { #[serde(rename(serialize = "x"), alias = "x")] a: u8, b: u8, }
    Flattens { a: u8, #[serde(flatten)] rest: Plain, }
    FlattensMap { a: u8, #[serde(flatten)] rest: BTreeMap<String, u8>, }
    #[serde(transparent)]
    Transparent { inner: Plain, }
    With { #[serde(with = "as_text")] a: u32, b: u8, }
    WritesOther { #[serde(serialize_with = "as_text::serialize")] a: u32, b: u8, }
    ReadsOther { #[serde(deserialize_with = "as_text::deserialize")] a: u32, b: u8, }
    Lenient { #[serde(deserialize_with = "or_default")] a: u8, b: u8, }
    #[serde(from = "(u8, String)", into = "(u8, String)")]
    Converted { a: u8, b: String, }
    Empty {}
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pair(
    pub(super) u8,
    #[serde(skip_serializing_if = "nothing", default)] pub(super) u8,
);

impl From<(u8, String)> for Converted {
    fn from((a, b): (u8, String)) -> Self {
        Self { a, b }
    }
}

impl From<Converted> for (u8, String) {
    fn from(it: Converted) -> Self {
        (it.a, it.b)
    }
}

mod as_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(n: &u32, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(n)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        let text = Cow::<'_, str>::deserialize(from)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Reads a value, and takes one that it cannot read as absent.
fn or_default<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    Ok(Plain::deserialize(from).map_or(0, |it| u8::try_from(it.a).unwrap_or(0)))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Plainly {
    Unit,
    New(Box<Plainly>),
    Tuple(u8, String),
    Struct { a: Option<u8>, b: Vec<Plainly> },
    Nothing(),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum SkipsVariant {
    A(u8),
    #[serde(skip)]
    _B,
    C(u8),
    #[serde(alias = "other", alias = "A2")]
    D(u8),
    E {
        #[serde(skip_serializing_if = "nothing")]
        a: u8,
        b: u8,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum SkipsReadingVariant {
    #[serde(skip_deserializing)]
    A(u8),
    B(u8),
    C(u8),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum SkipsWritingVariant {
    #[serde(skip_serializing)]
    A(u8),
    B(u8),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Untagged {
    A(u8),
    B { b: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub(super) enum Internally {
    A {
        a: u8,
    },
    B,
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
pub(super) enum Adjacently {
    A { a: u8 },
    B(String),
    C(u8, u8),
    Unit,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
pub(super) enum AdjacentlyOther {
    #[serde(skip_deserializing)]
    A(u8),
    B(u8),
    #[serde(other)]
    Other,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Duration")]
struct Remote {
    #[serde(getter = "Duration::as_secs")]
    secs: u64,
}

impl From<Remote> for Duration {
    fn from(it: Remote) -> Self {
        Self::from_secs(it.secs)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Far(#[serde(with = "Remote")] pub(super) Duration, pub(super) u8);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct New<T>(pub(super) T);
