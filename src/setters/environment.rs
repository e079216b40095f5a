//! Environment, directory, umask, names.

use std::{env, ffi::OsStr, path::Path};

use crate::Process;

setters! {
    //! # Environment, directory and names
    //!
    //! The environment, the directory and the umask of a worker are those that the
    //! program had **when its template began**: before `main` with
    //! [`early!`](crate::early!), else at the first spawn. A worker does not see what
    //! the program changed later; [`inherit_env`](Self::inherit_env) brings it in.

    /// Sets an environment variable.
    env(key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        /// # Examples
        ///
        /// ```
        /// use std::env;
        ///
        /// #[zygote::entry]
        /// fn home() -> Option<String> {
        ///     env::var("HOME").ok()
        /// }
        ///
        /// let process = zygote::Process::new()?.env("HOME", "/nowhere");
        /// assert_eq!(process.fork()?.run(home::task())?.join()?.as_deref(), Some("/nowhere"));
        /// let process = process.env_remove("HOME");
        /// assert_eq!(process.run(home::task())?.join()?, None);
        /// # Ok::<(), zygote::Error>(())
        /// ```
    }

    /// Sets several environment variables.
    envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(vars: impl IntoIterator<Item = (K, V)>);

    /// Removes an environment variable.
    env_remove(key: impl AsRef<OsStr>);

    /// Removes all environment variables, including those set here before.
    env_clear();

    /// Sets the working directory.
    current_dir(dir: impl AsRef<Path>) {
        /// A relative path starts from the template's directory; with a new root, it is
        /// looked up inside that.
        ///
        /// # Examples
        ///
        /// ```
        /// use std::{env, path::PathBuf};
        ///
        /// #[zygote::entry]
        /// fn place() -> PathBuf {
        ///     env::current_dir().unwrap_or_default()
        /// }
        ///
        /// let process = zygote::Process::new()?.current_dir("/proc");
        /// assert_eq!(process.run(place::task())?.join()?, PathBuf::from("/proc"));
        ///
        /// let process = zygote::Process::new()?.current_dir("/no/such/place");
        /// let error = process.run(place::task()).unwrap_err();
        /// assert!(error.is_setting() && error.is_unstarted());
        /// assert!(error.to_string().contains("`current_dir(\"/no/such/place\")` failed"));
        /// # Ok::<(), zygote::Error>(())
        /// ```
    }

    /// Sets the file mode creation mask, `umask(2)`; its lower nine bits count.
    umask(mask: u32) {
        /// # Examples
        ///
        /// ```
        /// use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};
        ///
        /// #[zygote::entry]
        /// fn create(path: PathBuf) -> std::io::Result<()> {
        ///     fs::write(path, "secret")
        /// }
        ///
        /// let dir = tempfile::tempdir()?;
        /// let path = dir.path().join("file");
        /// zygote::Process::new()?.umask(0o077).run(create::task(path.clone()))?.join()??;
        /// assert_eq!(fs::metadata(path)?.permissions().mode() & 0o777, 0o600);
        /// # Ok::<(), zygote::Error>(())
        /// ```
    }

    /// Sets what `ps` shows, until another program is executed.
    title(title: impl AsRef<OsStr>) {
        /// By default that is `zygote: ENTRY of PID`. The title is cut to the room that the
        /// program's own arguments and environment took.
        ///
        /// # Examples
        ///
        /// ```
        /// #[zygote::entry]
        /// fn shown() -> std::io::Result<String> {
        ///     std::fs::read_to_string("/proc/self/cmdline")
        /// }
        ///
        /// let worker = zygote::Process::new()?.title("decoder").run(shown::task())?;
        /// assert!(worker.join()??.starts_with("decoder\0"));
        /// # Ok::<(), zygote::Error>(())
        /// ```
    }

    /// Names the main thread of the new process, as `top` and `/proc/PID/comm` show it;
    /// the name is cut to 15 bytes.
    thread_name(name: impl AsRef<OsStr>) {
        /// # Examples
        ///
        /// ```
        /// #[zygote::entry]
        /// fn name() -> std::io::Result<String> {
        ///     std::fs::read_to_string("/proc/self/comm")
        /// }
        ///
        /// let worker = zygote::Process::new()?.thread_name("decoder").run(name::task())?;
        /// assert_eq!(worker.join()??, "decoder\n");
        /// # Ok::<(), zygote::Error>(())
        /// ```
    }
}

impl<S> Process<S> {
    /// Takes the program's environment as it is at this call, instead of what it was
    /// when the template began.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn language() -> Option<String> {
    ///     std::env::var("LANG").ok()
    /// }
    ///
    /// let now = std::env::var("LANG").ok();
    /// let worker = zygote::Process::new()?.inherit_env().run(language::task())?;
    /// assert_eq!(worker.join()?, now);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn inherit_env(self) -> Self {
        self.env_clear().envs(env::vars_os())
    }
}
