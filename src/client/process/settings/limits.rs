//! What a process may use, and which process goes first.

use std::time::Duration;

use super::{Process, Setting, What};
use crate::settings::{IoPriority, Resource, Scheduler};

/// # Limits and priorities
///
/// They are the worker's own, and go down to the processes that it starts. What
/// is not given is as in the template: as in the program when the template
/// began.
impl<S> Process<S> {
    /// A resource limit, `setrlimit(2)`, in the unit that [`Resource`] says,
    /// with what happens beyond. Once for each resource.
    ///
    /// The hard limit is a ceiling for the soft one, which counts. To raise a
    /// hard limit takes `CAP_SYS_RESOURCE`; else `EPERM`. A soft one above the
    /// hard one: `EINVAL`.
    ///
    /// # Examples
    ///
    /// ```
    /// use zygote::{Process, Resource};
    ///
    /// #[zygote::entry]
    /// fn need(bytes: usize) -> usize {
    ///     vec![1_u8; bytes].len()
    /// }
    ///
    /// // Memory: 1 GiB of address space.
    /// let process = Process::new()?.rlimit(Resource::As, 1 << 30, 1 << 30);
    /// assert_eq!(process.fork()?.run(need::task(1 << 20))?.join()?, 1 << 20);
    /// let error = process.run(need::task(1 << 31))?.join().unwrap_err();
    /// assert!(error.to_string().contains("SIGABRT"), "Rust's allocation failure");
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn rlimit(self, resource: Resource, soft: u64, hard: u64) -> Self {
        let setting = [soft, hard].into_iter().fold(
            Setting::new(What::Rlimit)
                .number(resource.number())
                .text(format!("{resource:?}")),
            |setting, limit| {
                let setting = setting.number(limit.cast_signed());
                setting.text(match limit {
                    Resource::UNLIMITED => "unlimited".to_owned(),
                    _ => limit.to_string(),
                })
            },
        );
        self.change(|settings| settings.put_numbered(setting))
    }

    /// How long the worker may compute, all its threads together;
    /// [`rlimit`](Self::rlimit) of [`Resource::Cpu`], rounded up to whole
    /// seconds, at least one.
    ///
    /// Then it gets SIGXCPU, which ends it by default, and SIGKILL one second
    /// later if it goes on. Waiting does not count. A process that it starts
    /// has as much again. Limits of more than 272 years count as that.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{os::unix::process::ExitStatusExt, time::Duration};
    ///
    /// #[zygote::entry]
    /// fn spin() {
    ///     loop {
    ///         std::hint::spin_loop();
    ///     }
    /// }
    ///
    /// let process = zygote::Process::new()?.cpu_time(Duration::from_millis(10));
    /// let exit = process.run(spin::task())?.wait()?;
    /// assert_eq!(exit.to_string(), "was killed by SIGXCPU");
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn cpu_time(self, limit: Duration) -> Self {
        let up = u64::from(limit.subsec_nanos() > 0);
        // The kernel multiplies it to nanoseconds in 64 bits, without a check.
        let seconds = limit.as_secs().saturating_add(up).clamp(1, 1 << 33);
        self.rlimit(Resource::Cpu, seconds, seconds + 1)
    }

    /// The nice value, `setpriority(2)`, absolute: from −20, the first, to 19,
    /// the last; what is beyond counts as these.
    ///
    /// To lower it takes `CAP_SYS_NICE` or a limit [`Resource::Nice`]; else
    /// `EACCES`. Where the kernel groups processes by session (`sched(7)`,
    /// autogroup), it counts within the session only.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn stat() -> std::io::Result<String> {
    ///     std::fs::read_to_string("/proc/self/stat")
    /// }
    ///
    /// let worker = zygote::Process::new()?.nice(19).run(stat::task())?;
    /// let stat = worker.join()??;
    /// let nice = stat.rsplit(')').next().and_then(|rest| rest.split(' ').nth(17));
    /// assert_eq!(nice, Some("19"));
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn nice(self, value: i32) -> Self {
        self.set(Setting::new(What::Nice).number(value))
    }

