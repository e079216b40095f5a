//! What happens to the others when the program, or a template, dies or is
//! stopped. Included twice: with `early!()` and without.

#![allow(
    unsafe_code,
    clippy::exit,
    clippy::print_stdout,
    reason = "the test sends signals, ends programs and shows what it measured"
)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers that several tests share"
)]

use std::{
    fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::Command,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use zygote::{Process, Sender};

use self::probe::{
    LIMIT, Probe, Watch, at_rest, field, hear, in_stock, is_alive, living, median, play, say, send,
    send_group, stat, status, until,
};

#[path = "let_go.rs"]
mod let_go;
#[path = "mod.rs"]
mod probe;

/// The hard limit for whatever must be gone.
const GONE: Duration = Duration::from_secs(2);

#[test]
fn probe() {
    play(|role| match role {
        "family" => family(),
        "lets_go" => let_go::lets_go(),
        "interrupted" => interrupted(),
        "template_killed" => template_killed(),
        "default_killed" => default_killed(),
        "default_killed_before_new" => default_killed_before_new(),
        "template_stopped" => template_stopped(),
        _ => panic!("no role {role}"),
    });
}

#[zygote::entry]
fn rest() {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

#[zygote::entry]
fn spin() {
    loop {
        std::hint::spin_loop();
    }
}

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

#[zygote::entry]
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

/// Workers of workers.
#[zygote::entry]
fn nest(depth: u32, ready: Sender<u32>) {
    let below = (depth > 0).then(|| nest::spawn(depth - 1, ready.try_clone().unwrap()).unwrap());
    ready.send(std::process::id()).unwrap();
    rest();
    drop(below);
}

/// Holds a process of another, and forks from it.
#[zygote::entry]
fn hold(process: Process, ready: Sender<u32>) {
    let worker = process
        .fork()
        .unwrap()
        .run(nest::task(0, ready.try_clone().unwrap()))
        .unwrap();
    ready.send(std::process::id()).unwrap();
    rest();
    drop((process, worker));
}

/// Forks itself as a template, and from that.
#[zygote::entry]
fn copy(ready: Sender<u32>) {
    let copy = Process::fork_current().unwrap();
    let task = nest::task(0, ready.try_clone().unwrap());
    let worker = copy.fork().unwrap().run(task).unwrap();
    ready.send(std::process::id()).unwrap();
    rest();
    drop((copy, worker));
}

#[zygote::entry]
fn mark(path: PathBuf) {
    fs::write(path, "ran").unwrap();
}

/// A user that nobody has.
const OTHER_USER: u32 = 54_321;

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The template that forks by default.
fn default_template() -> u32 {
    parent::spawn().unwrap().join().unwrap()
}

// The program's death.

/// Every kind of process there is, then the end that it is told.
fn family() {
    let (sender, receiver) = zygote::channel::<u32>().unwrap();
    let template = Process::new().unwrap();
    let fresh = Process::fresh().unwrap();
    let parked = [
        template.fork().unwrap(),
        fresh.fork().unwrap(),
        template.fork().unwrap().fork().unwrap(),
    ];
    for process in &parked {
        process.id().unwrap();
    }
    // Something in stock.
    for n in 0..4 {
        assert_eq!(echo::spawn(n).unwrap().join().unwrap(), n);
    }
    let mut workers = vec![
        rest::spawn().unwrap(),
        spin::spawn().unwrap(),
        template.fork().unwrap().run(rest::task()).unwrap(),
        fresh.fork().unwrap().run(spin::task()).unwrap(),
        copy::spawn(sender.try_clone().unwrap()).unwrap(),
        nest::spawn(2, sender.try_clone().unwrap()).unwrap(),
        hold::spawn(Process::new().unwrap(), sender.try_clone().unwrap()).unwrap(),
    ];
    let stopped = rest::spawn().unwrap();
    stopped.signal(libc::SIGSTOP).unwrap();
    workers.push(stopped);
    let mut ready = 7;
    if is_root() {
        // With the user, the kernel takes the parent-death signal back.
        let other = template.fork().unwrap().uid(OTHER_USER);
        let nested = nest::task(1, sender.try_clone().unwrap());
        workers.push(other.fork().unwrap().run(nested).unwrap());
        workers.push(other.fork().unwrap().run(spin::task()).unwrap());
        ready += 2;
    }
    for _ in 0..ready {
        receiver.recv_timeout(LIMIT).unwrap();
    }
    let detached = rest::spawn().unwrap();
    let id = detached.id();
    detached.detach().unwrap();
    say("ready", id);
    match hear().as_str() {
        "exit" => std::process::exit(3),
        "exit_thread" => {
            thread::spawn(|| std::process::exit(3)).join().unwrap();
        }
        "return" => {}
        "panic" => panic!("as it was told"),
        "abort" => std::process::abort(),
        "exec" => panic!("{}", Command::new("sleep").arg("60").exec()),
        other => panic!("no end {other}"),
    }
}

/// Lets a program die in this way and times the end of everything attached.
fn dies(way: &str, runs: usize) -> Duration {
    let (times, plain) = (0..runs)
        .map(|_| (die_once(way), plain_death()))
        .unzip::<_, _, Vec<_>, Vec<_>>();
    let (took, plain) = (median(times), median(plain));
    // Five follow each other at most. With the machine for itself each takes no
    // time; else they wait for a processor like any others.
    let limit = Duration::from_millis(100) + 5 * plain;
    assert!(took < limit, "{way}: {took:?}, limit {limit:?}");
    took
}

/// How long as many plain processes take here to end.
fn plain_death() -> Duration {
    let start = || Command::new("sleep").arg("60").spawn().unwrap();
    let mut all: Vec<_> = (0..24).map(|_| start()).collect();
    let killed = Instant::now();
    for child in &mut all {
        child.kill().unwrap();
    }
    for child in &mut all {
        child.wait().unwrap();
    }
    killed.elapsed()
}

fn die_once(way: &str) -> Duration {
    let mut probe = Probe::start("family");
    let detached: u32 = probe.expect("ready").parse().unwrap();
    let program = probe.id();
    let attached: Vec<u32> = living(program)
        .into_iter()
        .filter(|pid| ![program, detached].contains(pid))
        .collect();
    let watch = Watch::on(attached.iter().copied());
    // Two templates, the one that was executed and the default one, 3 parked
    // and one between, 8 workers; 2 below one of them, 1 and 2 below others. Of
    // another user two workers, and one below.
    let others = if is_root() { 3 } else { 0 };
    assert!(watch.len() >= 21 + others, "{attached:?}");
    let user = OTHER_USER.to_string();
    let has_user = |pid: &&u32| field(&status(**pid), "Uid").starts_with(&user);
    assert!(attached.iter().filter(has_user).count() >= others);
    let start = Instant::now();
    match way {
        "kill" => probe.kill(),
        way => probe.tell(way),
    }
    let survivors = watch.survivors(GONE);
    let took = start.elapsed();
    assert!(survivors.is_empty(), "{way}: {survivors:?} live");
    assert!(is_alive(detached), "{way}: the detached worker is dead");
    if way == "exec" {
        let comm = fs::read_to_string(format!("/proc/{program}/comm")).unwrap();
        assert_eq!(comm.trim(), "sleep");
        probe.kill();
    }
    probe.end();
    // Also what a template was just forking.
    let mut left = Vec::new();
    let is_alone = until(GONE, || {
        left = living(program);
        left == [detached]
    });
    assert!(is_alone, "{way}: {left:?}, detached {detached}");
    send(detached, libc::SIGKILL);
    took
}

#[test]
fn nothing_attached_outlives_a_program_that_is_killed() {
    let runs = std::env::var("ZYGOTE_DEATHS").map_or(50, |runs| runs.parse().unwrap());
    println!("SIGKILL: {:?}", dies("kill", runs));
}

#[test]
fn nothing_attached_outlives_a_program_that_ends_by_itself() {
    for way in ["exit", "exit_thread", "return", "panic", "abort"] {
        println!("{way}: {:?}", dies(way, 5));
    }
}

#[test]
fn nothing_attached_outlives_a_program_that_executes_another() {
    println!("exec: {:?}", dies("exec", 5));
}

// Ctrl-C.

static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: i32) {
    INTERRUPTS.fetch_add(1, Ordering::Relaxed);
}

fn interrupted() {
    let handler: extern "C" fn(i32) = count;
    // SAFETY: the handler only touches an atomic.
    unsafe { libc::signal(libc::SIGINT, handler as libc::sighandler_t) };
    let template = Process::new().unwrap();
    // The second one of each asks for some in stock.
    let on_own = (0..4).map(|n| template.fork().unwrap().run(echo::task(n)));
    let workers: Vec<_> = on_own.chain((0..4).map(echo::spawn)).collect();
    for worker in workers {
        worker.unwrap().join().unwrap();
    }
    let parked = template.fork().unwrap();
    let [default, own, parked_id] = [
        default_template(),
        template.id().unwrap(),
        parked.id().unwrap(),
    ];
    // What is in stock, too.
    let group = std::process::id();
    let has_stock = |of| in_stock(of).len() >= 4;
    assert!(until(LIMIT, || has_stock(default) && has_stock(own)));
    let before = at_rest(group);
    say("ready", "to be interrupted");
    assert!(until(LIMIT, || INTERRUPTS.load(Ordering::Relaxed) > 0));
    for pid in [default, own, parked_id] {
        assert!(is_alive(pid));
    }
    assert_eq!(living(group), before, "processes in stock");
    for n in 0..8 {
        assert_eq!(echo::spawn(n).unwrap().join().unwrap(), n);
        let on_own = template.fork().unwrap().run(echo::task(n)).unwrap();
        assert_eq!(on_own.join().unwrap(), n);
    }
    assert_eq!(default_template(), default);
    let late = parked.run(echo::task(7)).unwrap().join();
    assert_eq!(late.unwrap(), 7, "a process that was forked to be kept");
    say("done", INTERRUPTS.load(Ordering::Relaxed));
}

#[test]
fn ctrl_c_reaches_the_program_and_neither_templates_nor_stock() {
    let mut probe = Probe::start("interrupted");
    probe.expect("ready");
    send_group(probe.id(), libc::SIGINT);
    assert_eq!(probe.expect("done"), "1");
    probe.finish();
}

/// The same, by a real terminal.
#[test]
fn ctrl_c_in_a_terminal_does_the_same() {
    if !std::process::Command::new("script")
        .arg("--version")
        .output()
        .is_ok_and(|o| o.status.success())
    {
        println!("not tried in a terminal: this needs the program `script`");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let line = format!(
        "exec '{}' probe --nocapture --test-threads=1",
        program.display()
    );
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .env("ZYGOTE_PROBE", "interrupted")
        .env("RUST_BACKTRACE", "0");
    let mut probe = Probe::spawn(command);
    probe.expect("ready");
    probe.tell("\u{3}");
    assert_eq!(probe.expect("done"), "1");
    probe.finish();
}

#[test]
fn ctrl_c_ends_a_program_that_does_not_care_and_all_with_it() {
    let mut probe = Probe::start("family");
    let detached: u32 = probe.expect("ready").parse().unwrap();
    let group = probe.id();
    let attached = living(group).into_iter().filter(|pid| *pid != detached);
    let watch = Watch::on(attached);
    send_group(group, libc::SIGINT);
    assert_eq!(watch.survivors(GONE), [0; 0]);
    probe.end();
}

// A template's death.

fn template_killed() {
    let template = Process::new().unwrap().stock(0);
    let id = template.id().unwrap();
    let spawn = || template.fork().unwrap().run(rest::task()).unwrap();
    let (joined, waited, any, detached) = (spawn(), spawn(), spawn(), spawn());
    let left = detached.id();
    detached.detach().unwrap();
    // It forks nothing any more: `run` below has something to wait for.
    send(id, libc::SIGSTOP);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let done = |sender: mpsc::Sender<(&'static str, String)>| {
            move |name: &'static str, text: String| sender.send((name, text)).unwrap()
        };
        let tell = done(sender.clone());
        scope.spawn(move || {
            let error = joined.join().unwrap_err();
            tell("join", format!("{} {error}", error.is_template_gone()));
        });
        let tell = done(sender.clone());
        scope.spawn(move || {
            let exit = waited.wait().unwrap();
            tell("wait", format!("true {exit}"));
        });
        let tell = done(sender.clone());
        scope.spawn(move || {
            let first = zygote::wait_any([&any]).unwrap();
            tell("wait_any", format!("{} ", first == [0]));
        });
        let tell = done(sender.clone());
        let template = &template;
        scope.spawn(move || {
            let worker = template
                .fork()
                .and_then(|process| process.run(echo::task(1)));
            let error = worker.unwrap_err();
            let right = error.is_template_gone() && error.is_unstarted();
            tell("run", format!("{right} {error:?}"));
        });
        let waits = || {
            // A thread in a system call that sleeps.
            let tasks = fs::read_dir("/proc/self/task").unwrap();
            tasks.filter_map(Result::ok).count() >= 5
        };
        assert!(until(LIMIT, waits));
        send(id, libc::SIGKILL);
        for _ in 0..4 {
            let (name, text) = receiver.recv_timeout(GONE).expect("a caller hangs");
            assert!(text.starts_with("true"), "{name}: {text}");
            say(name, text);
        }
    });
    assert!(is_alive(left));
    let error = template
        .fork()
        .and_then(|process| process.run(echo::task(1)))
        .unwrap_err();
    assert!(error.is_template_gone(), "{error:?}");
    assert_eq!(echo::spawn(5).unwrap().join().unwrap(), 5);
    send(left, libc::SIGKILL);
    say("done", "");
}

