//! The environment.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt,
};

use super::{Setting, Settings, What, setting::quoted};
use crate::sys::{environment, single::Single};

/// The number of a change of the environment. Names follow, each with its value behind
/// it.
const SET: i64 = 0;
/// Names follow.
const REMOVE: i64 = 1;
/// Nothing follows: all variables go.
const CLEAR: i64 = 2;

impl Settings {
    pub(crate) fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        self.envs([(key, value)]);
    }

    pub(crate) fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) {
        let mut setting = Setting::new(What::Environment).number(SET);
        for (key, value) in vars {
            let (key, value) = (key.as_ref().as_bytes(), value.as_ref().as_bytes());
            setting = setting.text(key).text(value);
        }
        self.add(setting);
    }

    pub(crate) fn env_remove(&mut self, key: impl AsRef<OsStr>) {
        let key = key.as_ref().as_bytes();
        self.add(Setting::new(What::Environment).number(REMOVE).text(key));
    }

    pub(crate) fn env_clear(&mut self) {
        self.put(Setting::new(What::Environment).number(CLEAR));
    }

    /// Records what these variables become by the changes, in place of the changes. If
    /// a name or a value is impossible, the changes stay, to say why.
    pub(crate) fn settle_variables(
        &mut self,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) {
        if let Some(whole) = self.changed(variables) {
            self.remove(What::Environment);
            self.put(Setting::new(What::Variables).text(whole));
        }
    }

    /// Takes the settled variables out: `NAME=value` and a NUL for each.
    pub(crate) fn take_variables(&mut self) -> Option<Vec<u8>> {
        self.take(What::Variables)?.texts.into_iter().next()
    }

    /// Gives what these variables are after the changes; `None` if a name or a value is
    /// impossible.
    fn changed(&self, variables: impl Iterator<Item = (OsString, OsString)>) -> Option<Vec<u8>> {
        let mut block = Vec::with_capacity(4096);
        if !self.has(What::Environment) {
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
        for change in self.of(What::Environment) {
            match change.numbers[..] {
                [CLEAR] => all.clear(),
                [REMOVE] => change.texts.iter().for_each(|key| {
                    all.remove(&key[..]);
                }),
                _ => {
                    for pair in change.texts.chunks(2) {
                        let [key, value] = pair else { return None };
                        // These are the rules of setenv(3).
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
}

fn push(block: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    block.extend_from_slice(key);
    block.push(b'=');
    block.extend_from_slice(value);
    block.push(0);
}

/// Gives the names and values of settled variables.
fn pairs(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    block.split(|byte| *byte == 0).filter_map(|variable| {
        let at = variable.iter().position(|byte| *byte == b'=')?;
        Some((&variable[..at], &variable[at + 1..]))
    })
}

pub(super) fn change(setting: &Setting, _: &Settings) -> io::Result<()> {
    let (texts, single) = (&setting.texts, Single::check()?);
    match setting.numbers[..] {
        [CLEAR] => environment::clear(&single),
        [REMOVE] => texts
            .iter()
            .try_for_each(|key| environment::remove(&single, key)),
        [SET] => texts.chunks(2).try_for_each(|pair| match pair {
            [key, value] => environment::set(&single, key, value),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Shows only the names, because values may be secret.
pub(super) fn show_names(setting: &Setting) -> io::Result<String> {
    let names = setting.texts.iter().step_by(2).map(|name| quoted(name));
    Ok(names.collect::<Vec<_>>().join(", "))
}

pub(super) fn replace(setting: &Setting, _: &Settings) -> io::Result<()> {
    let single = Single::check()?;
    environment::clear(&single)?;
    for (key, value) in setting.texts.iter().flat_map(|block| pairs(block)) {
        // What the program itself could not set is no variable.
        let _ = environment::set(&single, key, value);
    }
    Ok(())
}

/// Shows nothing: the values may be secret, and the names are many.
pub(super) fn show_nothing(_: &Setting) -> io::Result<String> {
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the variables `B=2` and `A=1=1` after these changes.
    fn changed(change: impl FnOnce(&mut Settings)) -> Option<String> {
        let variables = [("B", "2"), ("A", "1=1")].map(|(key, value)| (key.into(), value.into()));
        let mut settings = Settings::default();
        change(&mut settings);
        settings.settle_variables(variables.into_iter());
        let block = settings.take_variables()?;
        assert!(settings.is_empty(), "the changes are in it");
        Some(String::from_utf8(block).unwrap())
    }

    fn set(number: i64, texts: &[&str]) -> Setting {
        let setting = Setting::new(What::Environment).number(number);
        texts
            .iter()
            .fold(setting, |setting, text| setting.text(*text))
    }

    #[test]
    fn nothing_is_changed_beside_another_thread() {
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || wait.recv());
        let none = Settings::default();
        let key = "ZYGOTE_NO_SUCH_VARIABLE";
        let error = change(&set(SET, &[key, "1"]), &none).unwrap_err();
        assert!(error.to_string().contains("one thread"), "{error}");
        assert!(change(&set(REMOVE, &[key]), &none).is_err());
        assert!(std::env::var_os(key).is_none());
        drop(end);
        assert!(other.join().unwrap().is_err());
    }

    #[test]
    fn what_is_said_changes_what_there_was() {
        let of = |change: fn(&mut Settings)| changed(change).unwrap();
        assert_eq!(of(|_| ()), "B=2\0A=1=1\0");
        assert_eq!(
            of(|all| all.envs([("C", "3"), ("A", "")])),
            "A=\0B=2\0C=3\0"
        );
        assert_eq!(
            of(|all| {
                all.env_remove("B");
                all.env_remove("X");
            }),
            "A=1=1\0"
        );
        assert_eq!(
            of(|all| {
                all.env_clear();
                all.env("C", "3");
            }),
            "C=3\0"
        );
        assert_eq!(
            of(|all| {
                all.env("C", "3");
                all.env_clear();
            }),
            ""
        );
    }

    #[test]
    fn what_cannot_be_is_left_to_who_says_why() {
        for (key, value) in [("", "1"), ("A=B", "1"), ("A\0", "1"), ("A", "\0")] {
            let wrong = changed(|all| all.env(key, value));
            assert_eq!(wrong, None, "{key:?} {value:?}");
        }
        assert_eq!(changed(|all| all.add(set(SET, &["A"]))), None);
    }

    #[test]
    fn variables_come_apart_again() {
        let block = changed(|all| all.env("C", "3")).unwrap();
        let all: Vec<_> = pairs(block.as_bytes()).collect();
        let expected = [("A", "1=1"), ("B", "2"), ("C", "3")];
        assert_eq!(
            all,
            expected.map(|(key, value)| (key.as_bytes(), value.as_bytes()))
        );
    }

    #[test]
    fn a_text_has_no_secret() {
        let shown = show_names(&set(SET, &["KEY", "secret", "OTHER", "secret"]));
        assert_eq!(shown.unwrap(), r#""KEY", "OTHER""#);
    }

    #[test]
    fn what_is_no_change_is_refused() {
        let none = Settings::default();
        for wrong in [
            set(4, &[]),
            set(SET, &["A"]),
            Setting::new(What::Environment),
        ] {
            assert!(change(&wrong, &none).is_err(), "{wrong:?}");
        }
    }
}
