//! The capabilities of Linux.

use std::fmt;

macro_rules! capabilities {
    ($($(#[$doc:meta])+ $variant:ident = $number:literal, $name:literal;)+) => {
        /// One of the rights that make up root's, `capabilities(7)`, for
        /// [`Process::capabilities`](crate::Process::capabilities).
        ///
        /// Its number is the kernel's, and it is shown by the kernel's name.
        ///
        /// # Examples
        ///
        /// ```
        /// use zygote::settings::Capability;
        ///
        /// assert_eq!(Capability::NetBindService.to_string(), "CAP_NET_BIND_SERVICE");
        /// assert_eq!(Capability::NetBindService as u8, 10);
        /// assert!(Capability::ALL.contains(&Capability::NetBindService));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Capability {
            $($(#[$doc])+ $variant = $number,)+
        }

        impl Capability {
            /// All that this crate knows, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

capabilities! {
    /// To change the owner of files.
    Chown = 0, "CAP_CHOWN";
    /// To read, write and execute any file.
    DacOverride = 1, "CAP_DAC_OVERRIDE";
    /// To read any file and search any directory.
    DacReadSearch = 2, "CAP_DAC_READ_SEARCH";
    /// To do what only a file's owner may: `chmod`, `utime`.
    Fowner = 3, "CAP_FOWNER";
    /// To keep the set-user-id bits of a file that is changed.
    Fsetid = 4, "CAP_FSETID";
    /// To send signals to any process.
    Kill = 5, "CAP_KILL";
    /// To change group ids and supplementary groups.
    Setgid = 6, "CAP_SETGID";
    /// To change user ids.
    Setuid = 7, "CAP_SETUID";
    /// To change the bounding set, and what is inheritable.
    Setpcap = 8, "CAP_SETPCAP";
    /// To change the immutable and append-only flags of files.
    LinuxImmutable = 9, "CAP_LINUX_IMMUTABLE";
    /// To bind ports below 1024.
    NetBindService = 10, "CAP_NET_BIND_SERVICE";
    /// To broadcast, and to listen to multicasts. (Unused.)
    NetBroadcast = 11, "CAP_NET_BROADCAST";
    /// To configure the network.
    NetAdmin = 12, "CAP_NET_ADMIN";
    /// To use raw and packet sockets.
    NetRaw = 13, "CAP_NET_RAW";
    /// To lock memory beyond the limit.
    IpcLock = 14, "CAP_IPC_LOCK";
    /// To use any System V IPC object.
    IpcOwner = 15, "CAP_IPC_OWNER";
    /// To load and unload kernel modules.
    SysModule = 16, "CAP_SYS_MODULE";
    /// To use I/O ports and raw memory.
    SysRawio = 17, "CAP_SYS_RAWIO";
    /// To change the root directory and mount namespace.
    SysChroot = 18, "CAP_SYS_CHROOT";
    /// To look into and trace any process.
    SysPtrace = 19, "CAP_SYS_PTRACE";
    /// To switch process accounting on and off.
    SysPacct = 20, "CAP_SYS_PACCT";
    /// To mount, to make namespaces, and to do whatever else has no capability of its
    /// own: nearly root.
    SysAdmin = 21, "CAP_SYS_ADMIN";
    /// To reboot, and to load another kernel.
    SysBoot = 22, "CAP_SYS_BOOT";
    /// To raise priorities and choose CPUs of any process.
    SysNice = 23, "CAP_SYS_NICE";
    /// To go beyond quotas and raise hard limits.
    SysResource = 24, "CAP_SYS_RESOURCE";
    /// To set the clocks.
    SysTime = 25, "CAP_SYS_TIME";
    /// To configure terminals, and to hang them up.
    SysTtyConfig = 26, "CAP_SYS_TTY_CONFIG";
    /// To make device files.
    Mknod = 27, "CAP_MKNOD";
    /// To take leases on any file.
    Lease = 28, "CAP_LEASE";
    /// To write to the audit log.
    AuditWrite = 29, "CAP_AUDIT_WRITE";
    /// To configure auditing.
    AuditControl = 30, "CAP_AUDIT_CONTROL";
    /// To give files capabilities.
    Setfcap = 31, "CAP_SETFCAP";
    /// To override mandatory access control.
    MacOverride = 32, "CAP_MAC_OVERRIDE";
    /// To configure mandatory access control.
    MacAdmin = 33, "CAP_MAC_ADMIN";
    /// To read and clear the kernel's log.
    Syslog = 34, "CAP_SYSLOG";
    /// To set a timer that wakes the system.
    WakeAlarm = 35, "CAP_WAKE_ALARM";
    /// To keep the system from suspending.
    BlockSuspend = 36, "CAP_BLOCK_SUSPEND";
    /// To read the audit log.
    AuditRead = 37, "CAP_AUDIT_READ";
    /// To observe with `perf_event_open(2)`.
    Perfmon = 38, "CAP_PERFMON";
    /// To load BPF programs.
    Bpf = 39, "CAP_BPF";
    /// To checkpoint and restore processes.
    CheckpointRestore = 40, "CAP_CHECKPOINT_RESTORE";
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "a test says why it did not run")]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_gap_and_the_kernel_knows_them() {
        let numbers: Vec<u8> = Capability::ALL.iter().map(|it| *it as u8).collect();
        assert_eq!(numbers, (0..41).collect::<Vec<u8>>());
        let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap");
        // A kernel from before the newest of them knows fewer, and fewer only.
        if let Ok(last) = last {
            let last: usize = last.trim().parse().unwrap();
            assert!(last >= Capability::AuditRead as usize, "{last}");
            if last < 40 {
                println!("this kernel has {} of 41 capabilities", last + 1);
            }
        }
    }

    #[test]
    fn names_and_numbers_are_those_of_the_kernels_header() {
        let Ok(header) = std::fs::read_to_string("/usr/include/linux/capability.h") else {
            return println!("not run: the kernel's headers are not installed");
        };
        let mut seen = 0;
        for line in header.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ["#define", name, number] = words[..] else {
                continue;
            };
            // Not CAP_LAST_CAP and the macros.
            if let Ok(number) = number.parse::<usize>()
                && name.starts_with("CAP_")
            {
                assert_eq!(Capability::ALL[number].to_string(), name);
                seen += 1;
            }
        }
        assert!((38..=41).contains(&seen), "{seen}");
    }
}
