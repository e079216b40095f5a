//! What runs in each worker before its entry.

use std::{io, os::fd::AsFd};

use super::Process;
use crate::task::{RunsIn, Task};

impl<S> Process<S> {
    /// Runs a task in each worker first, before the entry that the worker is for: it is
    /// the place for what `main` does in the program and a worker does not have, a
    /// `static` with the configuration or a logger.
    ///
    /// The task is sent with the other settings. It runs once in each worker, after the
    /// [hooks](crate::hook) and before [confinement](Self::confine), with the rights
    /// that the settings leave. Several run in the order in which they were given. One
    /// that needs the preloaded value (`&S` or `&mut S`) gets what the worker has; what
    /// it changes, the entry sees. The descriptors in its arguments are duplicated for
    /// each worker.
    ///
    /// It counts for what is spawned from this process and its forks. A plain
    /// `f::spawn(..)` uses the default template and knows nothing of it: where every
    /// spawn needs it, keep one process in a `static`, as the example does.
    ///
    /// If it gives an error or panics, that is the error of the spawn, in which no code
    /// of the entry has run ([`is_unstarted`](crate::Error::is_unstarted)). An error
    /// that it gives is one of a setting ([`is_setting`](crate::Error::is_setting)).
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
