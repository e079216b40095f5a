//! What the tests share: a limit on every wait, processes of their own, and
//! what must be as it was at the end.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::print_stdout, reason = "a test says why it did not run")]

use std::{
    env, fs,
    io::{self, Write},
    mem,
    os::unix::process::{ExitStatusExt, parent_id},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::{Command, ExitStatus, Output, Stdio, abort, id},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

/// How long anything that must happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// While it lives, the test has time left.
#[derive(Debug)]
#[must_use]
pub(crate) struct Watchdog(mpsc::Sender<()>);

/// Aborts the test program, with a message, when the test that calls it hangs:
/// when it takes several times as long as it may with the machine for itself.
pub(crate) fn watchdog(seconds: u64) -> Watchdog {
    let seconds = 4 * seconds;
    let (alive, ended) = mpsc::channel();
    let name = test_name();
    thread::spawn(move || {
        let waited = ended.recv_timeout(Duration::from_secs(seconds));
        if waited == Err(RecvTimeoutError::Timeout) {
            let _ = writeln!(io::stderr(), "{name}: not done after {seconds} s");
            abort();
        }
    });
    Watchdog(alive)
}

/// libtest names the thread.
fn test_name() -> String {
    thread::current().name().unwrap_or("a test").to_owned()
}

/// Whether the calling test cannot run, which it says.
pub(crate) fn missing(what: &str, is_there: bool) -> bool {
    if !is_there {
        println!("{}: not run, it needs {what}", test_name());
    }
    !is_there
}

/// A field of `/proc/PID/status`.
pub(crate) fn field(status: &str, name: &str) -> String {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(key, _)| *key == name);
    let (_, value) = found.unwrap_or_else(|| panic!("no {name} in {status}"));
    value.trim().to_owned()
}

/// Whether this process has a capability.
pub(crate) fn may(capability: zygote::settings::Capability) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let set = u64::from_str_radix(&field(&status, "CapEff"), 16).unwrap();
    set & (1 << capability as u8) != 0
}

/// Whether this process may give any user to a worker.
pub(crate) fn may_change_user() -> bool {
    may(zygote::settings::Capability::Setuid) && may(zygote::settings::Capability::Setgid)
}

/// Runs the calling test's body in a process of its own: this test program,
/// executed for this test alone. Gives what it wrote; `None` in that process.
pub(crate) fn alone(body: impl FnOnce()) -> Option<Output> {
    const CHOSEN: &str = "ZYGOTE_TEST_ALONE";
    let name = test_name();
    if env::var_os(CHOSEN).is_some_and(|chosen| chosen == *name) {
        body();
        return None;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHOSEN, &name)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{name}, in a process of its own, {}:\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Some(output)
}

/// Waits until it holds, at most [`PATIENCE`].
#[track_caller]
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    until_within(PATIENCE, what, holds);
}

/// Waits until it holds, at most this long.
#[track_caller]
pub(crate) fn until_within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Does it, and checks how long it took.
#[track_caller]
pub(crate) fn within<R>(limit: Duration, act: impl FnOnce() -> R) -> R {
    let started = Instant::now();
    let result = act();
    let took = started.elapsed();
    assert!(took < limit, "took {took:?}, more than {limit:?}");
    result
}

/// Uses the processor for this long, however long that takes.
pub(crate) fn burn(time: Duration) {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
        let used = usage.user_time() + usage.system_time();
        Duration::from_micros(used.num_microseconds().cast_unsigned())
    };
    while used() < time {}
}

#[zygote::entry]
fn nothing() {}

#[zygote::entry]
fn parent_of_worker() -> u32 {
    parent_id()
}

/// The process id of this process's default template.
pub(crate) fn template() -> u32 {
    parent_of_worker::spawn().unwrap().join().unwrap()
}

/// State and parent of a process; `None` when there is none.
pub(crate) fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may have any character.
    let mut fields = text[text.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

/// Whether it exists and is not a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// Whether it has ended and nobody has waited for it.
pub(crate) fn is_zombie(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state == 'Z')
}

