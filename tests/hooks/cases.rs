//! The program's hooks, and what comes of each kind of failure. Hooks are
//! program-wide: what they do in a template, a preload arms.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    mem,
    process::id,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicI32, AtomicU8, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use zygote::{Error, Process, Worker};

use crate::util::{self, Census, alone, is_alive, until, watchdog, within};

mod endless;
mod order;

/// What has run in this process and in those it was forked from.
static LOG: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// Who does what, see [`arm`].
static WHO: AtomicU8 = AtomicU8::new(0);
static WHAT: AtomicU8 = AtomicU8::new(0);

const PREPARE: u8 = 1;
const PARENT: u8 = 2;
const CHILD: u8 = 3;
const WORKER: u8 = 4;

const ERROR: u8 = 1;
const PANIC: u8 = 2;
const BLOCK: u8 = 3;
const FORK: u8 = 4;
const THREAD: u8 = 5;
const EXIT: u8 = 6;

/// From here on the hook of this kind in the middle does that.
#[zygote::preload]
fn arm(who: u8, what: u8) {
    WHO.store(who, Ordering::Relaxed);
    WHAT.store(what, Ordering::Relaxed);
    LOG.lock().unwrap().clear();
}

fn armed(who: u8, what: u8) -> Process {
    Process::new()
        .unwrap()
        .preload(arm::task(who, what))
        .unwrap()
}

fn note(name: &'static str) {
    LOG.lock().unwrap().push(name);
}

/// What the hook in the middle does when it is armed.
fn act(who: u8) -> Result<(), String> {
    if WHO.load(Ordering::Relaxed) != who {
        return Ok(());
    }
    match WHAT.load(Ordering::Relaxed) {
        ERROR => return Err("no entropy".to_owned()),
        PANIC => panic!("out of cheese"),
        BLOCK => loop {
            thread::sleep(Duration::from_secs(3600));
        },
        FORK => fork(),
        THREAD => drop(thread::spawn(|| thread::sleep(Duration::from_secs(3600)))),
        EXIT => util_exit(7),
        way @ endless::FIRST.. => return endless::start(way),
        _ => {}
    }
    Ok(())
}

#[allow(unsafe_code, reason = "a hook that leaves")]
fn util_exit(code: i32) {
    // SAFETY: it has no conditions.
    unsafe { libc::_exit(code) }
}

/// The copies of hooks that forked.
static COPIES: Mutex<Vec<i32>> = Mutex::new(Vec::new());

#[allow(unsafe_code, reason = "a hook that forks")]
fn fork() {
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        // The copy must not get beyond the hook.
        0 => {}
        child => COPIES.lock().unwrap().push(child),
    }
}

#[zygote::hook(prepare)]
fn prepare() -> Result<(), String> {
    note("prepare 0");
    leave_open();
    act(PREPARE)
}

#[zygote::hook(parent)]
fn parent() -> Result<(), String> {
    note("parent 0");
    act(PARENT)
}

#[zygote::hook(child)]
fn child() -> Result<(), String> {
    note("child 0");
    act(CHILD)
}

#[zygote::hook(worker, order = 5)]
fn worker() -> Result<(), String> {
    note("worker 5");
    act(WORKER)
}

#[zygote::entry]
fn log() -> Vec<String> {
    let mut log = LOG.lock().unwrap();
    let log = mem::take(&mut *log);
    log.into_iter().map(str::to_owned).collect()
}

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

#[zygote::entry]
fn own_and_parent() -> (u32, u32) {
    (id(), std::os::unix::process::parent_id())
}

/// Counts how often an entry ran, beyond the life of the process.
#[zygote::entry]
fn mark(mut file: File) {
    file.write_all(b"x").unwrap();
}

fn marks(file: &mut File) -> usize {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_string(&mut text).unwrap();
    text.len()
}

const RELEASED: [&str; 3] = ["parent -1", "parent 0", "parent 10"];

const BEGUN: [&str; 7] = [
    "worker min",
    "worker a",
    "worker b",
    "worker 5",
    "worker 10",
    "worker same, first line",
    "worker same, second line",
];

trait MapStrings {
    fn map_strings(&self) -> Vec<String>;
}

