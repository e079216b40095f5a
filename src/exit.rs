//! How a process ended: its status and what it used.

use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

/// How a worker ended.
///
/// [`Worker::wait`](crate::Worker::wait) and [`Error::exit`](crate::Error::exit) give
/// it. An `Exit` is data: a worker that was killed gives an `Exit`, not an error.
///
/// # Examples
///
/// ```
/// #[zygote::entry]
/// fn leave() {
///     std::process::exit(3);
/// }
///
/// let exit = leave::spawn()?.wait()?;
/// assert_eq!(exit.status().and_then(|status| status.code()), Some(3));
/// assert!(!exit.success());
/// # Ok::<(), zygote::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Exit {
    status: Option<i32>,
    rusage: Option<Rusage>,
}

/// The resources that a process and the children it waited for have used: the
/// fields of `getrusage(2)` that Linux maintains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Rusage {
    /// Time on the CPU in user mode (`ru_utime`).
    pub user: Duration,
    /// Time on the CPU in the kernel (`ru_stime`).
    pub system: Duration,
    /// The largest resident set, in bytes (`ru_maxrss`, which Linux counts in
    /// KiB). A worker starts with its template's pages mapped, and they count.
    pub max_rss: u64,
    /// Page faults served without I/O (`ru_minflt`).
    pub minor_faults: u64,
    /// Page faults that needed I/O (`ru_majflt`).
    pub major_faults: u64,
    /// Blocks of 512 bytes read from a file system (`ru_inblock`).
    pub blocks_in: u64,
    /// Blocks of 512 bytes written to a file system (`ru_oublock`).
    pub blocks_out: u64,
    /// Context switches because the process waited (`ru_nvcsw`).
    pub voluntary_switches: u64,
    /// Context switches because the kernel took the CPU away (`ru_nivcsw`).
    pub involuntary_switches: u64,
}

impl Exit {
    /// Makes one from the raw status of `wait4(2)`, if that is known.
    pub(crate) fn new(status: Option<i32>, rusage: Option<Rusage>) -> Self {
        Self { status, rusage }
    }

    /// Gives the exit code or the signal, as `std` represents them.
    ///
    /// It is `None` if it cannot be known, because the worker's template died before it
    /// could report, and the kernel (before Linux 6.15) has no other source.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        self.status.map(ExitStatus::from_raw)
    }

    /// Tells whether a signal killed the worker, as far as that is known.
    pub(crate) fn is_signal(&self) -> bool {
        self.status()
            .is_some_and(|status| status.signal().is_some())
    }

    /// Tells whether it ended as a process does that calls `abort`.
    pub(crate) fn is_abort(&self) -> bool {
        let signal = self.status().and_then(|status| status.signal());
        signal == Some(libc::SIGABRT)
    }

    /// Says what the worker used; `None` if that is not known.
    #[must_use]
    pub fn rusage(&self) -> Option<Rusage> {
        self.rusage
    }

    /// Tells whether the worker left with exit code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status().is_some_and(|status| status.success())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(status) = self.status() else {
            return f.write_str("ended with an unknown status");
        };
        match (status.signal(), status.code()) {
            (Some(signal), _) => {
                write!(f, "was killed by {}", signal_name(signal))?;
                if status.core_dumped() {
                    f.write_str(" (core dumped)")?;
                }
                Ok(())
            }
            (None, Some(code)) => write!(f, "exited with code {code}"),
            (None, None) => write!(f, "ended with wait status {:#x}", status.into_raw()),
        }
    }
}

/// Gives `SIGSEGV` for 11, `SIGRTMIN+2` for 36, and so on.
fn signal_name(signal: i32) -> String {
    if let Ok(known) = nix::sys::signal::Signal::try_from(signal) {
        return known.as_str().to_owned();
    }
    let first = libc::SIGRTMIN();
    if (first..=libc::SIGRTMAX()).contains(&signal) {
        return format!("SIGRTMIN+{}", signal - first);
    }
    format!("signal {signal}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_code_signal_and_core() {
        let text = |raw| Exit::new(Some(raw), None).to_string();
        assert_eq!(text(7 << 8), "exited with code 7");
        assert_eq!(text(libc::SIGSEGV), "was killed by SIGSEGV");
        assert_eq!(
            text(libc::SIGABRT | 0x80),
            "was killed by SIGABRT (core dumped)"
        );
        assert_eq!(text(libc::SIGRTMIN() + 2), "was killed by SIGRTMIN+2");
        assert_eq!(
            Exit::new(None, None).to_string(),
            "ended with an unknown status"
        );
    }

    #[test]
    fn success_is_code_zero_only() {
        assert!(Exit::new(Some(0), None).success());
        assert!(!Exit::new(Some(1 << 8), None).success());
        assert!(!Exit::new(Some(libc::SIGKILL), None).success());
        assert!(!Exit::new(None, None).success());
    }
}