/// Every process there is.
pub(crate) fn processes() -> Vec<u32> {
    let names = fs::read_dir("/proc").unwrap();
    names
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The children of a process, zombies among them.
pub(crate) fn children(of: u32) -> Vec<u32> {
    let mut all = processes();
    all.retain(|pid| stat(*pid).is_some_and(|(_, parent)| parent == of));
    all
}

/// What `ps` shows for a process.
pub(crate) fn title(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .trim_end_matches('\0')
        .to_owned()
}

/// The templates of a process, of which `ps` shows whose they are.
pub(crate) fn templates(of: u32) -> Vec<u32> {
    let wanted = format!("zygote: template of {of}");
    let mut all = processes();
    all.retain(|pid| is_alive(*pid) && title(*pid) == wanted);
    // What was forked and has said nothing yet is called as its template.
    let forked = |pid: &u32| stat(*pid).is_some_and(|(_, parent)| all.contains(&parent));
    all.iter().copied().filter(|pid| !forked(pid)).collect()
}

/// How many descriptors a process has.
pub(crate) fn fds(of: u32) -> usize {
    let path = format!("/proc/{of}/fd");
    // In our own the listing's own descriptor is among them, always.
    fs::read_dir(Path::new(&path)).map_or(0, Iterator::count)
}

/// The most that a template has in stock, as in `src/client/forks.rs`.
pub(crate) const STOCK: usize = 16;

/// How long a template that can fork may need to fill it.
const FILLING: Duration = Duration::from_secs(10);

/// The processes that a template has in stock.
pub(crate) fn in_stock(of: u32) -> Vec<u32> {
    let wanted = format!("zygote: in stock of {of}");
    let mut all = children(of);
    all.retain(|pid| title(*pid) == wanted);
    all
}

/// How many are in stock when none is added any more, or it is full.
pub(crate) fn stock_at_rest(of: u32) -> usize {
    let mut last = 0;
    loop {
        thread::sleep(Duration::from_millis(15));
        let now = in_stock(of).len();
        if now == STOCK || now == last {
            return now;
        }
        last = now;
    }
}

/// Uses the default template until its stock is full. More than that were in use
/// at the same time.
pub(crate) fn fill_stock(template: u32) {
    let started = Instant::now();
    while stock_at_rest(template) < STOCK && started.elapsed() < FILLING {
        let worker = nothing::spawn().unwrap();
        worker.wait().unwrap();
        worker.join().unwrap();
    }
}

/// What this process and its default template have. For a test that is
/// [`alone`]: others change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Census {
    template: u32,
    own_fds: usize,
    template_fds: usize,
    template_children: usize,
    own_children: usize,
    zombies: Vec<u32>,
}

impl Census {
    /// Takes stock, after it was filled.
    pub(crate) fn take() -> Self {
        let before = Self::now();
        // What was dropped a moment ago is still about to end.
        let mut last = before;
        let started = Instant::now();
        loop {
            thread::sleep(Duration::from_millis(20));
            let next = Self::now();
            if next == last || started.elapsed() > PATIENCE {
                return next;
            }
            last = next;
        }
    }

    fn now() -> Self {
        let template = template();
        let workers: Vec<_> = (0..STOCK).map(|_| nothing::spawn().unwrap()).collect();
        for worker in workers {
            worker.wait().unwrap();
            worker.join().unwrap();
        }
        // The launcher is there from the first one on.
        assert!(zygote::Command::new("true").status().unwrap().success());
        fill_stock(template);
        let (mut own, forked) = (children(id()), children(template));
        // The early one is a child, one that was executed is not.
        own.retain(|pid| *pid != template);
        let all = own.iter().chain(&forked);
        Self {
            template,
            own_fds: fds(id()),
            template_fds: fds(template),
            template_children: forked.len(),
            own_children: own.len(),
            zombies: all.copied().filter(|pid| is_zombie(*pid)).collect(),
        }
    }

    /// As [`check`](Self::check), though the template is another.
    #[track_caller]
    pub(crate) fn check_with_new_template(mut self) {
        self.template = template();
        self.check();
    }

