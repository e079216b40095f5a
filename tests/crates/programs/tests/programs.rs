//! Runs the programs, and checks from outside what they say, how they end, and that none
//! of their processes is left then.
#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::print_stderr, reason = "one that failed says what was there")]

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use tempfile::TempDir;

/// How long anything that must happen may take, on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(60);

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A program that was started in a directory of its own, by which its processes are
/// known: they inherit it.
struct Program {
    child: Child,
    dir: TempDir,
}

impl Program {
    fn start(program: &str, args: &[&str], input: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = |name| File::create(dir.path().join(name)).unwrap();
        fs::write(dir.path().join("in"), input).unwrap();
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(dir.path())
            .env("RUST_BACKTRACE", "0");
        command.stdin(File::open(dir.path().join("in")).unwrap());
        let child = command.stdout(file("out")).stderr(file("err")).spawn();
        let child = child.unwrap();
        Self { child, dir }
    }

    fn stdout(&self) -> String {
        fs::read_to_string(self.dir.path().join("out")).unwrap()
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.dir.path().join("err")).unwrap()
    }

    /// The processes of the program, each as `ps` shows it.
    fn processes(&self) -> Vec<String> {
        let dir = self.dir.path().canonicalize().unwrap();
        let all = fs::read_dir("/proc").unwrap();
        let own = all
            .map(|entry| entry.unwrap().path())
            .filter(|process| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == dir));
        own.filter_map(|process| fs::read_to_string(process.join("cmdline")).ok())
            .collect()
    }

    /// How many of its processes have this in what `ps` shows.
    fn count(&self, what: &str) -> usize {
        let all = self.processes().into_iter();
        all.filter(|process| process.contains(what)).count()
    }

    fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Waits for the end of the program and of all its processes.
    fn end(&mut self) -> ExitStatus {
        let end = || self.child.try_wait().unwrap();
        let status = until("the end", end);
        until("nothing is left", || {
            self.processes().is_empty().then_some(())
        });
        status
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended, if the test has not failed.
        if thread::panicking() {
            eprintln!("{}{}", self.stdout(), self.stderr());
            eprintln!("processes: {:#?}", self.processes());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

/// Asks the service, and gives the status and the text of its answer.
fn post(address: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head = "POST /decode HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length:";
    write!(stream, "{head} {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap();
    (status.parse().unwrap(), text.to_owned())
}

/// Starts the service, and gives its address.
fn web() -> (Program, String) {
    let web = Program::start(env!("CARGO_BIN_EXE_web"), &["2"], "");
    let address = until("it listens", || {
        let line = web.stdout();
        Some(line.strip_suffix('\n')?.rsplit(' ').next()?.to_owned())
    });
    (web, address)
}

#[test]
fn web_answers_whatever_the_decoder_does() {
    let (mut web, address) = web();
    assert_eq!(post(&address, "fine"), (200, "4 bytes".to_owned()));
    for (body, reason) in [
        ("", "there is nothing to decode"),
        ("error", "there is no format 101"),
        ("open", "Operation not permitted (os error 1)"),
        ("panic", "byte 0 is a bug in the decoder"),
        (
            "abort",
            "the worker was killed by SIGABRT before it gave a result",
        ),
        (
            "memory",
            "the worker was killed by SIGABRT before it gave a result",
        ),
    ] {
        let (status, text) = post(&address, body);
        assert_eq!(status, 422, "{body}: {text}");
        assert!(text.starts_with(reason), "{body}: {text}");
    }
    assert!(web.stderr().contains("web.rs:"));
    assert_eq!(post(&address, "fine").0, 200);
    web.signal(Signal::SIGTERM);
    assert!(web.end().success());
}

#[test]
fn web_kills_what_hangs_refuses_what_is_too_much_and_ends_with_grace() {
    let (mut web, address) = web();
    let hang = || {
        let address = address.clone();
        thread::spawn(move || post(&address, "hang"))
    };
    let decoding = |many| {
        let look = || (web.count("web::parse") == many).then_some(());
        until(&format!("{many} are decoded"), look);
    };
    let hanging = [hang(), hang(), hang(), hang()];
    decoding(4);
    assert_eq!(post(&address, "fine").0, 503);
    for hanging in hanging {
        assert_eq!(hanging.join().unwrap().0, 504);
    }
    decoding(0);
    assert_eq!(post(&address, "fine").0, 200);

    decoding(0);
    let last = hang();
    decoding(1);
    web.signal(Signal::SIGTERM);
    assert_eq!(last.join().unwrap().0, 504);
    assert!(web.end().success());
    assert!(web.stdout().ends_with("web has ended\n"));
}

fn jobs(args: &[&str]) -> Program {
    Program::start(env!("CARGO_BIN_EXE_jobs"), args, "")
}

#[test]
fn jobs_reports_how_each_ended() {
    let tree = "echo begun; sleep 77 & setsid sleep 77";
    let mut jobs = jobs(&["2", "2", "echo a; echo b >&2", "exit 3", tree, "kill -9 $$"]);
    assert_eq!(jobs.end().code(), Some(1));
    let expected = [
        "echo a; echo b >&2: exit status: 0",
        "    a",
        "    b",
        "exit 3: exit status: 3",
        "echo begun; sleep 77 & setsid sleep 77: killed, it took too long",
        "    begun",
        "kill -9 $$: signal: 9 (SIGKILL)",
    ];
    assert_eq!(jobs.stdout().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn jobs_ends_all_at_an_interrupt() {
    let mut jobs = jobs(&[
        "2",
        "60",
        "sleep 77; true",
        "sleep 77 & sleep 77",
        "echo never",
    ]);
    until("three sleep", || (jobs.count("sleep\0") == 3).then_some(()));
    jobs.signal(Signal::SIGINT);
    assert_eq!(jobs.end().code(), Some(130));
    let expected = [
        "sleep 77; true: interrupted",
        "sleep 77 & sleep 77: interrupted",
        "echo never: not run",
    ];
    assert_eq!(jobs.stdout().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn jobs_that_is_killed_leaves_nothing() {
    let mut jobs = jobs(&["1", "60", "sleep 77 & setsid sleep 77"]);
    until("both sleep", || (jobs.count("sleep\0") == 2).then_some(()));
    jobs.signal(Signal::SIGKILL);
    assert_eq!(jobs.end().code(), None);
}

#[test]
fn files_names_each_that_is_bad_and_loses_none() {
    let few_descriptors = r#"ulimit -n 256 && exec "$0""#;
    let args = ["-c", few_descriptors, env!("CARGO_BIN_EXE_files")];
    let mut files = Program::start("sh", &args, "");
    assert!(files.end().success());
    let said = files.stdout();
    let mut lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.pop(), Some("1979 good, 21 bad, in order: true"));
    let mut numbers: Vec<usize> = (100..=2000).step_by(100).chain([250]).collect();
    numbers.sort_unstable();
    assert_eq!(lines.len(), numbers.len());
    for (line, number) in lines.into_iter().zip(numbers) {
        let reason = match number % 500 {
            0 => "it has no number",
            100 => "the worker was killed by SIGABRT before it gave a result",
            200 => "the parser has a bug",
            250 => "it took too long",
            300 => "the worker exited with code 7 before it gave a result",
            _ => "the worker was killed by SIGSEGV before it gave a result",
        };
        assert!(line.starts_with(&format!("{number:04}: ")), "{line}");
        assert!(line.contains(reason), "{line}");
    }
}

#[test]
fn plugins_outlives_a_plugin_that_crashes() {
    let mut plugins = Program::start(env!("CARGO_BIN_EXE_plugins"), &[], "");
    assert!(plugins.end().success());
    let expected = [
        "twice(21) = 42",
        "count(1) = 101",
        "crash(8): the worker was killed by SIGSEGV before it gave a result",
        "count(1) = 101",
        "missing(0): there is no such function",
        "twice(4) = 8",
        "the host lives",
    ];
    assert_eq!(plugins.stdout().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn daemon_replaces_its_workers_and_ends_with_them() {
    let mut daemon = Program::start(env!("CARGO_BIN_EXE_daemon"), &["hello", "3"], "");
    let root = Uid::effective().is_root();
    let user = if root {
        Uid::from_raw(65_534)
    } else {
        Uid::current()
    };
    let says = |number: usize, times: usize| {
        let text = format!(": worker {number} says hello as user {user}, no new rights: true");
        until(&text, || {
            let log = daemon.stderr();
            let lines = log.lines().filter(|line| line.ends_with(&text));
            let lines: Vec<_> = lines.collect();
            let pid = lines.get(times - 1)?.split([' ', ':']).nth(1)?;
            Some(pid.parse().unwrap())
        })
    };
    let pids: Vec<u32> = (0..3).map(|number| says(number, 1)).collect();
    assert!(
        pids.iter()
            .all(|pid| Path::new(&format!("/proc/{pid}")).exists())
    );
    assert_eq!(daemon.count("daemon::serve"), 3);
    send(pids[1], Signal::SIGKILL);
    assert_ne!(says(1, 2), pids[1]);
    assert!(daemon.stderr().contains("worker 1 was killed by SIGKILL\n"));

    daemon.signal(Signal::SIGTERM);
    assert!(daemon.end().success());
    let log = daemon.stderr();
    assert_eq!(log.matches("was killed by SIGTERM\n").count(), 3);
    assert_eq!(log.contains("not started by root"), !root);
}

#[test]
fn inside_needs_nothing_for_what_its_library_does() {
    let deep = "(".repeat(200_000);
    let input = format!("1+2*(3+4)\n1+\n{}+1\n{deep}\n6*7\n", i64::MAX);
    let mut inside = Program::start(env!("CARGO_BIN_EXE_inside"), &[], &input);
    assert_eq!(inside.end().code(), Some(1));
    let said = inside.stdout();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..2], ["1: 15", "2: syntax: `` is no number"]);
    assert_eq!(lines[2], "3: failed: the sum is too large");
    assert_eq!(
        lines[3..],
        [
            "4: failed: the worker was killed by SIGSEGV before it gave a result",
            "5: 42",
            "1 wrong, 2 failed"
        ]
    );
}
