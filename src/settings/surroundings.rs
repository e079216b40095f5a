//! Directory, umask, names.

use std::{
    ffi::{CString, OsStr},
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
    sync::Arc,
};

use nix::{
    errno::Errno,
    sys::stat::{self, Mode, fstat},
    unistd::{chdir, fchdir},
};

use super::{Setting, Settings, What};
use crate::sys::{environment, image};

impl Settings {
    pub(crate) fn current_dir(&mut self, dir: impl AsRef<Path>) {
        let dir = dir.as_ref().as_os_str().as_bytes();
        self.put(Setting::new(What::CurrentDir).text(dir));
    }

    /// Tells whether the directory depends on where the process begins. With a new root
    /// it does not: a path is one inside the root.
    pub(crate) fn is_dir_relative(&self) -> bool {
        let is_absolute = |dir: &Setting| dir.texts.concat().starts_with(b"/");
        !self.has(What::Root) && !self.of(What::CurrentDir).any(is_absolute)
    }

    /// Makes the process begin in this directory, from which a relative path starts.
    pub(crate) fn begin_in(&mut self, here: OwnedFd) {
        let dir = self.take(What::CurrentDir);
        let dir = dir.unwrap_or_else(|| Setting::new(What::CurrentDir));
        self.put(dir.fd(Arc::new(here)));
    }

    pub(crate) fn umask(&mut self, mask: u32) {
        self.put(Setting::new(What::Umask).number(mask));
    }

    pub(crate) fn title(&mut self, title: impl AsRef<OsStr>) {
        self.put(Setting::new(What::Title).text(title.as_ref().as_bytes()));
    }

    pub(crate) fn thread_name(&mut self, name: impl AsRef<OsStr>) {
        self.put(Setting::new(What::ThreadName).text(name.as_ref().as_bytes()));
    }
}

pub(super) fn current_dir(setting: &Setting, _: &Settings) -> io::Result<()> {
    let (from, path) = (setting.fds.first(), setting.texts.first());
    if from.is_none() && path.is_none() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    from.map_or(Ok(()), |dir| enter(dir))?;
    path.map_or(Ok(()), |path| Ok(chdir(OsStr::from_bytes(path))?))
}

/// Enters a directory. A process that may not search it may be there already.
fn enter(dir: &OwnedFd) -> io::Result<()> {
    match fchdir(dir) {
        Err(Errno::EACCES) if is_same(dir, &environment::own_dir()?)? => Ok(()),
        result => Ok(result?),
    }
}

fn is_same(one: &OwnedFd, other: &OwnedFd) -> io::Result<bool> {
    let (one, other) = (fstat(one)?, fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

pub(super) fn umask(setting: &Setting, _: &Settings) -> io::Result<()> {
    stat::umask(Mode::from_bits_truncate(setting.one()?));
    Ok(())
}

pub(super) fn title(setting: &Setting, _: &Settings) -> io::Result<()> {
    image::write_title(&[&setting.texts.concat()]);
    Ok(())
}

/// Sets the name, which the kernel cuts to 15 bytes.
pub(super) fn thread_name(setting: &Setting, _: &Settings) -> io::Result<()> {
    let name = CString::new(setting.texts.concat())?;
    Ok(nix::sys::prctl::set_name(&name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_relative_unless_it_begins_at_a_root() {
        let mut settings = Settings::default();
        assert!(settings.is_dir_relative());
        settings.current_dir("a/b");
        assert!(settings.is_dir_relative());
        settings.begin_in(environment::own_dir().unwrap());
        let dir = settings.of(What::CurrentDir).next().unwrap();
        assert_eq!((dir.texts.concat(), dir.fds.len()), (b"a/b".to_vec(), 1));
        settings.current_dir("/a");
        assert!(!settings.is_dir_relative());
        let mut settings = Settings::default();
        settings.chroot("/");
        assert!(!settings.is_dir_relative());
    }

    #[test]
    fn what_says_nothing_is_refused() {
        let none = Settings::default();
        assert!(current_dir(&Setting::new(What::CurrentDir), &none).is_err());
        assert!(umask(&Setting::new(What::Umask), &none).is_err());
        let wrong = Setting::new(What::ThreadName).text("a\0b");
        assert!(thread_name(&wrong, &none).is_err());
    }
}
