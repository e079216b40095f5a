//! What a process may use, and which process goes first.

use std::time::Duration;

use crate::settings::{IoPriority, Resource, Scheduler};

setters! {
    //! # Limits and priorities
    //!
    //! They hold for the worker, and the processes that it starts inherit them. What
    //! you do not set is as in the template, and so as in the program when the template
    //! began.

    /// Limits a resource, `setrlimit(2)`. [`Resource`] says in which unit, and what
    /// happens beyond the limit. Of several limits for one resource the last counts.
    rlimit(resource: Resource, soft: u64, hard: u64) {
        /// The soft limit is in force, and the hard one is its ceiling. Raising a hard
        /// limit needs `CAP_SYS_RESOURCE`; otherwise the error is `EPERM`. A soft limit
        /// above the hard one is `EINVAL`.
        ///
        /// # Examples
        ///
        /// ```
        /// use zygote::{Process, settings::Resource};
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
    }

    /// Limits how long the new process may compute, all its threads together: the
    /// [`rlimit`](Self::rlimit) of [`Resource::Cpu`], rounded up to whole seconds, at
    /// least one.
    cpu_time(limit: Duration) {
        /// At the limit it gets SIGXCPU, which ends it by default, and SIGKILL one
        /// second later if it goes on. Waiting does not count. A process that it starts
        /// has as much again. A limit above 272 years counts as 272 years.
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
    }

    /// Sets the nice value, `setpriority(2)`. It is absolute, from −20, the first, to
    /// 19, the last; a value beyond counts as the nearest of them.
    nice(nice: i32) {
        /// Lowering it needs `CAP_SYS_NICE` or a limit [`Resource::Nice`]; otherwise
        /// the error is `EACCES`. Where the kernel groups processes by session
        /// (`sched(7)`, autogroup), the value counts within the session only.
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
    }

    /// Says whose disk requests go first, `ioprio_set(2)`. By default that follows from
    /// the nice value.
    io_priority(priority: IoPriority) {
        /// It counts with I/O schedulers that know priorities (BFQ).
        /// [`IoPriority::RealTime`] needs `CAP_SYS_NICE` or `CAP_SYS_ADMIN`; otherwise
        /// the error is `EPERM`. A number above 7 is `EINVAL`.
        ///
        /// # Examples
        ///
        /// ```
        /// use zygote::{Process, settings::IoPriority};
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
    }

    /// Sets the CPUs that the new process runs on, numbered from 0,
    /// `sched_setaffinity(2)`.
    affinity(cpus: impl IntoIterator<Item = usize>) {
        /// CPUs that do not exist, or are not in the worker's cpuset, are left out; if none
        /// is left, or one is above 1023, that is `EINVAL`. Anyone may set it.
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
    }

    /// Says how the new process is given CPU time, `sched_setscheduler(2)`; the nice
    /// value stays.
    scheduler(scheduler: Scheduler) {
        /// [`Scheduler::Fifo`], [`Scheduler::RoundRobin`] and the way back from
        /// [`Scheduler::Idle`] need `CAP_SYS_NICE` or a limit [`Resource::Rtprio`];
        /// otherwise the error is `EPERM`. A priority outside 1 to 99 is `EINVAL`. The
        /// worker's threads and the processes that it starts get the same scheduler. A
        /// real-time worker that never waits can stop a machine: [`Resource::Rttime`]
        /// limits it.
        ///
        /// # Examples
        ///
        /// ```
        /// use zygote::{Process, settings::Scheduler};
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
    }

    /// Says how early the new process is killed when memory runs out: from −1000,
    /// never, to 1000, first of all. The value is written to
    /// `/proc/self/oom_score_adj`, `proc_pid_oom_score_adj(5)`.
    oom_score_adj(value: i32) {
        /// A value below the template's needs `CAP_SYS_RESOURCE`; otherwise the error
        /// is `EACCES`, as it is for any value when the template is not
        /// [dumpable](Self::dumpable). A value beyond 1000 is `EINVAL`. Without /proc
        /// the error is `ENOENT`.
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
    }
}
