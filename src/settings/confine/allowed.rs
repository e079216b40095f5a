//! What a confined worker may do.

use std::{
    ffi::OsString,
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::settings::{Setting, Settings, What};

/// What a worker may do, for [`Process::confine`](crate::Process::confine).
///
/// You begin with [`compute`](Self::compute), which is close to nothing; each method
/// allows more, or says how much.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use zygote::{Process, settings::Confine};
///
/// #[zygote::entry]
/// fn name() -> std::io::Result<String> {
///     std::fs::read_to_string("/etc/hostname")?;
///     std::fs::read_to_string("/proc/self/comm")
/// }
///
/// let confine = Confine::compute().cpu_time(Duration::from_secs(5));
/// let process = Process::new()?.confine(confine);
/// let error = process.run(name::task())?.join()?.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
/// # Ok::<(), zygote::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it is for `Process::confine`"]
pub struct Confine {
    pub(super) memory: u64,
    pub(super) cpu_time: Duration,
    pub(super) readable: Vec<PathBuf>,
    pub(super) sockets: bool,
    pub(super) strict: bool,
}

/// How much it may take by default.
const MEMORY: u64 = 1 << 30;
const CPU_TIME: Duration = Duration::from_secs(60);

/// The bits of a confinement's third number.
const SOCKETS: i64 = 1;
const STRICT: i64 = 2;

impl Confine {
    /// Allows no file system, no network, no new processes and no other program: the
    /// worker can compute with what it was given.
    ///
    /// It has its memory, threads, time and randomness; it can read and write its
    /// standard streams and the descriptors in its arguments; and it gives its result.
    /// Anything else that it tries fails with `EPERM`.
    ///
    /// It may take 1 GiB of memory and 60 s of CPU time, unless
    /// [`memory`](Self::memory) and [`cpu_time`](Self::cpu_time) say otherwise.
    pub fn compute() -> Self {
        Self {
            memory: MEMORY,
            cpu_time: CPU_TIME,
            readable: Vec::new(),
            sockets: false,
            strict: false,
        }
    }

    /// Limits how many bytes it may have for writing, besides what it has from its
    /// template (`RLIMIT_DATA`): allocations beyond that fail, and Rust aborts. The
    /// whole stack of a thread counts; address space that is only reserved does not.
    /// The stack of the first thread has the same limit (`RLIMIT_STACK`). (Without
    /// /proc it cannot be known what the worker has from its template. Then the limit
    /// is for both together.)
    ///
    /// No file that it writes can become longer than this (`RLIMIT_FSIZE`, the error is
    /// `EFBIG`); this limits the length of a result, too.
    ///
    /// A worker that makes one memory file after the other takes more than this in
    /// total: only a cgroup limits everything together.
    ///
    /// # Examples
    ///
    /// ```
    /// use zygote::{Process, settings::Confine};
    ///
    /// #[zygote::entry]
    /// fn has_room_for(bytes: usize) -> bool {
    ///     Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
    /// }
    ///
    /// let process = Process::new()?.confine(Confine::compute().memory(64 << 20));
    /// assert!(process.fork()?.run(has_room_for::task(32 << 20))?.join()?);
    /// assert!(!process.run(has_room_for::task(128 << 20))?.join()?);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Limits how long it may compute, in seconds, rounded up (`RLIMIT_CPU`). At the
    /// limit it gets SIGXCPU, and a second later SIGKILL.
    ///
    /// This is CPU time and not time by the clock, since that is what a hostile worker
    /// can use up: it may sleep for ever, which costs nothing, and no signal that it
    /// blocks and no timer that it sets changes this limit. Your program decides how
    /// long it waits, by [`join_timeout`](crate::Worker::join_timeout) and
    /// [`kill_on_drop`](crate::Worker::kill_on_drop).
    pub fn cpu_time(mut self, limit: Duration) -> Self {
        self.cpu_time = limit;
        self
    }

    /// Lets it open this file for reading, or everything below this directory. Several
    /// calls add up.
    ///
    /// Needs Landlock, which Linux has since 5.13; without it
    /// [`run`](crate::Process::run) fails. The path is looked up in the worker, after
    /// its other settings, and must exist. A worker with one readable path can find out
    /// of any path whether it exists, and how long and how old the file is: Landlock
    /// does not guard that.
    ///
    /// # Examples
    ///
    /// ```
    /// use zygote::{Process, settings::Confine};
    ///
    /// #[zygote::entry]
    /// fn length(path: std::path::PathBuf) -> std::io::Result<usize> {
    ///     Ok(std::fs::read(path)?.len())
    /// }
    ///
    /// let process = Process::new()?.confine(Confine::compute().read("/usr"));
    /// let process = match process.fork()?.run(length::task("/usr/bin/env".into())) {
    ///     Err(error) if error.is_setting() => return Ok(()), // no Landlock here
    ///     worker => {
    ///         assert!(worker?.join()?? > 0);
    ///         process
    ///     }
    /// };
    /// assert!(process.run(length::task("/etc/passwd".into()))?.join()?.is_err());
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn read(mut self, path: impl AsRef<Path>) -> Self {
        self.readable.push(path.as_ref().to_owned());
        self
    }

    /// Lets it use the sockets that it was given as sockets: it can accept, send,
    /// receive, shut down, read and set options, and wait for many of them by epoll. It
    /// still cannot make, bind or connect any.
    ///
    /// (Without this it can read and write them, and wait by `poll`.)
    pub fn sockets(mut self) -> Self {
        self.sockets = true;
        self
    }

    /// Kills the worker at the first forbidden call, by SIGSYS
    /// ([`is_signal`](crate::Error::is_signal)), instead of failing the call with
    /// `EPERM`.
    ///
    /// Then even what libraries only try is deadly: for example, a panic with
    /// `RUST_BACKTRACE` set looks into /proc.
    ///
    /// # Examples
    ///
    /// ```
    /// use zygote::{Process, settings::Confine};
    ///
    /// #[zygote::entry]
    /// fn look() -> bool {
    ///     std::fs::File::open("/etc/passwd").is_ok()
    /// }
    ///
    /// let process = Process::new()?.confine(Confine::compute().strict());
    /// let error = process.run(look::task())?.join().unwrap_err();
    /// assert_eq!(error.exit().unwrap().to_string(), "was killed by SIGSYS");
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Gives the CPU time in whole seconds, at least one.
    pub(super) fn cpu_seconds(&self) -> u64 {
        let started = u64::from(self.cpu_time.subsec_nanos() > 0);
        self.cpu_time.as_secs().saturating_add(started).max(1)
    }

    fn setting(&self) -> Setting {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let bit = |set: bool, bit: i64| if set { bit } else { 0 };
        let setting = Setting::new(What::Confine)
            .number(number(self.memory))
            .number(number(self.cpu_seconds()))
            .number(bit(self.sockets, SOCKETS) | bit(self.strict, STRICT));
        let paths = self.readable.iter();
        paths.fold(setting, |setting, path| {
            setting.text(path.as_os_str().as_bytes())
        })
    }

    pub(super) fn of(setting: &Setting) -> io::Result<Self> {
        let [memory, seconds, bits] = setting.numbers[..] else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let path = |text: &Vec<u8>| OsString::from_vec(text.clone()).into();
        Ok(Self {
            memory: memory.unsigned_abs(),
            cpu_time: Duration::from_secs(seconds.unsigned_abs()),
            readable: setting.texts.iter().map(path).collect(),
            sockets: bits & SOCKETS != 0,
            strict: bits & STRICT != 0,
        })
    }
}

impl Settings {
    #[expect(clippy::needless_pass_by_value, reason = "as the other settings")]
    pub(crate) fn confine(&mut self, confine: Confine) {
        self.put(confine.setting());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confinement_comes_back_from_its_setting() {
        let all = Confine::compute()
            .memory(u64::MAX)
            .cpu_time(Duration::from_millis(1_001))
            .read("/a b")
            .read("c")
            .sockets();
        let back = Confine::of(&all.setting()).unwrap();
        assert_eq!(back.memory, i64::MAX.unsigned_abs());
        assert_eq!(back.cpu_time, Duration::from_secs(2));
        assert_eq!(back.readable, all.readable);
        assert!(back.sockets && !back.strict);
        let strict = Confine::compute().strict();
        assert_eq!(Confine::of(&strict.setting()).unwrap(), strict);
        assert_eq!(Confine::compute().cpu_time(Duration::ZERO).cpu_seconds(), 1);
        assert!(Confine::of(&Setting::new(What::Confine)).is_err());
    }
}
