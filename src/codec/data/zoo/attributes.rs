//! Attributes of serde's derive.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use proptest::prelude::*;
use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{animals::*, back, equal, refused, there, unread};

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
    // These have the same field names in another order, or of another kind.
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

/// Checks that the value arrives equal or that there is an error.
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