#[test]
fn callers_are_told_that_the_template_died() {
    let mut probe = Probe::start("template_killed");
    probe.expect("done");
    probe.finish();
}

/// The default template dies, with processes in stock, again and again.
fn default_killed() {
    for round in 0..10 {
        let before = default_template();
        for n in 0..4 {
            assert_eq!(echo::spawn(n).unwrap().join().unwrap(), n);
        }
        let detached = rest::spawn().unwrap();
        let left = detached.id();
        detached.detach().unwrap();
        let worker = rest::spawn().unwrap();
        send(before, libc::SIGKILL);
        let error = worker.join().unwrap_err();
        assert!(error.is_template_gone(), "{error:?}");
        assert!(until(GONE, || !is_alive(before)));
        for n in 0..4 {
            let worker = echo::spawn(n).unwrap_or_else(|error| panic!("{round}, {n}: {error:?}"));
            assert_eq!(worker.join().unwrap(), n, "round {round}");
        }
        assert_ne!(default_template(), before);
        assert!(is_alive(left));
        send(left, libc::SIGKILL);
    }
    say("done", "");
}

#[test]
fn a_default_template_that_died_is_replaced() {
    let mut probe = Probe::start("default_killed");
    probe.expect("done");
    probe.finish();
}

/// As above; the first one after it is used as a template, not run.
fn default_killed_before_new() {
    for round in 0..10 {
        let before = default_template();
        send(before, libc::SIGKILL);
        assert!(until(GONE, || !is_alive(before)));
        let template = Process::new().unwrap();
        let worker = template
            .fork()
            .and_then(|process| process.run(echo::task(6)));
        let worker = worker.unwrap_or_else(|error| panic!("{round}: {error:?}"));
        assert_eq!(worker.join().unwrap(), 6, "round {round}");
    }
    say("done", "");
}

