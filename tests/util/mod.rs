//! What the tests share: a limit on every wait, processes of their own, and
//! what must be as it was at the end.

#![allow(dead_code, reason = "each test program uses a part of it")]

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

/// How long anything that must happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// While it lives, the test has time left.
#[derive(Debug)]
#[must_use]
pub(crate) struct Watchdog(mpsc::Sender<()>);

/// Aborts the test program, with a message, when the test that calls it takes
/// longer than this.
pub(crate) fn watchdog(seconds: u64) -> Watchdog {
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
    // What a template has in stock is called as it is.
    let forked = |pid: &u32| stat(*pid).is_some_and(|(_, parent)| all.contains(&parent));
    all.iter().copied().filter(|pid| !forked(pid)).collect()
}

/// How many descriptors a process has.
pub(crate) fn fds(of: u32) -> usize {
    let path = format!("/proc/{of}/fd");
    // In our own the listing's own descriptor is among them, always.
    fs::read_dir(Path::new(&path)).map_or(0, Iterator::count)
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
        // As many at once as there may be in stock, so that it stays full.
        let workers: Vec<_> = (0..16).map(|_| nothing::spawn().unwrap()).collect();
        for worker in workers {
            worker.wait().unwrap();
            worker.join().unwrap();
        }
        let template = template();
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