impl MapStrings for Vec<&str> {
    fn map_strings(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

/// The error of a hook, from the fork on; `what` is in its text.
#[track_caller]
fn check(error: &Error, when: &str, what: u8) {
    let said = match what {
        ERROR => "failed: no entropy",
        _ => "out of cheese",
    };
    let text = error.to_string();
    let name = format!("the {when} hook `{}::{when}` ", module_path!());
    assert!(error.is_hook(), "{error:?}");
    assert!(text.contains(&name) && text.contains(said), "{text}");
    assert!(!error.is_panic() && !error.is_template_gone(), "{error:?}");
    if what == PANIC {
        assert!(text.contains("cases.rs:"), "{text}");
    }
}

#[test]
fn a_worker_hook_that_fails_ends_the_worker_before_the_entry() {
    let _limit = watchdog(30);
    let mut file = tempfile::tempfile().unwrap();
    for what in [ERROR, PANIC] {
        let process = armed(WORKER, what);
        for _ in 0..3 {
            let task = mark::task(file.try_clone().unwrap());
            let result = process.fork().unwrap().run(task).and_then(Worker::join);
            let error = result.unwrap_err();
            check(&error, "worker", what);
            assert!(error.is_unstarted());
            assert!(error.entry().unwrap().ends_with("::mark"));
        }
        // The template lives, and what it forks can do other things.
        let process = process.preload(arm::task(0, 0)).unwrap();
        let worker = process.fork().unwrap().run(echo::task(3)).unwrap();
        assert_eq!(worker.join().unwrap(), 3);
    }
    assert_eq!(marks(&mut file), 0);
}

#[test]
fn hooks_before_the_arguments() {
    let _limit = watchdog(30);
    let process = armed(WORKER, ERROR);
    // Another type than the entry's own would not decode.
    let error = process
        .run(echo::task(1))
        .and_then(Worker::join)
        .unwrap_err();
    assert!(error.is_hook());
}

#[test]
fn a_prepare_hook_that_fails_is_the_error_of_that_fork() {
    let _limit = watchdog(30);
    let mut file = tempfile::tempfile().unwrap();
    for what in [ERROR, PANIC] {
        // Nothing is tried but what is asked for.
        let process = armed(PREPARE, what).stock(0);
        let template = process.id().unwrap();
        for _ in 0..3 {
            let task = mark::task(file.try_clone().unwrap());
            let error = process.fork().unwrap().run(task).unwrap_err();
            check(&error, "prepare", what);
            assert!(error.is_unstarted());
        }
        // It lives, and its parent hooks have all run, each time.
        let process = process.preload(show::task()).unwrap();
        assert_eq!(process.id().unwrap(), template);
        let log = process.run(shown::task()).unwrap().join().unwrap();
        let attempt = [&["prepare 10", "prepare 0"][..], &RELEASED].concat();
        assert_eq!(log, [&attempt[..], &attempt, &attempt, &BEGUN].concat());
    }
    assert_eq!(marks(&mut file), 0);
}

/// Takes the log before its own process's hooks add to it.
#[zygote::preload]
fn show() -> Vec<String> {
    mem::take(&mut *LOG.lock().unwrap()).map_strings()
}

#[zygote::entry]
fn shown(log: &Vec<String>) -> Vec<String> {
    [&log[..], &LOG.lock().unwrap().map_strings()].concat()
}

#[test]
fn a_child_hook_that_fails_is_the_error_of_that_process() {
    let _limit = watchdog(30);
    let mut file = tempfile::tempfile().unwrap();
    for what in [ERROR, PANIC] {
        let process = armed(CHILD, what);
        for _ in 0..3 {
            let task = mark::task(file.try_clone().unwrap());
            let error = process.fork().unwrap().run(task).unwrap_err();
            check(&error, "child", what);
            assert!(error.is_unstarted());
        }
        let error = process
            .fork()
            .unwrap()
            .preload(arm::task(0, 0))
            .unwrap_err();
        check(&error, "child", what);
        let error = process.fork().unwrap().id().unwrap_err();
        check(&error, "child", what);
        // A fork of what does not exist.
        let below = process.fork().unwrap();
        let error = below
            .fork()
            .and_then(|below| below.run(echo::task(1)))
            .unwrap_err();
        assert!(error.is_unstarted(), "{error:?}");
        // The template lives.
        let process = process.preload(arm::task(0, 0)).unwrap();
        let worker = process.fork().unwrap().run(echo::task(3)).unwrap();
        assert_eq!(worker.join().unwrap(), 3);
    }
    assert_eq!(marks(&mut file), 0);
}

#[test]
fn a_parent_hook_that_fails_ends_the_template() {
    let _limit = watchdog(60);
    let (mut begun, mut unstarted) = (0, 0);
    for round in 0..30 {
        for what in [ERROR, PANIC] {
            let mut file = tempfile::tempfile().unwrap();
            let process = armed(PARENT, what);
            let template = process.id().unwrap();
            let task = mark::task(file.try_clone().unwrap());
            let result = process.fork().unwrap().run(task);
            match result.and_then(Worker::join) {
                // The entry was quicker than the hook.
                Ok(()) => begun += 1,
                Err(error) => {
                    check(&error, "parent", what);
                    if error.is_unstarted() {
                        assert_eq!(marks(&mut file), 0, "{round}");
                        unstarted += 1;
                    }
                }
            }
            until("the template ends", || !is_alive(template));
            // What comes after is told that there is no template.
            let result = process
                .fork()
                .and_then(|process| process.run(echo::task(1)));
            let error = result.and_then(Worker::join).unwrap_err();
            assert!(
                error.is_unstarted() && error.is_template_gone(),
                "{error:?}"
            );
        }
    }
    assert!(unstarted > 0, "{begun} were done before");
}

#[test]
fn hooks_that_block_are_limited_by_the_callers_deadline() {
    let _limit = watchdog(60);
    let short = Duration::from_millis(100);
    for who in [PREPARE, CHILD, WORKER] {
        let process = armed(who, BLOCK).start_timeout(short);
        let template = process.id().unwrap();
        let before = util::children(template).len();
        let mut file = tempfile::tempfile().unwrap();
        let task = mark::task(file.try_clone().unwrap());
        let run = || process.fork().unwrap().run(task);
        let error = within(util::PATIENCE, run).unwrap_err();
        assert!(error.is_timeout() && error.is_unstarted(), "{error:?}");
        if who != PREPARE {
            // What stays in its hook is not left behind.
            until("the child is gone", || {
                util::children(template).len() == before
            });
        }
        util::signal(template, libc::SIGKILL);
        assert_eq!(marks(&mut file), 0);
    }
    // The child exists, so its hook is waited for no longer.
    let process = armed(PARENT, BLOCK);
    let template = process.id().unwrap();
    let worker = process.fork().unwrap().run(echo::task(4)).unwrap();
    assert_eq!(worker.join().unwrap(), 4);
    let process = process.start_timeout(short);
    let error = within(util::PATIENCE, || {
        process.fork().unwrap().run(echo::task(5))
    });
    assert!(error.unwrap_err().is_timeout());
    util::signal(template, libc::SIGKILL);
}

#[test]
fn the_copy_of_a_hook_that_forks_goes_no_further() {
    let _limit = watchdog(60);
    for who in [PREPARE, PARENT, CHILD, WORKER] {
        let mut file = tempfile::tempfile().unwrap();
        let process = armed(who, FORK);
        let template = process.id().unwrap();
        for round in 1..=5 {
            let task = mark::task(file.try_clone().unwrap());
            process.fork().unwrap().run(task).unwrap().join().unwrap();
            assert_eq!(marks(&mut file), round, "{who}");
            let (own, parent) = process
                .fork()
                .unwrap()
                .run(own_and_parent::task())
                .unwrap()
                .join()
                .unwrap();
            assert_ne!(own, template);
            assert_eq!(parent, template);
        }
        until("the copies are gone", || {
            util::children(template) == util::in_stock(template)
        });
        assert!(is_alive(template));
    }
}

#[test]
fn threads_of_hooks() {
    let _limit = watchdog(30);
    let said = |error: Error| {
        assert!(error.is_unstarted(), "{error:?}");
        assert!(
            error.to_string().contains("more than one thread"),
            "{error}"
        );
        assert!(error.to_string().contains("hook"), "{error}");
    };
    // Those of a prepare hook are in the template's way.
    let process = armed(PREPARE, THREAD);
    said(process.fork().unwrap().run(echo::task(1)).unwrap_err());
    said(process.fork().unwrap().run(echo::task(1)).unwrap_err());
    // Those of a parent hook are in the way of the next fork.
    let process = armed(PARENT, THREAD);
    let first = process.fork().unwrap();
    assert_eq!(first.run(echo::task(2)).unwrap().join().unwrap(), 2);
    said(process.fork().unwrap().run(echo::task(1)).unwrap_err());
    // A worker may have threads, whoever started them.
    for who in [CHILD, WORKER] {
        let process = armed(who, THREAD);
        for n in 0..3 {
            let worker = process.fork().unwrap().run(echo::task(n)).unwrap();
            assert_eq!(worker.join().unwrap(), n);
        }
    }
    // But they could read the environment while it changes.
    let worker = armed(CHILD, THREAD).fork().unwrap().env("A", "1");
    let error = worker.run(echo::task(1)).unwrap_err();
    assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
    assert!(error.to_string().contains("one thread"), "{error}");
    // A template may not.
    let process = armed(CHILD, THREAD).fork().unwrap();
    said(process.fork().unwrap().run(echo::task(1)).unwrap_err());
}

#[test]
fn hooks_that_exit_are_typed_too() {
    let _limit = watchdog(30);
    let process = armed(CHILD, EXIT);
    let error = process.fork().unwrap().run(echo::task(1)).unwrap_err();
    assert!(error.is_exit() && error.is_unstarted(), "{error:?}");
    assert!(error.to_string().contains("exited with code 7"), "{error}");
    let process = armed(WORKER, EXIT);
    let result = process.fork().unwrap().run(echo::task(1));
    let error = result.and_then(Worker::join).unwrap_err();
    assert!(error.is_exit(), "{error:?}");
    for who in [PREPARE, PARENT] {
        let process = armed(who, EXIT);
        let result = process.fork().unwrap().run(echo::task(1));
        match result.and_then(Worker::join) {
            Ok(_) => assert_eq!(who, PARENT),
            Err(error) => assert!(error.is_template_gone(), "{error:?}"),
        }
    }
}

/// A descriptor that a hook left open in a template, and its number.
static OPEN: OnceLock<File> = OnceLock::new();
static NUMBER: AtomicI32 = AtomicI32::new(-1);

fn leave_open() {
    use std::os::fd::AsRawFd;
    let file = OPEN.get_or_init(|| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"metrics").unwrap();
        file
    });
    NUMBER.store(file.as_raw_fd(), Ordering::Relaxed);
}

