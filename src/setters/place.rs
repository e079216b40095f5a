//! Session, group, terminal, cgroup, namespaces, root directory.

use std::{os::fd::OwnedFd, path::Path};

use crate::settings::{Cgroup, Namespaces};

setters! {
    //! # Place: group, session, cgroup, namespaces, root
    //!
    //! By default a worker is in its template's process group, session and cgroup,
    //! which were the program's when the template began. (A [`Command`](crate::Command)
    //! is in the group and the session that the program has now.)

    /// Puts the new process into a process group, as
    /// [`std`](std::os::unix::process::CommandExt::process_group) does: 0 is a new
    /// group, which the process leads.
    process_group(pgroup: i32) {
        /// If it has a group of its own, Ctrl-C at the program's terminal does not
        /// reach it, and [`Worker::kill_tree`](crate::Worker::kill_tree) kills the
        /// group.
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
    }

    /// Makes a tree of the new process and everything that it starts, by the strongest
    /// means that the machine allows, so that killing the process kills the whole tree.
    tree() {
        /// With it, [`kill`](crate::Worker::kill), the drop of a handle with
        /// [`kill_on_drop`](crate::Worker::kill_on_drop), and
        /// [`Command::output_timeout`](crate::Command::output_timeout) kill the whole
        /// tree, as [`kill_tree`](crate::Worker::kill_tree) does. It uses all of these
        /// means that it can:
        ///
        /// 1. The [`cgroup`](Self::cgroup), if you give one.
        /// 2. A [PID namespace](crate::settings::Namespaces::pid), which no process can
        ///    leave. The tree then also ends when the worker ends by itself, and when
        ///    the program ends, however that happens. Without the right to make one, the
        ///    worker first makes a user namespace, in which it keeps its user and group;
        ///    set-user-id programs such as `sudo` do not work there.
        /// 3. A [`session`](Self::session), in any case: so Ctrl-C at the program's
        ///    terminal does not reach the worker. If this is the only means, a process
        ///    that begins a session of its own, as daemons do, leaves the tree, and the
        ///    rest of the tree goes on when the program or the worker ends.
        ///
        /// # Examples
        ///
        /// ```
        /// use std::time::Duration;
        ///
        /// let mut job = zygote::Command::new("sh");
        /// job.args(["-c", "sleep 60 & sleep 60"]).tree();
        /// let error = job.output_timeout(Duration::from_millis(50)).unwrap_err();
        /// assert!(error.is_timeout()); // and both sleeps are gone
        /// # Ok::<(), zygote::Error>(())
        /// ```
    }

    /// Makes the new process the leader of a new session (`setsid`), and so of a new
    /// process group, without a controlling terminal.
    session() {
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
    }

    /// Makes a terminal the controlling one of the new [`session`](Self::session), which
    /// you must ask for, too.
    controlling_terminal(fd: impl Into<OwnedFd>) {
        /// It must not be another session's. (To read from it and write to it, make it
        /// [`stdin`](Self::stdin) and so on as well.)
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
    }

    /// Puts the new process into a cgroup, before anything else is done: what it uses
    /// from then on counts there.
    cgroup(cgroup: impl Into<Cgroup>) {
        /// You may call it several times, for the hierarchies of version 1.
        ///
        /// Your program has to make, limit and remove the cgroup; the directory is
        /// opened by this call, once for all forks.
        /// [`Worker::kill_tree`](crate::Worker::kill_tree) kills **everything** in a
        /// cgroup of version 2: give each worker its own.
        ///
        /// # Errors
        ///
        /// [`run`](Self::run) fails if there is no such cgroup, if the program may not
        /// put processes there, or if the cgroup has others below it (version 2).
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
    }

    /// Puts the new process into namespaces of its own.
    namespaces(namespaces: Namespaces) {
        /// # Examples
        ///
        /// ```
        /// use zygote::{Process, settings::Namespaces};
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
    }

    /// Changes the root directory (`chroot`), and the working directory to the new `/`
    /// unless [`current_dir`](Self::current_dir) sets another.
    chroot(path: impl AsRef<Path>) {
        /// Needs `CAP_SYS_CHROOT`, which a worker has in a user namespace. It does not
        /// confine a worker that keeps this capability; [`pivot_root`](Self::pivot_root)
        /// does. The last of the two that you call counts.
        ///
        /// # Examples
        ///
        /// ```
        /// use std::path::Path;
        /// use zygote::{Process, settings::Namespaces};
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
    }

    /// Makes a directory the root of the new mount namespace, in which nothing else is
    /// left (`pivot_root`), and makes `/` the working directory.
    pivot_root(new_root: impl AsRef<Path>) {
        /// Needs [`Namespaces::mount`]. The directory need not be a mount point. An example
        /// is at [`chroot`](Self::chroot).
    }

    /// Lets the new process live on when its template or the program ends.
    detached() {
        /// (To decide that later, use [`Worker::detach`](crate::Worker::detach).)
    }
}