    /// Everything must be as it was, within [`PATIENCE`].
    #[track_caller]
    pub(crate) fn check(&self) {
        let started = Instant::now();
        loop {
            let now = Self::now();
            if now == *self {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "before {self:?}, now {now:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Sets how many descriptors a process may have; gives the number before.
#[allow(unsafe_code, reason = "there is no safe prlimit(2) at hand")]
pub(crate) fn limit_fds(pid: u32, soft: u64) -> u64 {
    let pid = i32::try_from(pid).unwrap();
    // SAFETY: an all-zero rlimit is one.
    let mut before: libc::rlimit = unsafe { mem::zeroed() };
    // SAFETY: both pointers are null or to an rlimit.
    let got = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut before) };
    assert_eq!(got, 0, "{}", io::Error::last_os_error());
    let new = libc::rlimit {
        rlim_cur: soft.min(before.rlim_max),
        ..before
    };
    // SAFETY: as above.
    let set = unsafe {
        libc::prlimit(
            pid,
            libc::RLIMIT_NOFILE,
            &raw const new,
            std::ptr::null_mut(),
        )
    };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
    before.rlim_cur
}

/// Runs it in a plain `fork` of this process, which must have one thread: a
/// worker has. A panic is the exit code 101.
#[allow(unsafe_code, reason = "what a program does that forks by itself")]
pub(crate) fn forked(body: impl FnOnce()) -> ExitStatus {
    // SAFETY: this process has one thread, so the copy is whole.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "{}", io::Error::last_os_error());
    if pid == 0 {
        let code = catch_unwind(AssertUnwindSafe(body)).map_or(101, |()| 0);
        // SAFETY: it ends the copy without running what is the original's.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: the pointer is to the status.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid, "{}", io::Error::last_os_error());
    ExitStatus::from_raw(status)
}

/// Sends a signal to a process, or to one that has ended just now.
pub(crate) fn signal(pid: u32, signal: i32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    let signal = nix::sys::signal::Signal::try_from(signal).unwrap();
    let sent = nix::sys::signal::kill(pid, signal);
    assert!(
        matches!(sent, Ok(()) | Err(nix::errno::Errno::ESRCH)),
        "{sent:?}"
    );
}

/// Lets this process write a core, as far as it may.
#[allow(unsafe_code, reason = "there is no safe setrlimit(2) at hand")]
pub(crate) fn allow_cores() {
    let mut limit = core_limit();
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is to an rlimit.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// Whether the hard limit leaves room for a core.
pub(crate) fn cores_are_allowed() -> bool {
    core_limit().rlim_max > 0
}

#[allow(unsafe_code, reason = "there is no safe getrlimit(2) at hand")]
fn core_limit() -> libc::rlimit {
    // SAFETY: an all-zero rlimit is one.
    let mut limit: libc::rlimit = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to an rlimit.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit) };
    assert_eq!(got, 0, "{}", io::Error::last_os_error());
    limit
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A directory for cgroups that this process may make: of version 2, or of this
/// controller of version 1.
pub(crate) fn cgroups(controller: Option<&str>) -> Option<std::path::PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mut found = mounts.lines().filter_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let is_it = match controller {
            None => words[2] == "cgroup2",
            Some(name) => words[2] == "cgroup" && words[3].split(',').any(|word| word == name),
        };
        is_it.then(|| words[1].into())
    });
    let found = found.find(|dir: &std::path::PathBuf| {
        let trial = dir.join(format!("zygote-trial-{}", id()));
        fs::create_dir(&trial)
            .and_then(|()| fs::remove_dir(&trial))
            .is_ok()
    });
    missing("a place for cgroups of its own", found.is_some());
    found
}

/// A cgroup of its own, removed at the end.
#[derive(Debug)]
pub(crate) struct OwnCgroup(pub(crate) std::path::PathBuf);

impl OwnCgroup {
    pub(crate) fn make(controller: Option<&str>, name: &str) -> Option<Self> {
        let path = cgroups(controller)?.join(format!("zygote-{name}-{}", id()));
        fs::create_dir(&path).unwrap();
        Some(Self(path))
    }

    /// The last part of its path.
    pub(crate) fn name(&self) -> String {
        self.0.file_name().unwrap().to_str().unwrap().to_owned()
    }

    pub(crate) fn is_empty(&self) -> bool {
        fs::read_to_string(self.0.join("cgroup.procs"))
            .unwrap()
            .is_empty()
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        let started = Instant::now();
        while self.0.exists() && started.elapsed() < PATIENCE {
            let _ = fs::remove_dir(&self.0);
            thread::sleep(Duration::from_millis(1));
        }
    }
}
