//! Session, group, terminal, cgroup, namespaces, root directory.

use std::{
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
    sync::Arc,
};

use super::{Process, Setting, What};
use crate::{
    settings::{CHROOT, Cgroup, Directory, Namespaces, PIVOT},
    sys::place,
};

/// # Place: group, session, cgroup, namespaces, root
///
/// By default a worker is in its template's process group, session and cgroup,
/// which were the program's when the template began. (A [`Command`](crate::Command)
/// is in the group and the session that the program has now.)
impl<S> Process<S> {
    /// Puts the worker into a process group, as
    /// [`std`](std::os::unix::process::CommandExt::process_group): 0 is a new
    /// one, which it leads. Then Ctrl-C at the program's terminal does not reach
    /// it, and [`Worker::kill_tree`](crate::Worker::kill_tree) kills the group.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// #[zygote::entry]
    /// fn shell() -> std::io::Result<bool> {
    ///     let mut sleeps = std::process::Command::new("sh");
    ///     Ok(sleeps.args(["-c", "sleep 60 & sleep 60"]).status()?.success())
    /// }
    ///
    /// let worker = zygote::Process::new()?.process_group(0).run(shell::task())?;
    /// assert!(worker.wait_timeout(Duration::from_millis(20))?.is_none());
    /// worker.kill_tree()?; // and the sleeps with it
    /// assert!(worker.join().unwrap_err().is_signal());
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn process_group(self, pgroup: i32) -> Self {
        self.set(Setting::new(What::ProcessGroup).number(pgroup))
    }

    /// Makes the worker the leader of a new session (`setsid`), and so of a new
    /// process group, without a controlling terminal.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn terminal() -> bool {
    ///     std::fs::File::open("/dev/tty").is_ok()
    /// }
    ///
    /// let worker = zygote::Process::new()?.session().run(terminal::task())?;
    /// assert!(!worker.join()?);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn session(self) -> Self {
        self.set(Setting::new(What::Session))
    }

    /// Makes a terminal the controlling one of the worker's
    /// [`session`](Self::session), which must be asked for, too. (To read from
    /// and write to it, make it [`stdin`](Self::stdin) and so on as well.) It
    /// must not be another session's.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::File;
    ///
    /// #[zygote::entry]
    /// fn shell() {}
    ///
    /// let no_terminal = File::open("/dev/null")?;
    /// let process = zygote::Process::new()?.session().controlling_terminal(no_terminal);
    /// assert!(process.run(shell::task()).unwrap_err().is_setting());
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn controlling_terminal(self, fd: impl Into<OwnedFd>) -> Self {
        self.set(Setting::new(What::Terminal).fd(Arc::new(fd.into())))
    }

    /// Puts the worker into a cgroup, before anything else is done: what it
    /// uses from then on counts there. May be called several times, for the
    /// hierarchies of version 1.
    ///
    /// The cgroup is the program's to make, to limit and to remove; the
    /// directory is opened here, once for all forks.
    /// [`Worker::kill_tree`](crate::Worker::kill_tree) kills **everything** in
    /// a cgroup of version 2: give each worker its own.
    ///
    /// # Errors
    ///
    /// Of [`run`](Self::run): there is no such cgroup; the program may not put
    /// processes there; it has cgroups below it (version 2).
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn work() {}
    ///
    /// let process = zygote::Process::new()?.cgroup("/sys/fs/cgroup/no such");
    /// let error = process.run(work::task()).unwrap_err();
    /// assert!(error.is_setting() && error.is_unstarted());
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn cgroup(self, cgroup: impl Into<Cgroup>) -> Self {
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
        })
    }

    /// Puts the worker into namespaces of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use zygote::{Namespaces, Process};
    ///
    /// #[zygote::entry]
    /// fn interfaces() -> std::io::Result<usize> {
    ///     let list = std::fs::read_to_string("/proc/self/net/dev")?;
    ///     Ok(list.lines().skip(2).count())
    /// }
    ///
    /// let process = Process::new()?.namespaces(Namespaces::new().map_current().net());
    /// match process.run(interfaces::task()) {
    ///     Ok(worker) => assert_eq!(worker.join()??, 1),
    ///     Err(error) => assert!(error.is_setting()),
    /// }
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn namespaces(self, namespaces: Namespaces) -> Self {
        self.set(namespaces.encode())
    }

    /// Changes the worker's root directory (`chroot`), and its working
    /// directory to the new `/` unless [`current_dir`](Self::current_dir) says
    /// another. Needs `CAP_SYS_CHROOT`, as in a user namespace. No confinement
    /// for a worker that keeps it; [`pivot_root`](Self::pivot_root) is.
    ///
    /// The last of the two that is called counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    /// use zygote::{Namespaces, Process};
    ///
    /// #[zygote::entry]
    /// fn has_bin() -> bool {
    ///     Path::new("/bin").exists() && !Path::new("/usr").exists()
    /// }
    ///
    /// let process = Process::new()?.namespaces(Namespaces::new().map_root().mount());
    /// for process in [process.fork()?.chroot("/usr"), process.pivot_root("/usr")] {
    ///     match process.run(has_bin::task()) {
    ///         Ok(worker) => assert!(worker.join()?),
    ///         Err(error) => assert!(error.is_setting()),
    ///     }
    /// }
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn chroot(self, path: impl AsRef<Path>) -> Self {
        self.root(CHROOT, path.as_ref())
    }

    /// Makes a directory the root of the worker's mount namespace, of which
    /// nothing else is left (`pivot_root`), and `/` its working directory, as
    /// [`chroot`](Self::chroot). Needs [`Namespaces::mount`]. The directory need
    /// not be a mount point. (An example is there, too.)
    pub fn pivot_root(self, new_root: impl AsRef<Path>) -> Self {
        self.root(PIVOT, new_root.as_ref())
    }

    fn root(self, how: &str, path: &Path) -> Self {
        let setting = Setting::new(What::Root).text(how);
        self.set(setting.text(path.as_os_str().as_bytes()))
    }
}
