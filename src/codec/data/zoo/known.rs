//! The types that serde knows: of std, tuples, numbers.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, LinkedList, VecDeque},
    ffi::{CString, OsString},
    marker::PhantomData,
    net::{IpAddr, SocketAddr},
    num::{NonZeroU8, Wrapping},
    ops::{Bound, Range},
    path::PathBuf,
    time::Duration,
};

use super::{
    animals::{Empty, New, Plain, Plainly, Unit},
    back, equal, there,
};

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
