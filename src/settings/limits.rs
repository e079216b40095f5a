//! What a process may use, and which process goes first.

/// What can be limited, `getrlimit(2)`, for
/// [`Process::rlimit`](crate::Process::rlimit).
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use zygote::{Process, Resource};
///
/// #[zygote::entry]
/// fn open_many() -> usize {
///     let files = (0..1000).map_while(|_| File::open("/dev/null").ok());
///     files.collect::<Vec<_>>().len()
/// }
///
/// let process = Process::new()?.rlimit(Resource::Nofile, 20, 20);
/// assert!(process.run(open_many::task())?.join()? <= 17);
/// # Ok::<(), zygote::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// Bytes of address space. Beyond: `ENOMEM`, and Rust's allocation failure
    /// is SIGABRT; a stack that cannot grow is SIGSEGV.
    As,
    /// Bytes of a core file; 0 writes none, more is cut.
    Core,
    /// Seconds of CPU time. At the soft limit SIGXCPU, again each second, at
    /// the hard one SIGKILL.
    Cpu,
    /// Bytes of private writable memory. Beyond: as [`As`](Self::As).
    Data,
    /// Bytes of a file that is written. Beyond: SIGXFSZ, and `EFBIG` where that
    /// is ignored. (A long result stands in memory that counts as a file.)
    Fsize,
    /// File locks. Without effect since Linux 2.4.25.
    Locks,
    /// Bytes of locked memory. Beyond: `ENOMEM` or `EPERM`. Not for
    /// `CAP_IPC_LOCK`.
    Memlock,
    /// Bytes of POSIX message queues of this user. Beyond: `EMFILE`.
    Msgqueue,
    /// 20 minus the least nice value that may be asked for. Beyond: `EACCES`.
    Nice,
    /// One more than the highest descriptor. Beyond: `EMFILE`.
    Nofile,
    /// Processes and threads of this user, those of other programs among them.
    /// Beyond: `EAGAIN`. Not for root and `CAP_SYS_ADMIN`, `CAP_SYS_RESOURCE`.
    Nproc,
    /// Resident memory. Without effect since Linux 2.4.30.
    Rss,
    /// The highest real-time priority that may be asked for. Beyond: `EPERM`.
    Rtprio,
    /// Microseconds of CPU time of a real-time process without a blocking
    /// system call. At the soft limit SIGXCPU, at the hard one SIGKILL.
    Rttime,
    /// Queued signals of this user. Beyond: `EAGAIN` of `sigqueue(3)`.
    Sigpending,
    /// Bytes of the main thread's stack. Beyond: SIGSEGV.
    Stack,
}

impl Resource {
    /// No limit, `RLIM_INFINITY`.
    pub const UNLIMITED: u64 = u64::MAX;

    /// The kernel's number, which differs between machines.
    pub(crate) fn number(self) -> i64 {
        i64::from(match self {
            Self::As => libc::RLIMIT_AS,
            Self::Core => libc::RLIMIT_CORE,
            Self::Cpu => libc::RLIMIT_CPU,
            Self::Data => libc::RLIMIT_DATA,
            Self::Fsize => libc::RLIMIT_FSIZE,
            Self::Locks => libc::RLIMIT_LOCKS,
            Self::Memlock => libc::RLIMIT_MEMLOCK,
            Self::Msgqueue => libc::RLIMIT_MSGQUEUE,
            Self::Nice => libc::RLIMIT_NICE,
            Self::Nofile => libc::RLIMIT_NOFILE,
            Self::Nproc => libc::RLIMIT_NPROC,
            Self::Rss => libc::RLIMIT_RSS,
            Self::Rtprio => libc::RLIMIT_RTPRIO,
            Self::Rttime => libc::RLIMIT_RTTIME,
            Self::Sigpending => libc::RLIMIT_SIGPENDING,
            Self::Stack => libc::RLIMIT_STACK,
        })
    }
}

/// Whose disk requests go first, `ioprio_set(2)`, for
/// [`Process::io_priority`](crate::Process::io_priority).
///
/// The number is from 0, the first, to 7, the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IoPriority {
    /// Before everyone else. For `CAP_SYS_NICE` or `CAP_SYS_ADMIN`.
    RealTime(u8),
    /// As others; 4 is what a nice value of 0 gives.
    BestEffort(u8),
    /// When nobody else has requests.
    Idle,
}

impl IoPriority {
    /// The kernel's class, and the priority within.
    pub(crate) fn numbers(self) -> (u8, u8) {
        match self {
            Self::RealTime(level) => (1, level),
            Self::BestEffort(level) => (2, level),
            Self::Idle => (3, 0),
        }
    }
}

/// How CPU time is given, `sched(7)`, for
/// [`Process::scheduler`](crate::Process::scheduler).
///
/// The number is the real-time priority, from 1, the last, to 99, the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheduler {
    /// In turn, by nice value: the default.
    Other,
    /// As `Other`, taken for one that computes and never waits.
    Batch,
    /// When nobody else wants the CPU.
    Idle,
    /// Real time: before all others, until it waits.
    Fifo(u32),
    /// Real time: as `Fifo`, in turn with others of its priority.
    RoundRobin(u32),
}

impl Scheduler {
    /// The kernel's policy, and the priority.
    pub(crate) fn numbers(self) -> (i32, u32) {
        match self {
            Self::Other => (libc::SCHED_OTHER, 0),
            Self::Batch => (libc::SCHED_BATCH, 0),
            Self::Idle => (libc::SCHED_IDLE, 0),
            Self::Fifo(priority) => (libc::SCHED_FIFO, priority),
            Self::RoundRobin(priority) => (libc::SCHED_RR, priority),
        }
    }
}
