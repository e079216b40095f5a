//! Who a process is and what it may do: user, groups, capabilities.

use std::io;

use nix::{
    sys::prctl,
    unistd::{Gid, Uid, setgroups, setresgid, setresuid},
};

use super::{Setting, Settings, What, capability::Capability};
use crate::sys::identity;

impl Settings {
    pub(crate) fn uid(&mut self, uid: u32) {
        self.put(Setting::new(What::Uid).number(uid));
    }

    pub(crate) fn gid(&mut self, gid: u32) {
        self.put(Setting::new(What::Gid).number(gid));
    }

    pub(crate) fn groups(&mut self, groups: impl IntoIterator<Item = u32>) {
        let setting = Setting::new(What::Groups);
        self.put(groups.into_iter().fold(setting, Setting::number));
    }

    pub(crate) fn capabilities(&mut self, keep: impl IntoIterator<Item = Capability>) {
        let keep = keep.into_iter();
        let mask = keep.fold(0, |mask, it| mask | bit(it));
        self.put(Setting::new(What::Capabilities).number(mask));
    }

    pub(crate) fn dumpable(&mut self, dumpable: bool) {
        self.put(Setting::new(What::Dumpable).number(dumpable));
    }

    pub(crate) fn no_new_privs(&mut self, no_new_privs: bool) {
        match no_new_privs {
            true => self.put(Setting::new(What::NoNewPrivs)),
            false => self.remove(What::NoNewPrivs),
        }
    }
}

/// Gives its bit in the kernel's sets.
fn bit(capability: Capability) -> i64 {
    1 << (capability as u8)
}

pub(super) fn groups(setting: &Setting, _: &Settings) -> io::Result<()> {
    let groups: Vec<Gid> = setting.all()?.into_iter().map(Gid::from_raw).collect();
    Ok(setgroups(&groups)?)
}

/// Reads an id. One of all ones is refused: to the kernel it means "leave it as it is".
fn id(setting: &Setting) -> io::Result<u32> {
    match setting.one()? {
        u32::MAX => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no id")),
        id => Ok(id),
    }
}

pub(super) fn gid(setting: &Setting, _: &Settings) -> io::Result<()> {
    let gid = Gid::from_raw(id(setting)?);
    Ok(setresgid(gid, gid, gid)?)
}

/// Sets the user. If no groups are set, a process that root gives away loses root's
/// groups, as with std's `Command`.
pub(super) fn uid(setting: &Setting, all: &Settings) -> io::Result<()> {
    if Uid::current().is_root() && !all.has(What::Groups) {
        setgroups(&[])?;
    }
    if all.has(What::Capabilities) {
        // The change of the user would empty the permitted set.
        prctl::set_keepcaps(true)?;
    }
    let uid = Uid::from_raw(id(setting)?);
    Ok(setresuid(uid, uid, uid)?)
}

pub(super) fn capabilities(setting: &Setting, _: &Settings) -> io::Result<()> {
    let keep: i64 = setting.one()?;
    identity::keep_capabilities(keep.cast_unsigned())?;
    Ok(prctl::set_keepcaps(false)?)
}

pub(super) fn show_capabilities(setting: &Setting) -> io::Result<String> {
    let mask: i64 = setting.one()?;
    let kept = Capability::ALL.iter().filter(|it| mask & bit(**it) != 0);
    Ok(kept.map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

pub(super) fn dumpable(setting: &Setting, _: &Settings) -> io::Result<()> {
    Ok(prctl::set_dumpable(setting.one::<i64>()? != 0)?)
}

pub(super) fn no_new_privs(_: &Setting, _: &Settings) -> io::Result<()> {
    Ok(prctl::set_no_new_privs()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_the_bits_of_a_number_and_come_back_as_names() {
        let of = |keep: &[Capability]| {
            let mut settings = Settings::default();
            settings.capabilities(keep.iter().copied());
            let setting = settings.of(What::Capabilities).next().cloned().unwrap();
            (
                setting.one::<i64>().unwrap(),
                show_capabilities(&setting).unwrap(),
            )
        };
        assert_eq!(of(&[]), (0, String::new()));
        let twice = [Capability::Kill, Capability::Chown, Capability::Kill];
        assert_eq!(of(&twice), (0b10_0001, "CAP_CHOWN, CAP_KILL".to_owned()));
        let (all, names) = of(Capability::ALL);
        assert_eq!(all.count_ones(), 41);
        assert_eq!(names.split(", ").count(), 41);
    }

    #[test]
    fn what_is_taken_back_is_not_recorded() {
        let mut settings = Settings::default();
        settings.no_new_privs(true);
        assert!(settings.has(What::NoNewPrivs));
        settings.no_new_privs(false);
        assert!(settings.is_empty());
    }

    /// Each is refused before the kernel is asked.
    #[test]
    fn what_is_no_id_is_refused() {
        let mut settings = Settings::default();
        settings.uid(u32::MAX);
        settings.gid(u32::MAX);
        for what in [What::Uid, What::Gid] {
            let error = id(settings.of(what).next().unwrap()).unwrap_err();
            assert_eq!(error.to_string(), "it is no id");
        }
        for wrong in [
            Setting::new(What::Gid),
            Setting::new(What::Gid).number(-1),
            Setting::new(What::Gid).number(0).number(0),
        ] {
            assert!(gid(&wrong, &settings).is_err(), "{wrong:?}");
        }
        let wrong = Setting::new(What::Groups).number(-1);
        assert!(groups(&wrong, &settings).is_err());
    }
}
