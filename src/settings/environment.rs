//! The environment: what is done with the names and values of its settings, and
//! the whole of it in one piece.

use std::{collections::BTreeMap, ffi::OsString, os::unix::ffi::OsStrExt};

use super::Setting;

/// Names, each with its value behind it.
pub(crate) const SET: i64 = 0;
/// Names.
pub(crate) const REMOVE: i64 = 1;
/// Nothing follows: all variables go.
pub(crate) const CLEAR: i64 = 2;
/// One text, `NAME=value` and a NUL for each: these and no others.
pub(crate) const WHOLE: i64 = 3;

/// What these variables are after these settings, as [`WHOLE`]; `None` where a
/// name or a value cannot be.
pub(crate) fn whole(
    variables: impl Iterator<Item = (OsString, OsString)>,
    said: &[Setting],
) -> Option<Vec<u8>> {
    let mut block = Vec::with_capacity(4096);
    if said.is_empty() {
        for (key, value) in variables {
            push(&mut block, key.as_bytes(), value.as_bytes());
        }
        return Some(block);
    }
    let variables: Vec<_> = variables.collect();
    let all = variables
        .iter()
        .map(|(key, value)| (key.as_bytes(), value.as_bytes()));
    let mut all: BTreeMap<&[u8], &[u8]> = all.collect();
    for setting in said {
        match setting.numbers[..] {
            [CLEAR] => all.clear(),
            [REMOVE] => setting.texts.iter().for_each(|key| {
                all.remove(&key[..]);
            }),
            _ => {
                for pair in setting.texts.chunks(2) {
                    let [key, value] = pair else { return None };
                    // As setenv(3) has it.
                    let is_name = !key.is_empty() && !key.contains(&b'=');
                    if !is_name || key.contains(&0) || value.contains(&0) {
                        return None;
                    }
                    all.insert(key, value);
                }
            }
        }
    }
    for (key, value) in all {
        push(&mut block, key, value);
    }
    Some(block)
}

fn push(block: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    block.extend_from_slice(key);
    block.push(b'=');
    block.extend_from_slice(value);
    block.push(0);
}

/// The names and values of a [`WHOLE`].
pub(crate) fn pairs(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    block.split(|byte| *byte == 0).filter_map(|variable| {
        let at = variable.iter().position(|byte| *byte == b'=')?;
        Some((&variable[..at], &variable[at + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::What, *};

    fn setting(number: i64, texts: &[&str]) -> Setting {
        let setting = Setting::new(What::Environment).number(number);
        texts
            .iter()
            .fold(setting, |setting, text| setting.text(*text))
    }

    fn of(said: &[Setting]) -> Option<String> {
        let variables = [("B", "2"), ("A", "1=1")].map(|(key, value)| (key.into(), value.into()));
        whole(variables.into_iter(), said).map(|block| String::from_utf8(block).unwrap())
    }

    #[test]
    fn what_is_said_changes_what_there_was() {
        assert_eq!(of(&[]).unwrap(), "B=2\0A=1=1\0");
        let set = setting(SET, &["C", "3", "A", ""]);
        assert_eq!(of(&[set]).unwrap(), "A=\0B=2\0C=3\0");
        let remove = setting(REMOVE, &["B", "X"]);
        assert_eq!(of(&[remove]).unwrap(), "A=1=1\0");
        let clear = setting(CLEAR, &[]);
        assert_eq!(
            of(&[clear.clone(), setting(SET, &["C", "3"])]).unwrap(),
            "C=3\0"
        );
        assert_eq!(of(&[setting(SET, &["C", "3"]), clear]).unwrap(), "");
    }

    #[test]
    fn what_cannot_be_is_left_to_who_says_why() {
        for wrong in [["", "1"], ["A=B", "1"], ["A\0", "1"], ["A", "\0"]] {
            assert_eq!(of(&[setting(SET, &wrong)]), None, "{wrong:?}");
        }
        assert_eq!(of(&[setting(SET, &["A"])]), None);
    }

    #[test]
    fn the_whole_comes_apart_again() {
        let block = of(&[setting(SET, &["C", "3"])]).unwrap();
        let all: Vec<_> = pairs(block.as_bytes()).collect();
        let expected = [("A", "1=1"), ("B", "2"), ("C", "3")];
        assert_eq!(
            all,
            expected.map(|(key, value)| (key.as_bytes(), value.as_bytes()))
        );
    }
}
