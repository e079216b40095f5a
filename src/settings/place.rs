//! Which cgroup, and what the root directory is changed by.

use std::{
    fs::File,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// A cgroup, for [`Process::cgroup`](crate::Process::cgroup): the path of its
/// directory, or a descriptor of it (`O_PATH` is enough), which works where no
/// path leads there.
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use zygote::Cgroup;
///
/// let _by_path = Cgroup::from("/sys/fs/cgroup/jobs");
/// let _by_descriptor = Cgroup::from(File::open("/sys/fs/cgroup")?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Cgroup(pub(crate) Directory);

#[derive(Debug)]
pub(crate) enum Directory {
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
pub(crate) const CHROOT: &str = "chroot";
pub(crate) const PIVOT: &str = "pivot_root";
