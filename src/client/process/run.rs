//! Running tasks: in a process itself, or in forks of it.

use std::{collections::VecDeque, os::fd::BorrowedFd};

use super::{
    Lease, Process,
    started::{Started, Told, Until},
};
use crate::{
    client::{template, worker::Worker},
    error::{Error, Result},
    settings::Settings,
    sys::poll::Deadline,
    task::{Anywhere, Load, RunsIn, Task},
};

/// How many tasks are on their way before [`Process::spawn_all`] waits for the first.
/// Each lends three descriptors, and a user may have only so many that nobody has
/// received yet.
const AHEAD: usize = 32;

/// Runs a task in a fork of the default template; `f::spawn` calls this.
///
/// # Errors
///
/// Fails as [`Process::new`] and [`Process::run`] do.
pub fn spawn<R>(task: Task<R, Anywhere>) -> Result<Worker<R>> {
    let load = task.load();
    load.check()?;
    let peer = template::with_default(Process::fork_of);
    let peer = peer.map_err(|error| error.with_entry(load.entry.path()))?;
    let (lease, settings) = (Lease(Some(peer)), Settings::default());
    let (deadline, told) = (Deadline::after(template::PATIENCE), Told::Run(load, &[]));
    Started::tell(lease, settings, told, Until::Ready, deadline)?.begin(&task, &[])
}

impl<S> Process<S> {
    /// Runs a task in this process, which becomes its worker.
    ///
    /// Returns when the worker exists, not when it has ended. The task is not
    /// used up: clone it to run it again.
    ///
    /// # Errors
    ///
    /// The arguments could not be encoded; the process could not be forked, or the
    /// template died ([`is_template_gone`](crate::Error::is_template_gone)); or the
    /// deadline passed. In all these cases no code of the entry has run
    /// ([`is_unstarted`](crate::Error::is_unstarted)).
    pub fn run<R, K: RunsIn<S>>(self, task: Task<R, K>) -> Result<Worker<R>> {
        self.start(task.load(), &[], Until::Ready)?
            .begin(&task, &[])
    }

    /// Runs a task that becomes another executable. Returns when that has been executed.
    pub(crate) fn execute(self, task: &Task<()>) -> Result<Worker<()>> {
        self.start(task.load(), &[], Until::Executed)?
            .begin(task, &[])
    }

    /// Runs a task in a fork of this process, which stays as it is. The fork comes from
    /// [stock](Self::stock), if one waits there.
    ///
    /// Returns when the worker exists, not when it has ended. It is for any entry what
    /// `f::spawn(&process, …)` is for an entry that takes the preloaded value.
    ///
    /// # Errors
    ///
    /// Fails as [`run`](Self::run) does: in every case no code of the entry has run.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn user() -> Option<String> {
    ///     std::env::var("USER").ok()
    /// }
    ///
    /// let process = zygote::Process::new()?.env("USER", "nobody");
    /// for _ in 0..2 {
    ///     let worker = process.spawn(user::task())?;
    ///     assert_eq!(worker.join()?.as_deref(), Some("nobody"));
    /// }
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn spawn<R, K: RunsIn<S>>(&self, task: Task<R, K>) -> Result<Worker<R>> {
        let deadline = self.settings.until(template::PATIENCE);
        self.start_fork(task.load(), deadline)?.begin(&task, &[])
    }

    /// Runs each task in a fork of this process, as [`spawn`](Self::spawn) does, and
    /// gives one result for each task, in order. It asks for 32 processes before it
    /// waits for the first.
    ///
    /// It returns when all workers exist, and they all run at once. Each takes two
    /// descriptors of this program, of which `ulimit -n` often allows 1,024. So give it
    /// thousands of tasks in parts, as the example does. Where a worker cannot be
    /// started, an error stands in its place. The [`start_timeout`](Self::start_timeout)
    /// is for all of them together.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn square(n: u32) -> u32 {
    ///     n * n
    /// }
    ///
    /// let process = zygote::Process::new()?;
    /// let numbers: Vec<u32> = (1..=100).collect();
    /// let mut sum = 0;
    /// for part in numbers.chunks(32) {
    ///     for worker in process.spawn_all(part.iter().copied().map(square::task)) {
    ///         sum += worker?.join()?;
    ///     }
    /// }
    /// assert_eq!(sum, 338_350);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn spawn_all<R, K: RunsIn<S>>(
        &self,
        tasks: impl IntoIterator<Item = Task<R, K>>,
    ) -> Vec<Result<Worker<R>>> {
        let deadline = self.settings.until(template::PATIENCE);
        let mut asked = VecDeque::with_capacity(AHEAD);
        let mut workers = Vec::new();
        let begin = |(task, started): (Task<R, K>, Result<Started>)| started?.begin(&task, &[]);
        for task in tasks {
            if asked.len() == AHEAD {
                workers.extend(asked.pop_front().map(begin));
            }
            let started = self.start_fork(task.load(), deadline);
            asked.push_back((task, started));
        }
        workers.extend(asked.into_iter().map(begin));
        workers
    }

    /// Limits how long a result may be: that of a worker, or of a call on a service. It
    /// counts the bytes that travel, without descriptors and [`Bytes`](crate::Bytes). A
    /// longer one is not taken in, and is an error ([`is_invalid`](crate::Error::is_invalid)) of
    /// that task or call alone. Forks take the limit over. By default there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn zeroes(count: usize) -> Vec<u8> {
    ///     vec![0; count]
    /// }
    ///
    /// let process = zygote::Process::new()?.result_limit(1 << 20);
    /// let worker = process.spawn(zeroes::task(2 << 20))?;
    /// assert!(worker.join().unwrap_err().is_invalid());
    ///
    /// let service = process.serve()?;
    /// assert!(service.call(zeroes::task(2 << 20)).join().is_err());
    /// assert_eq!(service.call(zeroes::task(5)).join()?, [0; 5]);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn result_limit(mut self, octets: u64) -> Self {
        self.settings.result_limit(octets);
        self
    }

    /// Tells a fork of this process to run a task.
    fn start_fork(&self, load: &Load, deadline: Deadline) -> Result<Started> {
        load.check()?;
        let lease = Lease(Some(self.peer().fork(deadline)?));
        let (settings, told) = (self.settings.clone(), Told::Run(load, &[]));
        Started::tell(lease, settings, told, Until::Ready, deadline)
    }

    /// Tells this process to run a task.
    pub(super) fn start(
        self,
        load: &Load,
        more: &[BorrowedFd<'_>],
        until: Until,
    ) -> Result<Started> {
        load.check()?;
        let deadline = self.settings.until(template::PATIENCE);
        let lease = self
            .lease
            .without_children("run an entry", deadline)
            .map_err(|error| error.unstarted().with_entry(load.entry.path()))?;
        let told = Told::Run(load, more);
        Started::tell(lease, self.settings, told, until, deadline)
    }
}

impl Lease {
    /// Gives the process that is told to run something. It has no children, because
    /// nobody would report or reap them.
    pub(super) fn without_children(self, what: &str, deadline: Deadline) -> Result<Self> {
        let peer = self.peer();
        peer.check_epoch()?;
        peer.discard_stock();
        if peer.has_live_children() {
            let text = format!("a process that has live workers cannot {what}: fork it first");
            return Err(Error::invalid(text));
        }
        self.worker(deadline)
    }
}