#[test]
fn a_process_made_after_the_default_template_died_can_fork() {
    let mut probe = Probe::start("default_killed_before_new");
    probe.expect("done");
    probe.finish();
}

// A template that is stopped.

fn template_stopped() {
    const DEADLINE: Duration = Duration::from_millis(200);
    let directory = tempfile::tempdir().unwrap();
    let template = Process::new().unwrap();
    let id = template.id().unwrap();
    default_template();
    let group = std::process::id();
    send(id, libc::SIGSTOP);
    assert!(until(LIMIT, || stat(id).unwrap().state == 'T'));
    thread::scope(|scope| {
        for thread in 0..5 {
            let (template, directory) = (&template, &directory);
            scope.spawn(move || {
                for n in 0..10 {
                    let task = mark::task(directory.path().join(format!("{thread}-{n}")));
                    let start = Instant::now();
                    let process = template.fork().unwrap().start_timeout(DEADLINE);
                    let error = process.run(task).unwrap_err();
                    let took = start.elapsed();
                    assert!(error.is_timeout() && error.is_unstarted(), "{error:?}");
                    assert!((DEADLINE..GONE).contains(&took), "{took:?}");
                }
            });
        }
    });
    send(id, libc::SIGCONT);
    // The template forks in the order it was asked: all of those came before.
    let worker = template.fork().unwrap().run(echo::task(5)).unwrap();
    assert_eq!(worker.join().unwrap(), 5);
    // Of the template's children, what is in stock stays.
    let strays = || {
        let stock = in_stock(id);
        let mut all = living(group);
        all.retain(|pid| stat(*pid).is_some_and(|it| it.parent == id) && !stock.contains(pid));
        all.len()
    };
    assert!(until(GONE, || strays() == 0), "{} strays", strays());
    let marks = fs::read_dir(&directory).unwrap().count();
    assert_eq!(marks, 0, "abandoned tasks ran");
    assert_eq!(field(&status(id), "Threads"), "1");
    say("done", "");
}

#[test]
fn nothing_runs_that_was_given_up_while_the_template_was_stopped() {
    let mut probe = Probe::start("template_stopped");
    probe.expect("done");
    probe.finish();
}
