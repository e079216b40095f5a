//! Attributes of serde's derive, and the types that serde knows.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, LinkedList, VecDeque},
    ffi::{CString, OsString},
    fmt::Debug,
    marker::PhantomData,
    net::{IpAddr, SocketAddr},
    num::{NonZeroU8, Wrapping},
    ops::{Bound, Range},
    path::PathBuf,
    time::Duration,
};

use proptest::prelude::*;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned, IgnoredAny},
};

use super::{back, equal, refused, there, unread};

macro_rules! animals {
    ($($(#[$attr:meta])* $name:ident { $($(#[$field:meta])* $part:ident: $ty:ty,)* })*) => { $(
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        $(#[$attr])*
        struct $name { $($(#[$field])* $part: $ty,)* }
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
struct Pair(u8, #[serde(skip_serializing_if = "nothing", default)] u8);

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

/// Takes a value that it cannot read for none.
fn or_default<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    Ok(Plain::deserialize(from).map_or(0, |it| u8::try_from(it.a).unwrap_or(0)))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Plainly {
    Unit,
    New(Box<Plainly>),
    Tuple(u8, String),
    Struct { a: Option<u8>, b: Vec<Plainly> },
    Nothing(),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum SkipsVariant {
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
enum SkipsReadingVariant {
    #[serde(skip_deserializing)]
    A(u8),
    B(u8),
    C(u8),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum SkipsWritingVariant {
    #[serde(skip_serializing)]
    A(u8),
    B(u8),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    A(u8),
    B { b: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internally {
    A {
        a: u8,
    },
    B,
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacently {
    A { a: u8 },
    B(String),
    C(u8, u8),
    Unit,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum AdjacentlyOther {
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
struct Far(#[serde(with = "Remote")] Duration, u8);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct New<T>(T);

#[test]
fn what_serde_and_std_have_comes_back() {
    equal(Plain::default());
    equal(Plain {
        a: 7,
        b: "seven".into(),
        c: Some(None),
    });
    equal([None, Some(None), Some(Some(())), None]);
    equal((Unit, (), New(New(1_u8)), PhantomData::<u8>, Empty {}));
    equal((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN, isize::MIN));
    equal((u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX, usize::MAX));
    equal(('\u{10FFFF}', "", String::from("ß"), true, 1.5_f32, -0.0_f64).map_text());
    equal([[7_u16; 31]; 32]);
    equal((
        vec![Some("a".to_owned()), None],
        LinkedList::from([1_u8]),
        VecDeque::from([()]),
    ));
    equal(BTreeMap::from([
        ((1_u8, 'a'), vec![BTreeSet::from([1_i64])]),
        ((2, 'b'), vec![]),
    ]));
    equal(HashMap::from([
        (Some(Plainly::Unit).map(|_| 1_u8), Duration::MAX),
        (None, Duration::ZERO),
    ]));
    equal(BTreeMap::from([(New(u128::MAX).0, Wrapping(5_u8))]));
    equal((
        PathBuf::from("/a"),
        OsString::from("b"),
        CString::new("c").unwrap(),
    ));
    equal((
        NonZeroU8::MIN,
        Range {
            start: 1,
            end: 9_u64,
        },
    ));
    equal(["::1", "127.0.0.1"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    equal(["[::1]:1", "127.0.0.1:2"].map(|ip| ip.parse::<SocketAddr>().unwrap()));
    equal([Bound::Included(1_u8), Bound::Excluded(2), Bound::Unbounded]);
    equal([Ok(1_u8), Err("e".to_owned())]);
    equal((
        Box::new(1_u8),
        Cow::<'static, str>::Owned("x".into()),
        std::cell::Cell::new(1_u8),
    ));
}

#[test]
#[cfg_attr(miri, ignore = "Miri sees no files")]
fn a_time_comes_back() {
    equal(std::fs::metadata("/").unwrap().modified().unwrap());
}

/// A tuple of text that can be owned.
trait MapText {
    type Owned;
    fn map_text(self) -> Self::Owned;
}

impl MapText for (char, &str, String, bool, f32, f64) {
    type Owned = (char, String, String, bool, f32, f64);

    fn map_text(self) -> Self::Owned {
        (self.0, self.1.to_owned(), self.2, self.3, self.4, self.5)
    }
}

#[test]
fn no_bit_of_a_number_changes() {
    for bits in [0x7FC0_1234_u32, 0xFF80_0001, 0x8000_0000, 1] {
        let there_and_back: f32 = there(&f32::from_bits(bits)).and_then(back).unwrap();
        assert_eq!(there_and_back.to_bits(), bits);
        let bits = u64::from(bits) << 32 | 5;
        let there_and_back: f64 = there(&f64::from_bits(bits)).and_then(back).unwrap();
        assert_eq!(there_and_back.to_bits(), bits);
    }
}

#[test]
fn attributes_that_keep_all_fields_do_no_harm() {
    equal(Renamed {
        some_name: 1,
        b_b: 2,
        c: 3,
    });
    equal(Skips { a: 0, b: 1, c: 0 });
    equal(Transparent {
        inner: Plain::default(),
    });
    equal(With { a: 12, b: 3 });
    equal(Converted {
        a: 1,
        b: "b".into(),
    });
    equal(RenamesOneWayWithAlias { a: 1, b: 2 });
    equal(Far(Duration::from_secs(9), 1));
    equal(SkipsIf {
        a: Some(1),
        b: 2,
        c: vec![3],
    });
    equal(Pair(1, 2));
    equal([
        Plainly::Unit,
        Plainly::New(Box::new(Plainly::Nothing())),
        Plainly::Tuple(1, "t".into()),
        Plainly::Struct {
            a: None,
            b: vec![Plainly::Unit, Plainly::Unit],
        },
        Plainly::Struct {
            a: Some(1),
            b: vec![],
        },
    ]);
}

#[test]
fn a_skipped_variant_does_not_move_the_others() {
    equal([
        SkipsVariant::A(1),
        SkipsVariant::C(2),
        SkipsVariant::D(3),
        SkipsVariant::E { a: 1, b: 2 },
    ]);
    equal([SkipsReadingVariant::B(1), SkipsReadingVariant::C(2)]);
    equal(SkipsWritingVariant::B(1));
    unread::<_, SkipsReadingVariant>(&SkipsReadingVariant::A(1), &["`A`", "SkipsReadingVariant"]);
    refused(&SkipsWritingVariant::A(1), &["SkipsWritingVariant"]);
    refused(&SkipsVariant::_B, &["SkipsVariant"]);
}

#[test]
fn a_field_that_is_left_out_is_refused_before_it_is_sent() {
    let texts = [
        "`SkipsIf` leaves out its field `a`",
        "skip_serializing_if",
        "serde_json",
    ];
    refused(
        &SkipsIf {
            a: None,
            b: 0,
            c: vec![0],
        },
        &texts,
    );
    refused(
        &vec![Some(SkipsIf {
            a: Some(1),
            b: 0,
            c: vec![],
        })],
        &["leaves out its field `c`"],
    );
    refused(
        &SkipsVariant::E { a: 0, b: 2 },
        &["`SkipsVariant` leaves out its field `a`"],
    );
    refused(
        &New(BTreeMap::from([(1, SkipsIf::default())])),
        &["`SkipsIf` leaves out its field `a`"],
    );
}

#[test]
fn what_is_written_and_read_differently_is_refused() {
    unread::<_, SkipsWriting>(
        &SkipsWriting { a: 1, b: 2 },
        &["`SkipsWriting`", "skip_serializing"],
    );
    unread::<_, SkipsWritingLast>(&SkipsWritingLast { a: 1, b: 2 }, &["skip_serializing"]);
    unread::<_, SkipsReading>(
        &SkipsReading { a: 1, b: 2 },
        &["SkipsReading", r#"["a", "b"]"#],
    );
    unread::<_, SkipsEach>(
        &SkipsEach { a: 1, b: 2, c: 3 },
        &[r#"["a", "c"]"#, r#"["b", "c"]"#],
    );
    unread::<_, RenamesOneWay>(&RenamesOneWay { a: 1, b: 2 }, &[r#"["x", "b"]"#]);
    unread::<_, WritesOther>(
        &WritesOther { a: 1, b: 2 },
        &["field `a` of `WritesOther`", "str", "u32"],
    );
    unread::<_, ReadsOther>(
        &ReadsOther { a: 1, b: 2 },
        &["field `a` of `ReadsOther`", "u32", "str"],
    );
    unread::<_, Pair>(&Pair(1, 0), &["Pair"]);
    // Fields of one name and of another order, or of another kind.
    unread::<_, Plain>(&Renamed::default(), &["Plain"]);
    unread::<_, Plainly>(&Adjacently::Unit, &["Plainly"]);
}

#[test]
fn what_needs_a_format_that_describes_itself_says_so() {
    let needs = ["needs a format that describes itself", "serde_json"];
    unread::<_, Untagged>(&Untagged::A(1), &needs);
    unread::<_, Untagged>(&Untagged::B { b: "b".into() }, &needs);
    unread::<_, Internally>(&Internally::A { a: 1 }, &needs);
    unread::<_, Internally>(&Internally::B, &needs);
    unread::<_, (u8, New<IgnoredAny>)>(&(1_u8, New(2_u8)), &needs);
    let flat = Flattens {
        a: 1,
        rest: Plain::default(),
    };
    refused(&flat, &["flatten", "Flattens"]);
    refused(&FlattensMap::default(), &["flatten", "FlattensMap"]);
    let adjacent = [
        Adjacently::A { a: 1 },
        Adjacently::B("b".into()),
        Adjacently::C(1, 2),
        Adjacently::Unit,
    ];
    for tagged in &adjacent {
        unread::<_, Adjacently>(tagged, &needs);
    }
    for other in [AdjacentlyOther::A(1), AdjacentlyOther::B(2)] {
        unread::<_, AdjacentlyOther>(&other, &needs);
    }
}

#[test]
fn a_value_that_is_half_read_is_an_error_though_its_type_goes_on() {
    #[derive(Debug, Serialize)]
    struct Writes {
        a: (u8, u8),
        b: u8,
    }
    unread::<_, Lenient>(&Writes { a: (1, 2), b: 3 }, &["Lenient"]);
}

fn trees() -> impl Strategy<Value = Plainly> {
    let leaf = prop_oneof![
        Just(Plainly::Unit),
        Just(Plainly::Nothing()),
        (any::<u8>(), ".*").prop_map(|(n, text)| Plainly::Tuple(n, text)),
    ];
    leaf.prop_recursive(4, 64, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|it| Plainly::New(Box::new(it))),
            (any::<Option<u8>>(), prop::collection::vec(inner, 0..4))
                .prop_map(|(a, b)| Plainly::Struct { a, b }),
        ]
    })
}

/// Equal, or an error.
fn honest<T: Serialize + DeserializeOwned + Debug + PartialEq>(
    value: &T,
) -> Result<bool, TestCaseError> {
    match there(value).and_then(back::<T>) {
        Ok(back) => prop_assert_eq!(&back, value),
        Err(error) => {
            prop_assert!(error.is_invalid());
            return Ok(false);
        }
    }
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 128 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_value_is_equal_or_an_error(
        a: u8,
        b: u8,
        c: u8,
        text: String,
        maybe: Option<u8>,
        many: Vec<u8>,
        tree in trees(),
    ) {
        let skips = SkipsIf { a: maybe, b, c: many.clone() };
        let kept = maybe.is_some() && !many.is_empty();
        prop_assert_eq!(honest(&skips)?, kept);
        prop_assert_eq!(honest(&vec![(skips.clone(), a), (skips, b)])?, kept);
        prop_assert!(honest(&tree)?);
        prop_assert!(honest(&(tree.clone(), vec![Some(tree)], &text, &many).map_owned())?);
        prop_assert_eq!(honest(&SkipsWriting { a, b })?, false);
        prop_assert_eq!(honest(&SkipsReading { a, b })?, false);
        prop_assert_eq!(honest(&SkipsEach { a, b, c })?, false);
        prop_assert_eq!(honest(&RenamesOneWay { a, b })?, false);
        prop_assert_eq!(honest(&Pair(a, b))?, b != 0);
        prop_assert_eq!(honest(&SkipsVariant::E { a, b })?, a != 0);
        for variant in [SkipsVariant::A(a), SkipsVariant::C(b), SkipsVariant::D(c)] {
            prop_assert!(honest(&variant)?);
        }
        for loose in [Untagged::A(a), Untagged::B { b: text.clone() }] {
            prop_assert!(!honest(&loose)?);
        }
        for tagged in [Adjacently::A { a }, Adjacently::B(text), Adjacently::C(b, c)] {
            prop_assert!(!honest(&tagged)?);
        }
        prop_assert_eq!(honest(&Internally::A { a })?, false);
    }
}

trait MapOwned {
    type Owned;
    fn map_owned(self) -> Self::Owned;
}

impl<A, B> MapOwned for (A, B, &String, &Vec<u8>) {
    type Owned = (A, B, String, Vec<u8>);

    fn map_owned(self) -> Self::Owned {
        (self.0, self.1, self.2.clone(), self.3.clone())
    }
}
