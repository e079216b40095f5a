//! Environment, directory, umask, names.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use super::{Process, Setting, What};
use crate::settings::environment::{CLEAR, REMOVE, SET};

/// # Environment, directory and names
///
/// The environment, the directory and the umask of a worker are those that the
/// program had **when its template began**: before `main` with
/// [`early!`](crate::early!), else at the first spawn. What the program changed
/// later is not seen; [`inherit_env`](Self::inherit_env) brings it in.
impl<S> Process<S> {
    /// Sets an environment variable.
    ///
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
    pub fn env(self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.envs([(key, value)])
    }

    /// Sets several environment variables.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut setting = Setting::new(What::Environment).number(SET);
        for (key, value) in vars {
            let (key, value) = (key.as_ref().as_bytes(), value.as_ref().as_bytes());
            setting = setting.text(key).text(value);
        }
        self.add(setting)
    }

    /// Removes an environment variable.
    pub fn env_remove(self, key: impl AsRef<OsStr>) -> Self {
        let key = key.as_ref().as_bytes();
        self.add(Setting::new(What::Environment).number(REMOVE).text(key))
    }

    /// Removes all environment variables, those set here before included.
    pub fn env_clear(self) -> Self {
        self.set(Setting::new(What::Environment).number(CLEAR))
    }

    /// The program's environment as it is now, at this call, instead of what it
    /// was when the template began.
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
        self.env_clear().envs(std::env::vars_os())
    }

    /// The working directory. A relative path is relative to the template's;
    /// with a new root, it is looked up inside.
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
    pub fn current_dir(self, dir: impl AsRef<Path>) -> Self {
        let dir = dir.as_ref().as_os_str().as_bytes();
        self.set(Setting::new(What::CurrentDir).text(dir))
    }

    /// The file mode creation mask, `umask(2)`; its lower nine bits count.
    ///
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
    pub fn umask(self, mask: u32) -> Self {
        self.set(Setting::new(What::Umask).number(mask))
    }

    /// What `ps` shows, instead of `zygote: ENTRY of PID`. Cut to the room that
    /// the program's own arguments and environment took.
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
    pub fn title(self, title: impl AsRef<OsStr>) -> Self {
        self.set(Setting::new(What::Title).text(title.as_ref().as_bytes()))
    }

    /// The name of the worker's main thread, as `top` and `/proc/PID/comm` show
    /// it; cut to 15 bytes.
    ///
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
    pub fn thread_name(self, name: impl AsRef<OsStr>) -> Self {
        self.set(Setting::new(What::ThreadName).text(name.as_ref().as_bytes()))
    }

    /// Lets the worker live on when its template or the program ends. (To
    /// decide that later, use [`Worker::detach`](crate::Worker::detach).)
    pub fn detached(self) -> Self {
        self.set(Setting::new(What::Detached))
    }
}
