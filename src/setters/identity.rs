//! User, groups, capabilities.

use crate::settings::Capability;

setters! {
    //! # Who a process is and what it may
    //!
    //! A worker whose user or group is not its template's belongs to root in
    //! `/proc`, writes no core and cannot be traced by others of its user:
    //! [`dumpable`](Self::dumpable) takes that back. It still ends with its
    //! template and the program. A program that is not root cannot signal a worker
    //! of another user: then [`Worker::kill`](crate::Worker::kill) and
    //! [`Worker::detach`](crate::Worker::detach) fail with `EPERM`.

    /// Sets the user, `setresuid(2)`: the real, the effective, the saved and the file
    /// system's, so that there is no way back.
    uid(uid: u32) {
        /// Needs `CAP_SETUID`; otherwise the error is `EPERM`. The capabilities of root
        /// are lost with the user unless [`capabilities`](Self::capabilities) keeps
        /// some. As with std's `Command`, root's supplementary groups are dropped if
        /// you give no [`groups`](Self::groups); the group stays unless you give a
        /// [`gid`](Self::gid).
        ///
        /// # Examples
        ///
        /// ```
        /// use std::fs;
        ///
        /// #[zygote::entry]
        /// fn read_secret() -> Option<i32> {
        ///     fs::read("/proc/1/environ").err()?.raw_os_error()
        /// }
        ///
        /// let process = zygote::Process::new()?.uid(65_534).gid(65_534).groups([]);
        /// match process.run(read_secret::task()) {
        ///     Ok(worker) => assert_eq!(worker.join()?, Some(13), "EACCES"),
        ///     // This program may not change its user.
        ///     Err(error) => assert!(error.is_setting() && error.is_unstarted()),
        /// }
        /// # Ok::<(), zygote::Error>(())
        /// ```
    }

    /// Sets the group, `setresgid(2)`: the real, the effective, the saved and the file
    /// system's.
    gid(gid: u32) {
        /// Needs `CAP_SETGID`; otherwise the error is `EPERM`. An example is at
        /// [`uid`](Self::uid).
    }

    /// Sets the supplementary groups, `setgroups(2)`, in place of the template's.
    groups(groups: impl IntoIterator<Item = u32>) {
        /// Needs `CAP_SETGID`; otherwise the error is `EPERM`. More than 65,536 groups
        /// are `EINVAL`. An example is at [`uid`](Self::uid).
    }

    /// Keeps these capabilities and drops all others, `capabilities(7)`; an
    /// empty list drops all.
    capabilities(keep: impl IntoIterator<Item = Capability>) {
        /// The capabilities that are kept are permitted, effective, inheritable and
        /// ambient: they stay when the user changes, and when the worker executes
        /// another program. All others leave the bounding set, so that no program gives
        /// them back. Only what the template has can be kept; what it lacks is not an
        /// error.
        ///
        /// Needs `CAP_SETPCAP`; otherwise the error is `EPERM`. (A program without it
        /// has little to drop: use [`no_new_privs`](Self::no_new_privs) there.) A
        /// worker that stays root still owns root's files, even without capabilities.
        ///
        /// # Examples
        ///
        /// ```
        /// use std::{io, net::TcpListener};
        /// use zygote::{Process, settings::Capability};
        ///
        /// #[zygote::entry]
        /// fn listen(port: u16) -> io::Result<u16> {
        ///     Ok(TcpListener::bind(("127.0.0.1", port))?.local_addr()?.port())
        /// }
        ///
        /// let process = Process::new()?
        ///     .uid(65_534)
        ///     .capabilities([Capability::NetBindService]);
        /// match process.run(listen::task(0)) {
        ///     Ok(worker) => assert_ne!(worker.join()??, 0),
        ///     // This program may not change its user.
        ///     Err(error) => assert!(error.is_setting() && error.is_unstarted()),
        /// }
        /// # Ok::<(), zygote::Error>(())
        /// ```
    }

    /// Says whether other processes of its user may trace the new process and read its
    /// memory, and whether it may leave a core; `PR_SET_DUMPABLE(2const)`.
    dumpable(dumpable: bool) {
        /// Anyone may set it. By default it is as in the template. After a change of
        /// the user or group it is as in `/proc/sys/fs/suid_dumpable`: not for others
        /// of its user.
        ///
        /// # Examples
        ///
        /// ```
        /// use std::os::unix::fs::MetadataExt;
        ///
        /// #[zygote::entry]
        /// fn owner() -> std::io::Result<u32> {
        ///     Ok(std::fs::metadata("/proc/self/environ")?.uid())
        /// }
        ///
        /// let process = zygote::Process::new()?.dumpable(false);
        /// assert_eq!(process.run(owner::task())?.join()??, 0, "not this user, but root");
        /// # Ok::<(), zygote::Error>(())
        /// ```
    }

    /// Keeps the programs that the new process executes, and those that they execute,
    /// from gaining rights: set-user-id bits and file capabilities count for nothing;
    /// `PR_SET_NO_NEW_PRIVS(2const)`.
    no_new_privs(no_new_privs: bool) {
        /// Anyone may set it, and nobody can take it back: `false` leaves it as it is in
        /// the template.
        ///
        /// # Examples
        ///
        /// ```
        /// #[zygote::entry]
        /// fn status() -> std::io::Result<String> {
        ///     std::fs::read_to_string("/proc/self/status")
        /// }
        ///
        /// let worker = zygote::Process::new()?.no_new_privs(true).run(status::task())?;
        /// assert!(worker.join()??.contains("NoNewPrivs:\t1"));
        /// # Ok::<(), zygote::Error>(())
        /// ```
    }
}
