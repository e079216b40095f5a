//! What runs in each worker before its entry.

use std::{io, os::fd::AsFd};

use super::Process;
use crate::task::{RunsIn, Task};

impl<S> Process<S> {
    /// Runs a task in each worker before the worker's own entry. It is the place to set
    /// what `main` sets in the program and workers lack, for example a `static` with the
    /// configuration, or a logger.
    ///
    /// The task is sent with the other settings. It runs once in each worker, after the
    /// [hooks](crate::hook) and before [confinement](Self::confine), with the rights
    /// that the settings leave. If you give several, they run in that order. A task that
    /// takes the preloaded value (`&S` or `&mut S`) gets the worker's, and the entry
    /// sees what it has changed. The descriptors in its arguments are duplicated for
    /// each worker.
    ///
    /// It runs in the workers of this process and of its forks. A plain `f::spawn(..)`
    /// uses the default template, and does not run it: if every spawn needs it, keep
    /// one process in a `static`, as the example does.
    ///
    /// If it returns an error or panics, the spawn fails with that, and no code of the
    /// entry has run ([`is_unstarted`](crate::Error::is_unstarted)). An error that it
    /// returns counts as one of a setting ([`is_setting`](crate::Error::is_setting)).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{io, sync::OnceLock};
    /// use zygote::Process;
    ///
    /// /// Set in `main`; a worker has none of its own.
    /// static NAME: OnceLock<String> = OnceLock::new();
    ///
    /// #[zygote::entry]
    /// fn set_name(name: String) -> io::Result<()> {
    ///     NAME.set(name).map_err(|_| io::Error::other("it is set already"))
    /// }
    ///
    /// #[zygote::entry]
    /// fn greet() -> Option<String> {
    ///     Some(format!("hello from {}", NAME.get()?))
    /// }
    ///
    /// /// For all spawns of the program.
    /// static WORKERS: OnceLock<Process> = OnceLock::new();
    ///
    /// NAME.set("main".into()).unwrap();
    /// assert_eq!(greet::spawn()?.join()?, None);
    ///
    /// let process = Process::new()?.init(set_name::task("main".into()));
    /// let workers = WORKERS.get_or_init(|| process);
    /// assert_eq!(workers.spawn(greet::task())?.join()?.unwrap(), "hello from main");
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn init<K: RunsIn<S>>(mut self, task: Task<io::Result<()>, K>) -> Self {
        let load = task.load();
        match load.check() {
            Ok(()) => {
                let fds = load.fds.iter().map(AsFd::as_fd);
                self.settings.init(load.entry.id(), &load.bytes, fds);
            }
            Err(error) => self.settings.refuse(error),
        }
        self
    }
}
