//! Many shapes, deep shapes, and two that could be taken for one.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeTuple};

use super::{back, equal, there, unread};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Unit,
    New(Box<Tree>),
    Tuple(u8, String),
    Struct { a: Option<u8>, b: Vec<Tree> },
}

/// Two types have the same name: once with the same fields, once with others.
#[test]
fn types_of_one_name_are_not_confused() {
    mod one {
        #[derive(Clone, Debug, PartialEq, super::Serialize, super::Deserialize)]
        pub(super) struct Config {
            pub(super) a: u8,
            pub(super) b: u8,
        }
    }
    mod two {
        #[derive(Clone, Debug, PartialEq, super::Serialize, super::Deserialize)]
        pub(super) struct Config<T> {
            pub(super) a: T,
            pub(super) c: T,
        }
    }
    let one = one::Config { a: 1, b: 2 };
    let two = two::Config { a: 1_u8, c: 3 };
    let text = two::Config {
        a: "a".to_owned(),
        c: String::new(),
    };
    equal(vec![
        (one.clone(), two.clone(), text.clone()),
        (one.clone(), two.clone(), text),
    ]);
    unread::<_, two::Config<u8>>(&one, &["Config", r#"["a", "b"]"#, r#"["a", "c"]"#]);
    unread::<_, two::Config<u16>>(&two, &["field `a` of `Config`", "u8", "u16"]);
}

/// There are more shapes than one byte can number, and one is inside itself.
#[test]
fn many_shapes_and_deep_ones_come_back() {
    #[derive(Debug)]
    struct Long(usize);
    impl Serialize for Long {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut tuple = to.serialize_tuple(self.0)?;
            (0..self.0).try_for_each(|n| tuple.serialize_element(&(n as u64)))?;
            tuple.end()
        }
    }
    let all: Vec<_> = (0..300).map(Long).collect();
    let out = there(&(all, "end")).unwrap();
    assert!(
        back::<(Vec<[u64; 2]>, String)>(out)
            .unwrap_err()
            .is_invalid()
    );
    let tuples = (Long(2), (0..300).map(Long).collect::<Vec<_>>().len(), "end");
    let back: ([u64; 2], usize, String) = back(there(&tuples).unwrap()).unwrap();
    assert_eq!(back, ([0, 1], 300, "end".to_owned()));

    let mut deep = Tree::Unit;
    for n in 0..100 {
        deep = match n % 3 {
            0 => Tree::New(Box::new(deep)),
            _ => Tree::Struct {
                a: Some(n),
                b: vec![deep, Tree::Tuple(n, n.to_string())],
            },
        };
    }
    equal(deep);
}

macro_rules! wide {
    ($($name:ident)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        enum Wide { $($name(u8)),* }
        const WIDE: &[fn(u8) -> Wide] = &[$(Wide::$name),*];
    };
}

wide! {
    A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 B0 B1 B2 B3 B4 B5 B6 B7 B8 B9 C0 C1 C2 C3 C4 C5 C6 C7 C8 C9
    D0 D1 D2 D3 D4 D5 D6 D7 D8 D9 E0 E1 E2 E3 E4 E5 E6 E7 E8 E9 F0 F1 F2 F3 F4 F5 F6 F7 F8 F9
    G0 G1 G2 G3 G4 G5 G6 G7 G8 G9 H0 H1 H2 H3 H4 H5 H6 H7 H8 H9 I0 I1 I2 I3 I4 I5 I6 I7 I8 I9
    J0 J1 J2 J3 J4 J5 J6 J7 J8 J9 K0 K1 K2 K3 K4 K5 K6 K7 K8 K9 L0 L1 L2 L3 L4 L5 L6 L7 L8 L9
    M0 M1 M2 M3 M4 M5 M6 M7 M8 M9 N0 N1 N2 N3 N4 N5 N6 N7 N8 N9
}

#[test]
fn more_variants_than_one_byte_can_number_come_back() {
    let all = WIDE.iter().zip(0..).map(|(variant, n)| variant(n));
    equal(all.clone().chain(all).collect::<Vec<_>>());
}
