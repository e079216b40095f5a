//! Programs to look at from outside: a test binary runs itself again, and the
//! new process plays one role.
//!
//! Every probe is the leader of a process group of its own, so that everything
//! it leaves behind is found by that group, whoever its parent is by then.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

/// Names the role.
const ROLE: &str = "ZYGOTE_PROBE";

/// Where reports go when it is not stdout.
pub(crate) const REPORT: &str = "ZYGOTE_PROBE_REPORT";

/// How long any single step may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// The body of the test named `probe`: plays the role, if there is one.
pub(crate) fn play(act: impl FnOnce(&str)) {
    if let Ok(role) = env::var(ROLE) {
        act(&role);
    }
}

/// Reports one line to the test: in a probe.
pub(crate) fn say(key: &str, value: impl std::fmt::Display) {
    // The harness leaves the cursor inside a line.
    let line = format!("\n@{key} {value}\n");
    match env::var_os(REPORT) {
        Some(path) => {
            let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(line.as_bytes()).unwrap();
        }
        None => std::io::stdout().write_all(line.as_bytes()).unwrap(),
    }
}

/// What the test says next: in a probe.
pub(crate) fn hear() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// Polls until it holds; whether it did within the limit.
pub(crate) fn until(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// The command for a role, of this binary.
pub(crate) fn command(role: &str) -> Command {
    command_of(&env::current_exe().unwrap(), role)
}

/// The command for a role, of a binary that is a copy of this one.
pub(crate) fn command_of(program: &Path, role: &str) -> Command {
    within(&[], program, role)
}

/// The command for a role, started by another program that executes the rest of
/// its arguments.
pub(crate) fn within(wrapper: &[&str], program: &Path, role: &str) -> Command {
    let mut command = match wrapper.split_first() {
        None => Command::new(program),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command
        .args(["probe", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env("RUST_BACKTRACE", "0")
        .env_remove(REPORT);
    command
}

/// Runs a command to its end; its stdout, and how it ended.
pub(crate) fn output(mut command: Command) -> (String, ExitStatus) {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = start(command);
    let mut stdout = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        stdout.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    let status = end_of(&mut child);
    kill_group(child.id());
    (reader.join().unwrap(), status)
}

/// Starts it, also when a child that another test is just starting still holds
/// the copy of the program open for writing.
fn start(mut command: Command) -> Child {
    set_apart(&mut command);
    let mut child = None;
    until(LIMIT, || match command.spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => false,
        result => {
            child = Some(result.unwrap());
            true
        }
    });
    child.unwrap()
}

/// Makes it the leader of a session and a group of its own. Of a session, too:
/// when a group loses its last tie to its session while a member is stopped,
/// the kernel sends SIGHUP to all of it.
fn set_apart(command: &mut Command) {
    let set = || {
        // A shell starts what runs in the background with the first two ignored,
        // nohup with the last.
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
            // SAFETY: the default disposition runs no code.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        nix::unistd::setsid().map(drop).map_err(Into::into)
    };
    // SAFETY: signal and setsid are async-signal-safe and touch no memory.
    unsafe { command.pre_exec(set) };
}

fn end_of(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until(LIMIT, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    if status.is_none() {
        kill_group(child.id());
        panic!("the program did not end within {LIMIT:?}");
    }
    status.unwrap()
}

/// A program in its role.
pub(crate) struct Probe {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Probe {
    pub(crate) fn start(role: &str) -> Self {
        Self::spawn(command(role))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = start(command);
        let (sender, lines) = mpsc::channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        let input = child.stdin.take().unwrap();
        Self {
            child,
            input,
            lines,
            heard: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the report of this key.
    #[track_caller]
    pub(crate) fn expect(&mut self, key: &str) -> String {
        self.expect_within(key, LIMIT)
    }

    #[track_caller]
    pub(crate) fn expect_within(&mut self, key: &str, limit: Duration) -> String {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {key:?} within {limit:?}; heard: {:#?}", self.heard);
            };
            if let Some(report) = line.strip_prefix('@')
                && let Some((said, value)) = report.split_once(' ')
                && said == key
            {
                return value.to_owned();
            }
            self.heard.push(line);
        }
    }

    pub(crate) fn tell(&mut self, what: &str) {
        writeln!(self.input, "{what}").unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Waits for its end, which must be the one of a test that passed.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        let status = end_of(&mut self.child);
        if !status.success() {
            until(Duration::from_millis(200), || {
                self.heard.extend(self.lines.try_iter());
                false
            });
            panic!("the probe failed, {status}: {:#?}", self.heard);
        }
    }

    /// What it said and nobody asked for, when it has ended.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        // Both streams are at their end when nobody holds them any more.
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            self.heard.push(line);
        }
        std::mem::take(&mut self.heard)
    }

    /// Waits for its end, whatever it is.
    pub(crate) fn end(&mut self) -> ExitStatus {
        end_of(&mut self.child)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        kill_group(self.child.id());
        let _ = self.child.wait();
    }
}

/// A process as the kernel shows it.
#[derive(Debug)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    pub(crate) state: char,
    pub(crate) parent: u32,
    pub(crate) group: u32,
}

/// Every process of a group, dead ones included.
pub(crate) fn group(id: u32) -> Vec<Stat> {
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| stat(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .filter(|stat| stat.group == id)
        .collect()
}

/// The processes of a group that live.
pub(crate) fn living(id: u32) -> Vec<u32> {
    let all = group(id).into_iter();
    all.filter(|stat| !matches!(stat.state, 'Z' | 'X'))
        .map(|stat| stat.pid)
        .collect()
}

/// [`living`], when no template fills its stock any more.
pub(crate) fn at_rest(id: u32) -> Vec<u32> {
    let mut last = living(id);
    assert!(until(LIMIT, || {
        thread::sleep(Duration::from_millis(50));
        let now = living(id);
        std::mem::replace(&mut last, now.clone()) == now
    }));
    last
}

/// The most that a template has in stock, as in `src/client/forks.rs`.
pub(crate) const STOCK: usize = 16;

/// The processes that a template of this program has in stock.
pub(crate) fn in_stock(of: u32) -> Vec<u32> {
    let wanted = format!("zygote: in stock of {of}");
    let mut all = living(std::process::id());
    all.retain(|pid| {
        let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        title.split(|byte| *byte == 0).next() == Some(wanted.as_bytes())
    });
    all
}

/// Uses a template until its stock is full: one process at a time, after as many
/// at once as there may be in stock.
pub(crate) fn fill_stock(of: u32, mut one: impl FnMut()) {
    let mut last = 0;
    assert!(until(LIMIT, || {
        thread::sleep(Duration::from_millis(15));
        let now = in_stock(of).len();
        if std::mem::replace(&mut last, now) == now && now < STOCK {
            one();
        }
        now == STOCK
    }));
}

pub(crate) fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    Some(Stat {
        pid,
        state: words.next()?.chars().next()?,
        parent: words.next()?.parse().ok()?,
        group: words.next()?.parse().ok()?,
    })
}

pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// Kills what lives of a group that was started here.
pub(crate) fn kill_group(id: u32) {
    for pid in living(id) {
        send(pid, libc::SIGKILL);
    }
}

/// Sends a signal to a process that a test made.
pub(crate) fn send(pid: u32, signal: i32) {
    // SAFETY: kill touches no memory.
    unsafe { libc::kill(pid.cast_signed(), signal) };
}

/// Sends a signal to every process of a group, as a terminal does.
pub(crate) fn send_group(id: u32, signal: i32) {
    // SAFETY: kill touches no memory.
    let result = unsafe { libc::kill(-id.cast_signed(), signal) };
    assert_eq!(result, 0);
}

/// Processes whose end is waited for.
pub(crate) struct Watch(Vec<(u32, OwnedFd)>);

impl Watch {
    pub(crate) fn on(pids: impl IntoIterator<Item = u32>) -> Self {
        let open = |pid: u32| {
            // SAFETY: pidfd_open takes two numbers.
            let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
            let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
            // SAFETY: the kernel made this descriptor for this call.
            Some((pid, unsafe { OwnedFd::from_raw_fd(fd) }))
        };
        Self(pids.into_iter().filter_map(open).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Waits until all have ended; gives those that have not within the limit.
    pub(crate) fn survivors(&self, limit: Duration) -> Vec<u32> {
        let end = Instant::now() + limit;
        let lives = |fd: &OwnedFd| {
            let left = end.saturating_duration_since(Instant::now());
            let mut poll = libc::pollfd {
                fd: fd.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            let left = i32::try_from(left.as_millis()).unwrap();
            // SAFETY: the pointer is to one live pollfd.
            unsafe { libc::poll(&raw mut poll, 1, left) == 0 }
        };
        let late = self.0.iter().filter(|(_, fd)| lives(fd));
        late.map(|(pid, _)| *pid).collect()
    }
}

/// The descriptors of a process: number and what it is.
pub(crate) fn descriptors(pid: u32) -> Vec<(i32, String)> {
    let path = format!("/proc/{pid}/fd");
    let mut list: Vec<(i32, String)> = fs::read_dir(path)
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, target.to_string_lossy().into_owned()))
        })
        .collect();
    list.sort_unstable();
    list
}

/// One field of `/proc/PID/status`.
pub(crate) fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key == name).then(|| value.trim().to_owned())
    });
    line.unwrap_or_else(|| panic!("no {name} in {status}"))
}

/// A field that is a set of signals.
pub(crate) fn signals(status: &str, name: &str) -> u64 {
    u64::from_str_radix(&field(status, name), 16).unwrap()
}

pub(crate) fn status(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/status")).unwrap()
}

/// The middle one.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
