//! What can be limited.

macro_rules! resources {
    ($($(#[$doc:meta])+ $variant:ident = $number:ident;)+) => {
        /// What can be limited, `getrlimit(2)`, for
        /// [`Process::rlimit`](crate::Process::rlimit).
        ///
        /// # Examples
        ///
        /// ```
        /// use std::fs::File;
        /// use zygote::{Process, settings::Resource};
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
            $($(#[$doc])+ $variant,)+
        }

        impl Resource {
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The kernel's number, which differs between machines.
            #[expect(clippy::cast_possible_truncation, reason = "there are 16")]
            pub(super) fn number(self) -> u8 {
                match self {
                    $(Self::$variant => libc::$number as u8,)+
                }
            }
        }
    };
}

resources! {
    /// Bytes of address space. Beyond: `ENOMEM`, and Rust's allocation failure
    /// is SIGABRT; a stack that cannot grow is SIGSEGV.
    As = RLIMIT_AS;
    /// Bytes of a core file; 0 writes none, more is cut.
    Core = RLIMIT_CORE;
    /// Seconds of CPU time. At the soft limit SIGXCPU, again each second, at
    /// the hard one SIGKILL.
    Cpu = RLIMIT_CPU;
    /// Bytes of private writable memory. Beyond: as [`As`](Self::As).
    Data = RLIMIT_DATA;
    /// Bytes of a file that is written. Beyond: SIGXFSZ, and `EFBIG` where that
    /// is ignored. (A long result stands in memory that counts as a file.)
    Fsize = RLIMIT_FSIZE;
    /// File locks. Without effect since Linux 2.4.25.
    Locks = RLIMIT_LOCKS;
    /// Bytes of locked memory. Beyond: `ENOMEM` or `EPERM`. Not for
    /// `CAP_IPC_LOCK`.
    Memlock = RLIMIT_MEMLOCK;
    /// Bytes of POSIX message queues of this user. Beyond: `EMFILE`.
    Msgqueue = RLIMIT_MSGQUEUE;
    /// 20 minus the least nice value that may be asked for. Beyond: `EACCES`.
    Nice = RLIMIT_NICE;
    /// One more than the highest descriptor. Beyond: `EMFILE`.
    Nofile = RLIMIT_NOFILE;
    /// Processes and threads of this user, those of other programs among them.
    /// Beyond: `EAGAIN`. Not for root and `CAP_SYS_ADMIN`, `CAP_SYS_RESOURCE`.
    Nproc = RLIMIT_NPROC;
    /// Resident memory. Without effect since Linux 2.4.30.
    Rss = RLIMIT_RSS;
    /// The highest real-time priority that may be asked for. Beyond: `EPERM`.
    Rtprio = RLIMIT_RTPRIO;
    /// Microseconds of CPU time of a real-time process without a blocking
    /// system call. At the soft limit SIGXCPU, at the hard one SIGKILL.
    Rttime = RLIMIT_RTTIME;
    /// Queued signals of this user. Beyond: `EAGAIN` of `sigqueue(3)`.
    Sigpending = RLIMIT_SIGPENDING;
    /// Bytes of the main thread's stack. Beyond: SIGSEGV.
    Stack = RLIMIT_STACK;
}

impl Resource {
    /// No limit, `RLIM_INFINITY`.
    pub const UNLIMITED: u64 = u64::MAX;
}
