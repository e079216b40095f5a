//! After many spawns with every kind of ending, everything is where it was.

#![allow(
    unsafe_code,
    clippy::exit,
    clippy::print_stdout,
    reason = "workers end in every way; the test says what it measured"
)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers that several tests share"
)]

use std::{env, fs::File, thread, time::Duration};

use zygote::{Process, Sender, Worker};

#[path = "probe/mod.rs"]
mod probe;

use probe::{
    LIMIT, Probe, STOCK, command, descriptors, field, fill_stock, group, play, say, status, until,
};

zygote::early!();

#[test]
fn probe_roles() {
    play(|role| match role {
        "leaks" => leaks(),
        _ => panic!("no role {role}"),
    });
}

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

#[zygote::entry]
fn grow(bytes: Vec<u8>, file: File) -> (Vec<u8>, zygote::Fd<File>) {
    (bytes, file.into())
}

#[zygote::entry]
fn fall(n: u32) -> u32 {
    // The default hook would fill the test's output.
    std::panic::resume_unwind(Box::new(format!("{n} is enough")));
}

#[zygote::entry]
fn leave(code: i32) {
    std::process::exit(code);
}

#[zygote::entry]
fn rest() {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

#[zygote::entry]
fn count(to: Sender<u32>) {
    for n in 0..3 {
        to.send(n).unwrap();
    }
}

#[zygote::entry]
fn nest() -> u32 {
    std::os::unix::process::parent_id()
}

#[zygote::preload]
fn fail(n: u32) -> Result<u32, String> {
    Err(format!("{n} cannot be loaded"))
}

#[zygote::preload]
fn load(n: u32) -> Vec<u8> {
    vec![7; n as usize]
}

#[zygote::entry]
fn sum(bytes: &Vec<u8>) -> usize {
    bytes.len()
}

#[zygote::entry(raw)]
fn raw(_conn: std::os::unix::net::UnixStream, args: zygote::raw::Args) {
    assert_eq!(args.count(), 2);
}

/// What a number of spawns needs to go on.
struct Ground {
    own: Process,
    loaded: Process<Vec<u8>>,
    file: File,
    /// Handles that nobody waits for.
    idle: Vec<Worker<u32>>,
}

/// One round of every kind; gives how many processes it took.
fn round(ground: &mut Ground, n: u32) -> u32 {
    let fork = || ground.own.fork().unwrap();
    // Values, of every size.
    assert_eq!(echo::spawn(n).unwrap().join().unwrap(), n);
    assert_eq!(fork().run(echo::task(n)).unwrap().join().unwrap(), n);
    let size = if n.is_multiple_of(50) { 300_000 } else { 100 };
    let file = ground.file.try_clone().unwrap();
    let worker = grow::spawn(vec![1; size], file).unwrap();
    assert_eq!(worker.join().unwrap().0.len(), size);
    assert_eq!(sum::spawn(&ground.loaded).unwrap().join().unwrap(), 1000);
    // Ends without a value.
    assert!(fall::spawn(n).unwrap().join().unwrap_err().is_panic());
    assert!(leave::spawn(3).unwrap().join().unwrap_err().is_exit());
    let exit = fork().run(leave::task(4)).unwrap().wait().unwrap();
    assert_eq!(exit.status().unwrap().code(), Some(4));
    let worker = rest::spawn().unwrap();
    worker.signal(libc::SIGTERM).unwrap();
    assert!(worker.join().unwrap_err().is_signal());
    let worker = fork().run(rest::task()).unwrap();
    worker.kill().unwrap();
    worker.wait().unwrap();
    // Handles that are dropped, early and late.
    drop(echo::spawn(n).unwrap());
    drop(rest::spawn().unwrap().kill_on_drop(true));
    ground.idle.push(echo::spawn(n).unwrap());
    if ground.idle.len() > 20 {
        ground.idle.clear();
    }
    // Ones that never run.
    drop(fork());
    drop(Process::new().unwrap().fork().unwrap());
    let late = fork().start_timeout(Duration::ZERO).run(echo::task(n));
    assert!(late.map_or_else(|error| error.is_timeout(), |_| true));
    assert!(fork().run_raw("no such entry").unwrap_err().is_invalid());
    let error = fork().preload(fail::task(n)).unwrap_err();
    assert!(error.to_string().contains("cannot be loaded"), "{error}");
    // More at once.
    for worker in ground.own.spawn_all((0..4).map(echo::task)) {
        worker.unwrap().join().unwrap();
    }
    let (sender, receiver) = zygote::channel::<u32>().unwrap();
    let worker = count::spawn(sender).unwrap();
    let got: Vec<u32> = (0..3)
        .map(|_| receiver.recv_timeout(LIMIT).unwrap())
        .collect();
    assert_eq!(got, [0, 1, 2]);
    worker.join().unwrap();
    let process = fork().send_arg("argument");
    let process = process.send_fd(ground.file.try_clone().unwrap());
    let (worker, _conn) = process.run_raw("raw").unwrap();
    worker.join().unwrap();
    let given = Process::<()>::from_fd(fork().into_fd().unwrap()).unwrap();
    assert_eq!(given.run(echo::task(n)).unwrap().join().unwrap(), n);
    28
}

/// Descriptors and threads, then resident KiB, of the program and its
/// templates.
fn look(ground: &Ground) -> (Vec<String>, Vec<u64>) {
    let program = std::process::id();
    let default = nest::spawn().unwrap().join().unwrap();
    fill_stock(default, || {
        assert_eq!(nest::spawn().unwrap().join().unwrap(), default)
    });
    let pids = [
        program,
        default,
        ground.own.id().unwrap(),
        ground.loaded.id().unwrap(),
    ];
    let counts = pids.map(|pid| {
        let threads = field(&status(pid), "Threads");
        format!("{} descriptors, {threads} threads", descriptors(pid).len())
    });
    let memory = pids.map(|pid| {
        let text = field(&status(pid), "VmRSS");
        text.trim_end_matches(" kB").trim().parse().unwrap()
    });
    (counts.into(), memory.into())
}

/// What is left when nothing runs: the program, its templates, stock.
fn settle() {
    let program = std::process::id();
    let is_quiet = || {
        let all = group(program);
        all.iter().all(|stat| stat.state != 'Z') && all.len() <= 4 + STOCK
    };
    assert!(until(LIMIT, is_quiet), "{:#?}", group(program));
}

fn leaks() {
    let total: u32 = env::var("ZYGOTE_LEAK_SPAWNS").map_or(5000, |total| total.parse().unwrap());
    // The default template's stock is enough to look at.
    let own = Process::new().unwrap().stock(0);
    let loaded = Process::new().unwrap().stock(0);
    let loaded = loaded.preload(load::task(1000)).unwrap();
    let at_once: Vec<_> = (0..STOCK).map(|_| nest::spawn().unwrap()).collect();
    for worker in at_once {
        worker.join().unwrap();
    }
    let mut ground = Ground {
        own,
        loaded,
        file: tempfile::tempfile().unwrap(),
        idle: Vec::new(),
    };
    let mut spawned = 0;
    for n in 0..40 {
        round(&mut ground, n);
    }
    ground.idle.clear();
    settle();
    let (counts, memory) = look(&ground);
    let mut n = 0;
    while spawned < total {
        spawned += round(&mut ground, n);
        n += 1;
    }
    ground.idle.clear();
    settle();
    assert!(
        until(LIMIT, || look(&ground).0 == counts),
        "{:?}, before {counts:?}",
        look(&ground).0
    );
    let after = look(&ground).1;
    say(
        "done",
        format!("{spawned}: {counts:?}, {memory:?} KiB, then {after:?} KiB"),
    );
    for (before, after) in memory.iter().zip(&after) {
        assert!(*after < before + 512, "{memory:?} KiB, then {after:?} KiB");
    }
}

#[test]
fn everything_is_where_it_was_after_many_spawns() {
    let mut probe = Probe::spawn(command("leaks"));
    println!("{}", probe.expect_within("done", Duration::from_secs(600)));
    probe.finish();
}