#[zygote::entry]
fn read_open() -> String {
    let mut file = OPEN.get().unwrap();
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

#[zygote::entry]
fn numbers() -> usize {
    // Less the one that the listing has.
    util::fds(id()) - 1
}

#[test]
fn what_a_hook_left_open_lives_on_in_forks() {
    let _limit = watchdog(30);
    let process = armed(0, 0);
    for process in [
        process.fork().unwrap(),
        process.fork().unwrap().fork().unwrap(),
    ] {
        let read = process.run(read_open::task()).unwrap();
        assert_eq!(read.join().unwrap(), "metrics");
    }
    // 0, 1, 2, the socket, and the hook's: no end of another process's socket.
    let kept: Vec<_> = (0..5).map(|_| process.fork().unwrap()).collect();
    for process in kept {
        assert_eq!(process.run(numbers::task()).unwrap().join().unwrap(), 5);
    }
}

/// Runs of an entry in a process of its own, from the default template.
static SPAWNS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn nothing_is_left_behind() {
    let _limit = watchdog(120);
    alone(|| {
        let before = Census::take();
        for what in [ERROR, PANIC] {
            for who in [PREPARE, PARENT, CHILD, WORKER] {
                for _ in 0..5 {
                    let process = armed(who, what);
                    let result = process.fork().unwrap().run(echo::task(1));
                    let _ = result.and_then(Worker::join);
                    SPAWNS.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        assert_eq!(SPAWNS.load(Ordering::Relaxed), 40);
        before.check();
    });
}
