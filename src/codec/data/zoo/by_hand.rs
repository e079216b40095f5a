//! `Serialize` and `Deserialize` written by hand.

use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor},
    ser::{Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple},
};

use super::{equal, refused, unread};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct New<T>(T);

#[derive(Serialize)]
struct Field {
    a: u8,
}

/// Makes a type that is written and read by these two functions.
macro_rules! by_hand {
    ($name:ident, $to:ident => $write:expr, $from:ident => $read:expr) => {
        #[derive(Clone, Debug, PartialEq)]
        struct $name;

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, $to: S) -> Result<S::Ok, S::Error> {
                $write
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>($from: D) -> Result<Self, D::Error> {
                #[allow(clippy::redundant_closure_call)]
                let read: Result<(), D::Error> = $read;
                read.map(|()| Self)
            }
        }
    };
}

by_hand!(Anything, to => to.serialize_u8(1), from => {
    struct Any;
    impl Visitor<'_> for Any {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }
        fn visit_u8<E>(self, _: u8) -> Result<(), E> {
            Ok(())
        }
    }
    from.deserialize_any(Any)
});

/// A type that is written in an odd way, chosen by its number.
#[derive(Debug)]
struct Odd(u8);

impl Serialize for Odd {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => to.serialize_seq(None)?.end(),
            1 => to.serialize_map(None)?.end(),
            2 => to.serialize_seq(Some(1))?.end(),
            3 => to.serialize_map(Some(1))?.end(),
            4 => to.serialize_tuple(1)?.end(),
            5 => to.serialize_struct("Odd", 1)?.end(),
            6 => {
                let mut seq = to.serialize_seq(Some(0))?;
                seq.serialize_element(&1_u8)?;
                seq.end()
            }
            7 => {
                let mut map = to.serialize_map(Some(2))?;
                map.serialize_key(&1_u8)?;
                map.serialize_key(&2_u8)?;
                map.end()
            }
            8 => {
                let mut map = to.serialize_map(Some(1))?;
                map.serialize_value(&1_u8)?;
                map.end()
            }
            9 => {
                let mut map = to.serialize_map(Some(1))?;
                map.serialize_key(&1_u8)?;
                map.end()
            }
            10 => {
                let mut tuple = to.serialize_tuple(2)?;
                // This goes on after an error.
                let _ = tuple.serialize_element(&Failing);
                tuple.serialize_element(&1_u8)?;
                tuple.serialize_element(&1_u8)?;
                tuple.end()
            }
            _ => {
                let mut fields = to.serialize_struct("Odd", 1)?;
                fields.serialize_field("a", &1_u8)?;
                fields.serialize_field("b", &1_u8)?;
                fields.end()
            }
        }
    }
}

struct Failing;

impl Serialize for Failing {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("no"))
    }
}

#[test]
fn wrong_numbers_of_elements_are_refused_before_they_are_sent() {
    for odd in 0..=11 {
        refused(&New(Odd(odd)), &["Odd"]);
    }
}

/// Tells whether it is read as this type and has this value.
fn is<'de, D: Deserializer<'de>, T: Deserialize<'de> + PartialEq + Debug>(
    from: D,
    value: &T,
) -> Result<(), D::Error> {
    let read = T::deserialize(from)?;
    assert_eq!(read, *value, "another value arrived");
    Ok(())
}

by_hand!(Number, to => to.serialize_u8(200), from => is(from, &200_u32));
by_hand!(Sign, to => to.serialize_i32(5), from => is(from, &5_u32));
by_hand!(Float, to => to.serialize_u64(5), from => is(from, &5_f64));
by_hand!(Bare, to => to.serialize_u8(1), from => is(from, &Some(1_u8)));
by_hand!(Optional, to => to.serialize_some(&1_u8), from => is(from, &1_u8));
by_hand!(List, to => [1_u8, 2].serialize(to), from => is(from, &vec![1_u8, 2]));
by_hand!(Array, to => vec![1_u8, 2].serialize(to), from => is(from, &[1_u8, 2]));
by_hand!(Shorter, to => (1_u8, 2_u8, 3_u8).serialize(to), from => is(from, &(1_u8, 2_u8)));
by_hand!(Longer, to => (1_u8, 2_u8).serialize(to), from => is(from, &(1_u8, 2_u8, 3_u8)));
by_hand!(Fields, to => Field { a: 1 }.serialize(to), from => is(from, &(1_u8,)));
by_hand!(NotRead, to => to.serialize_u8(1), from => { let _ = from; Ok(()) });
by_hand!(NotWritten, to => to.serialize_unit(), from => is(from, &0_u8));
by_hand!(Letter, to => to.serialize_char('a'), from => is(from, &97_u32));
by_hand!(Text, to => to.serialize_str("a"), from => is(from, &vec![97_u8]));
by_hand!(Table, to => BTreeMap::from([(1_u8, 2_u8)]).serialize(to), from => is(from, &vec![(1_u8, 2_u8)]));

