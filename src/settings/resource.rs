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

            /// Gives the kernel's number, which differs between machines.
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
    /// Bytes of address space. Beyond it the error is `ENOMEM`; an allocation of Rust's
    /// that fails ends with SIGABRT (an [`Allocator`](crate::Allocator) tells its size),
    /// and a stack that cannot grow ends with SIGSEGV.
    As = RLIMIT_AS;
    /// Bytes of a core file. With 0 none is written; a longer one is cut.
    Core = RLIMIT_CORE;
    /// Seconds of CPU time. At the soft limit the process gets SIGXCPU, again each
    /// second; at the hard one it gets SIGKILL.
    Cpu = RLIMIT_CPU;
    /// Bytes of private writable memory. Beyond it the same happens as with
    /// [`As`](Self::As).
    Data = RLIMIT_DATA;
    /// Bytes of a file that is written. Beyond it the process gets SIGXFSZ, and `EFBIG`
    /// if that is ignored. (A long result stands in memory that counts as a file.)
    Fsize = RLIMIT_FSIZE;
    /// File locks. This limit has no effect since Linux 2.4.25.
    Locks = RLIMIT_LOCKS;
    /// Bytes of locked memory. Beyond it the error is `ENOMEM` or `EPERM`. It does not
    /// limit processes with `CAP_IPC_LOCK`.
    Memlock = RLIMIT_MEMLOCK;
    /// Bytes of POSIX message queues of this user. Beyond it the error is `EMFILE`.
    Msgqueue = RLIMIT_MSGQUEUE;
    /// 20 minus the least nice value that may be asked for. Beyond it the error is
    /// `EACCES`.
    Nice = RLIMIT_NICE;
    /// One more than the highest descriptor. Beyond it the error is `EMFILE`.
    Nofile = RLIMIT_NOFILE;
    /// Processes and threads of this user, including those of other programs. Beyond it
    /// the error is `EAGAIN`. It does not limit root, nor processes with
    /// `CAP_SYS_ADMIN` or `CAP_SYS_RESOURCE`.
    Nproc = RLIMIT_NPROC;
    /// Resident memory. This limit has no effect since Linux 2.4.30.
    Rss = RLIMIT_RSS;
    /// The highest real-time priority that may be asked for. Beyond it the error is
    /// `EPERM`.
    Rtprio = RLIMIT_RTPRIO;
    /// Microseconds of CPU time of a real-time process without a blocking system call.
    /// At the soft limit it gets SIGXCPU, at the hard one SIGKILL.
    Rttime = RLIMIT_RTTIME;
    /// Queued signals of this user. Beyond it `sigqueue(3)` fails with `EAGAIN`.
    Sigpending = RLIMIT_SIGPENDING;
    /// Bytes of the main thread's stack. Beyond it the process gets SIGSEGV.
    Stack = RLIMIT_STACK;
}

impl Resource {
    /// No limit, `RLIM_INFINITY`.
    pub const UNLIMITED: u64 = u64::MAX;
}
