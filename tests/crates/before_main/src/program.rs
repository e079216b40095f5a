//! A program whose constructors do what the variable `ACT` says, before zygote's
//! own constructor (`front`) and after it (`late`). Every step is a line in the file
//! that `REPORT` names.
#![expect(unsafe_code, clippy::exit, reason = "constructors, and what they do")]

use std::{
    env,
    fmt::Debug,
    fs,
    io::{self, Write},
    process,
    sync::atomic::{AtomicI32, Ordering},
    thread,
    time::Duration,
};

use zygote::{Command, Process, Result, Worker};

/// So many programs may be executed one by the other, if the library lets them.
const DEEP: u32 = 6;

/// The descriptors that the constructors opened, and never closed.
static LOGS: [AtomicI32; 2] = [const { AtomicI32::new(-1) }; 2];

#[used]
#[unsafe(link_section = ".init_array")]
static FRONT: extern "C" fn() = front;

extern "C" fn front() {
    act("front", &LOGS[0]);
}

/// What `late.c` calls.
#[unsafe(no_mangle)]
extern "C" fn late() {
    act("late", &LOGS[1]);
}

#[zygote::entry]
fn hello() -> String {
    "hello".to_owned()
}

#[zygote::preload]
fn nothing() {}

fn act(who: &'static str, log: &AtomicI32) {
    let Some(what) = env::var_os("ACT") else {
        return;
    };
    let what = what.into_string().unwrap_or_default();
    let (whose, what) = what.split_once(' ').unwrap_or_default();
    if whose != who {
        return;
    }
    match what {
        "log" => log.store(open(libc::O_CLOEXEC), Ordering::Relaxed),
        "log as in C" => log.store(open(0), Ordering::Relaxed),
        "fork" if is_template() => {
            // SAFETY: a template has one thread.
            let copy = unsafe { libc::fork() };
            if copy > 0 {
                // The copy is quicker.
                thread::sleep(Duration::from_millis(50));
            }
        }
        "fork" => {}
        _ => start(who, what),
    }
}

fn open(flags: i32) -> i32 {
    // SAFETY: the path ends in NUL.
    unsafe { libc::open(c"/dev/zero".as_ptr(), libc::O_RDWR | flags) }
}

/// Starts a process in one of all ways.
fn start(who: &'static str, what: &str) {
    let depth = env::var("DEPTH").map_or(0, |depth| depth.parse().unwrap_or(0));
    if depth > DEEP {
        say(who, "endless");
        process::exit(1);
    }
    // SAFETY: there is one thread.
    unsafe { env::set_var("DEPTH", (depth + 1).to_string()) };
    match what {
        "spawn" => say(who, hello::spawn().and_then(Worker::join)),
        "process" => say(who, run(Process::new())),
        "fresh" => say(who, run(Process::fresh())),
        "current" => say(who, run(Process::fork_current())),
        "renew" => {
            zygote::renew_template();
            say(who, hello::spawn().and_then(Worker::join));
        }
        "command" => say(
            who,
            Command::new("true").status().map(|status| status.code()),
        ),
        "preload" => {
            let process = Process::new().and_then(|process| process.preload(nothing::task()));
            say(
                who,
                process.and_then(|process| process.run(hello::task())?.join()),
            );
        }
        "thread" => {
            let thread = thread::spawn(|| hello::spawn().and_then(Worker::join));
            say(who, thread.join().ok());
        }
        _ => say(who, "no such act"),
    }
}

fn run(process: Result<Process>) -> Result<String> {
    process?.run(hello::task())?.join()
}

fn say(who: &str, what: impl Debug) {
    let place = if is_template() { "template" } else { "program" };
    let what = format!("{what:?}").replace('\n', " ");
    // Not on stdout, which a template does not have. In one piece: another process
    // writes there as well.
    let report = env::var_os("REPORT").unwrap_or_default();
    if let Ok(mut file) = fs::File::options().append(true).open(report) {
        let _ = file.write_all(format!("{who} in the {place}: {what}\n").as_bytes());
    }
}

/// By what `ps` shows.
fn is_template() -> bool {
    let title = fs::read("/proc/self/cmdline").unwrap_or_default();
    title.starts_with(b"zygote: template")
}

/// What comes of a line for each log: the errno.
#[zygote::entry]
fn log() -> Vec<i32> {
    let write = |log: &AtomicI32| {
        // SAFETY: the pointer and the length are those of the text.
        let written =
            unsafe { libc::write(log.load(Ordering::Relaxed), c"line".as_ptr().cast(), 4) };
        let error = io::Error::last_os_error().raw_os_error().unwrap_or(0);
        if written < 0 { error } else { 0 }
    };
    LOGS.iter().map(write).collect()
}

/// The same, where a file of the worker's own and one that it was given are open.
#[zygote::entry]
fn log_beside(given: fs::File) -> Vec<i32> {
    let own = fs::File::options().read(true).write(true).open("/dev/zero");
    let errors = log();
    drop((given, own));
    errors
}

pub(crate) fn main() {
    say("main", hello::spawn().and_then(Worker::join));
    let logs = || -> Result<Vec<Vec<i32>>> {
        let given = || fs::File::options().write(true).open("/dev/zero");
        let given = || given().map_err(zygote::Error::from);
        let loaded = Process::new()?.preload(nothing::task())?;
        let beside = log_beside::task(given()?);
        Ok(vec![
            log(),
            log::spawn()?.join()?,
            log_beside::spawn(given()?)?.join()?,
            loaded.fork()?.run(beside.clone())?.join()?,
            loaded.fork()?.fork()?.run(beside.clone())?.join()?,
            Process::fresh()?.run(beside)?.join()?,
        ])
    };
    say("logs", logs());
    // What was dropped just now may need a moment.
    let one = (0..500).any(|_| {
        thread::sleep(Duration::from_millis(10));
        templates() == 1
    });
    say("one template", one);
}

/// How many processes serve this one.
fn templates() -> usize {
    let title = format!("zygote: template of {}\0", process::id());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .filter(|line| line.starts_with(title.as_bytes()))
        .count()
}