#[test]
fn hand_written_code_that_reads_another_kind_is_refused() {
    unread::<_, Anything>(&Anything, &["needs a format that describes itself"]);
    unread::<_, Number>(&Number, &["u8 was written where u32"]);
    unread::<_, Sign>(&Sign, &["i32", "u32"]);
    unread::<_, Float>(&Float, &["u64", "f64"]);
    unread::<_, Bare>(&Bare, &["u8", "option"]);
    unread::<_, Optional>(&Optional, &["option", "u8"]);
    unread::<_, List>(&List, &["tuple", "seq"]);
    unread::<_, Array>(&Array, &["seq", "tuple"]);
    unread::<_, Shorter>(&Shorter, &["3 elements", "2"]);
    unread::<_, Longer>(&Longer, &["2 elements", "3"]);
    unread::<_, Fields>(&Fields, &["struct", "tuple"]);
    unread::<_, NotRead>(&NotRead, &["not read"]);
    unread::<_, NotWritten>(&NotWritten, &["unit", "u8"]);
    unread::<_, Letter>(&Letter, &["char", "u32"]);
    unread::<_, Text>(&Text, &["str", "seq"]);
    unread::<_, Table>(&Table, &["map", "seq"]);
}

by_hand!(Octets, to => to.serialize_bytes(&[1, 2]), from => is(from, &vec![1_u8, 2]));

#[derive(Clone, Debug, PartialEq)]
struct Raw(Vec<u8>);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Octets;
        impl Visitor<'_> for Octets {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Raw, E> {
                Ok(Raw(bytes.to_vec()))
            }
        }
        from.deserialize_byte_buf(Octets)
    }
}

/// Elements of several forms, and a table with values of several forms.
#[derive(Clone, Debug, PartialEq)]
struct Mixed {
    a: u8,
    b: String,
    c: u8,
}

impl Serialize for Mixed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(3))?;
        map.serialize_entry("a", &self.a)?;
        map.serialize_entry("b", &self.b)?;
        map.serialize_entry("c", &[self.c])?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Mixed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Mixed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("entries")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Mixed, A::Error> {
                let none = || de::Error::missing_field("x");
                let a: (&str, u8) = map.next_entry()?.ok_or_else(none)?;
                let b: (&str, String) = map.next_entry()?.ok_or_else(none)?;
                let c: (&str, [u8; 1]) = map.next_entry()?.ok_or_else(none)?;
                assert_eq!((a.0, b.0, c.0), ("a", "b", "c"));
                Ok(Mixed {
                    a: a.1,
                    b: b.1,
                    c: c.1[0],
                })
            }
        }
        from.deserialize_map(Entries)
    }
}

by_hand!(Several, to => {
    let mut seq = to.serialize_seq(Some(4))?;
    seq.serialize_element(&1_u8)?;
    seq.serialize_element(&1_u8)?;
    seq.serialize_element("text")?;
    seq.serialize_element(&1_u8)?;
    seq.end()
}, from => {
    struct Elements;
    impl<'de> Visitor<'de> for Elements {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("elements")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
            assert_eq!(seq.next_element::<u8>()?, Some(1));
            assert_eq!(seq.next_element::<u8>()?, Some(1));
            assert_eq!(seq.next_element::<&str>()?, Some("text"));
            assert_eq!(seq.next_element::<u8>()?, Some(1));
            assert_eq!(seq.next_element::<u8>()?, None);
            Ok(())
        }
    }
    from.deserialize_seq(Elements)
});

#[test]
fn what_can_be_read_in_another_way_is() {
    equal((Octets, Raw(vec![1, 2]), Raw(vec![]), Several));
    equal([
        Mixed {
            a: 1,
            b: "b".into(),
            c: 3,
        },
        Mixed {
            a: 4,
            b: String::new(),
            c: 6,
        },
    ]);
}
