//! Where a process stands: cgroup, session, group, terminal, root directory.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use nix::unistd::{Pid, chdir, setpgid};

use super::{Setting, Settings, What, namespaces::Namespaces, tree};
use crate::sys::place;

/// A cgroup, for [`Process::cgroup`](crate::Process::cgroup): the path of its
/// directory, or a descriptor of that (`O_PATH` is enough), which works where no path
/// leads there.
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use zygote::settings::Cgroup;
///
/// let _by_path = Cgroup::from("/sys/fs/cgroup/jobs");
/// let _by_descriptor = Cgroup::from(File::open("/sys/fs/cgroup")?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Cgroup(Directory);

#[derive(Debug)]
enum Directory {
    Path(PathBuf),
    Open(OwnedFd),
}

macro_rules! from_path {
    ($($ty:ty),*) => {$(
        impl From<$ty> for Cgroup {
            fn from(path: $ty) -> Self {
                Self(Directory::Path(path.into()))
            }
        }
    )*};
}

from_path!(&str, String, &Path, &PathBuf, PathBuf);

impl From<OwnedFd> for Cgroup {
    fn from(fd: OwnedFd) -> Self {
        Self(Directory::Open(fd))
    }
}

impl From<File> for Cgroup {
    fn from(file: File) -> Self {
        Self(Directory::Open(file.into()))
    }
}

/// How the root directory is changed: the first text of its setting.
const CHROOT: &str = "chroot";
const PIVOT: &str = "pivot_root";

impl Settings {
    pub(crate) fn cgroup(&mut self, cgroup: impl Into<Cgroup>) {
        let setting = Setting::new(What::Cgroup);
        self.add(match cgroup.into().0 {
            Directory::Open(dir) => setting.fd(Arc::new(dir)),
            Directory::Path(path) => {
                let setting = setting.text(path.as_os_str().as_bytes());
                match place::open_dir(&path) {
                    Ok(dir) => setting.fd(Arc::new(dir)),
                    // The worker finds out why, for the error of `run`.
                    Err(_) => setting,
                }
            }
        });
    }

    /// Gives the cgroups that could be opened.
    pub(crate) fn cgroups(&self) -> impl Iterator<Item = &Arc<OwnedFd>> {
        self.of(What::Cgroup).flat_map(|cgroup| &cgroup.fds)
    }

    pub(crate) fn session(&mut self) {
        self.put(Setting::new(What::Session));
    }

    pub(crate) fn process_group(&mut self, pgroup: i32) {
        self.put(Setting::new(What::ProcessGroup).number(pgroup));
    }

    /// Tells whether the process leads a process group.
    pub(crate) fn is_leader(&self) -> bool {
        let mut groups = self.of(What::ProcessGroup);
        self.has(What::Session) || self.is_tree() || groups.any(|group| group.numbers == [0])
    }

    pub(crate) fn controlling_terminal(&mut self, fd: impl Into<OwnedFd>) {
        self.put(Setting::new(What::Terminal).fd(Arc::new(fd.into())));
    }

    pub(crate) fn chroot(&mut self, path: impl AsRef<Path>) {
        self.root(CHROOT, path.as_ref());
    }

    pub(crate) fn pivot_root(&mut self, new_root: impl AsRef<Path>) {
        self.root(PIVOT, new_root.as_ref());
    }

    fn root(&mut self, how: &str, path: &Path) {
        let setting = Setting::new(What::Root).text(how);
        self.put(setting.text(path.as_os_str().as_bytes()));
    }
}

pub(super) fn cgroup(setting: &Setting, _: &Settings) -> io::Result<()> {
    if let Some(dir) = setting.fds.first() {
        return place::join_cgroup(dir);
    }
    // The program could not open it: trying again here shows why.
    let path = setting.texts.concat();
    place::join_cgroup(&place::open_dir(OsStr::from_bytes(&path).as_ref())?)
}

pub(super) fn session(setting: &Setting, all: &Settings) -> io::Result<()> {
    tree::begin_session(setting, all)
}

pub(super) fn process_group(setting: &Setting, _: &Settings) -> io::Result<()> {
    let group = setting.one()?;
    // The leader of a session is the leader of a group.
    if group == 0 && tree::leads_group() {
        return Ok(());
    }
    Ok(setpgid(Pid::from_raw(0), Pid::from_raw(group))?)
}

pub(super) fn controlling_terminal(setting: &Setting, all: &Settings) -> io::Result<()> {
    if !all.has(What::Session) {
        let text = "only the leader of a session can have one: ask for `session()`, too";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let terminal = setting.fds.first().ok_or(io::ErrorKind::InvalidData)?;
    place::controlling_terminal(terminal)
}

pub(super) fn root(setting: &Setting, all: &Settings) -> io::Result<()> {
    match &setting.texts[..] {
        [how, path] if how == CHROOT.as_bytes() => {
            nix::unistd::chroot(OsStr::from_bytes(path))?;
            Ok(chdir("/")?)
        }
        [how, path] if how == PIVOT.as_bytes() => {
            // In a shared namespace the program's own root would go.
            if !Namespaces::of(all)?.has(libc::CLONE_NEWNS) {
                let text = "it needs a mount namespace: ask for \
                            `namespaces(Namespaces::new().mount())`, too";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            place::pivot_root(path)
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_who_asks_for_a_session_or_a_group_of_its_own() {
        let of = |say: fn(&mut Settings)| {
            let mut settings = Settings::default();
            say(&mut settings);
            settings.is_leader()
        };
        assert!(!of(|_| ()));
        assert!(of(Settings::session));
        assert!(of(|all| all.process_group(0)));
        assert!(!of(|all| all.process_group(7)));
    }

    #[test]
    fn a_cgroup_is_its_open_directory_or_a_path_that_says_why_not() {
        let mut settings = Settings::default();
        settings.cgroup("/no/such/cgroup");
        assert_eq!(settings.cgroups().count(), 0);
        settings.cgroup("/proc");
        settings.cgroup(File::open("/").unwrap());
        assert_eq!(settings.cgroups().count(), 2);
        let texts: Vec<_> = settings
            .of(What::Cgroup)
            .map(|it| it.texts.concat())
            .collect();
        assert_eq!(texts, [&b"/no/such/cgroup"[..], b"/proc", b""]);
        let missing = settings.of(What::Cgroup).next().unwrap();
        let error = cgroup(missing, &settings).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn the_last_root_counts() {
        let mut settings = Settings::default();
        settings.chroot("/a");
        settings.pivot_root("/b");
        let roots: Vec<_> = settings.of(What::Root).map(|it| &it.texts[..]).collect();
        assert_eq!(roots, [[PIVOT.into(), b"/b".to_vec()]]);
    }

    /// Each is refused before anything is done.
    #[test]
    fn what_lacks_another_setting_is_refused() {
        let mut settings = Settings::default();
        settings.controlling_terminal(File::open("/dev/null").unwrap());
        settings.pivot_root("/");
        for (what, apply) in [
            (What::Terminal, controlling_terminal as fn(&_, &_) -> _),
            (What::Root, root),
        ] {
            let error = apply(settings.of(what).next().unwrap(), &settings).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(error.raw_os_error(), None);
        }
        for wrong in [
            Setting::new(What::Root),
            Setting::new(What::Root).text("x").text("/"),
        ] {
            assert!(root(&wrong, &settings).is_err());
        }
    }
}