    /// Whose disk requests go first, `ioprio_set(2)`; without one, it follows
    /// from the nice value. It counts with schedulers that know priorities
    /// (BFQ). [`IoPriority::RealTime`] is for `CAP_SYS_NICE` or
    /// `CAP_SYS_ADMIN`; else `EPERM`. A number above 7: `EINVAL`.
    ///
    /// # Examples
    ///
    /// ```
    /// use zygote::{IoPriority, Process};
    ///
    /// #[zygote::entry]
    /// fn work() -> u8 {
    ///     7
    /// }
    ///
    /// let process = Process::new()?.io_priority(IoPriority::BestEffort(7));
    /// assert_eq!(process.run(work::task())?.join()?, 7);
    ///
    /// let process = Process::new()?.io_priority(IoPriority::BestEffort(8));
    /// let error = process.run(work::task()).unwrap_err();
    /// assert!(error.to_string().contains("`io_priority(BestEffort(8))` failed"));
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn io_priority(self, priority: IoPriority) -> Self {
        let (class, level) = priority.numbers();
        let setting = Setting::new(What::IoPriority).number(class).number(level);
        self.set(setting.text(format!("{priority:?}")))
    }

    /// The CPUs that the worker runs on, numbered from 0,
    /// `sched_setaffinity(2)`.
    ///
    /// Those that do not exist, or are not in the worker's cpuset, are left
    /// out; if none is left, or one is above 1023: `EINVAL`. Anyone may set it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread::available_parallelism;
    ///
    /// #[zygote::entry]
    /// fn parallelism() -> usize {
    ///     available_parallelism().map_or(0, usize::from)
    /// }
    ///
    /// let process = zygote::Process::new()?.affinity(0..1024);
    /// assert!(process.fork()?.run(parallelism::task())?.join()? >= 1);
    ///
    /// let process = process.affinity([]);
    /// assert!(process.run(parallelism::task()).unwrap_err().is_setting());
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn affinity(self, cpus: impl IntoIterator<Item = usize>) -> Self {
        let cpu = |cpu| i64::try_from(cpu).unwrap_or(i64::MAX);
        let setting = Setting::new(What::Affinity);
        self.set(cpus.into_iter().map(cpu).fold(setting, Setting::number))
    }

    /// How CPU time is given, `sched_setscheduler(2)`; the nice value stays.
    ///
    /// [`Scheduler::Fifo`] and [`Scheduler::RoundRobin`] are for `CAP_SYS_NICE`
    /// or a limit [`Resource::Rtprio`]; else `EPERM`. So is, from
    /// [`Scheduler::Idle`], the way back. A priority outside of 1 to 99:
    /// `EINVAL`. The worker's threads and the processes that it starts have it,
    /// too. A real-time worker that never waits can stop a machine:
    /// [`Resource::Rttime`] limits it.
    ///
    /// # Examples
    ///
    /// ```
    /// use zygote::{Process, Scheduler};
    ///
    /// #[zygote::entry]
    /// fn stat() -> std::io::Result<String> {
    ///     std::fs::read_to_string("/proc/self/stat")
    /// }
    ///
    /// let worker = Process::new()?.scheduler(Scheduler::Idle).run(stat::task())?;
    /// let stat = worker.join()??;
    /// let policy = stat.rsplit(')').next().and_then(|rest| rest.split(' ').nth(39));
    /// assert_eq!(policy, Some("5"), "SCHED_IDLE");
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn scheduler(self, scheduler: Scheduler) -> Self {
        let (policy, priority) = scheduler.numbers();
        let setting = Setting::new(What::Scheduler).number(policy);
        let setting = setting.number(priority).text(format!("{scheduler:?}"));
        self.set(setting)
    }

    /// Who is killed first when memory runs out: from −1000, never, to 1000,
    /// first of all; written to `/proc/self/oom_score_adj`,
    /// `proc_pid_oom_score_adj(5)`.
    ///
    /// Below what the template has it takes `CAP_SYS_RESOURCE`; else `EACCES`,
    /// as for any value when the template is not [dumpable](Self::dumpable).
    /// Beyond 1000: `EINVAL`. Without /proc: `ENOENT`.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn score() -> std::io::Result<String> {
    ///     std::fs::read_to_string("/proc/self/oom_score_adj")
    /// }
    ///
    /// let worker = zygote::Process::new()?.oom_score_adj(1000).run(score::task())?;
    /// assert_eq!(worker.join()??, "1000\n");
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn oom_score_adj(self, value: i32) -> Self {
        self.set(Setting::new(What::OomScoreAdj).number(value))
    }
}
