//! Many idle workers at once: started, reached one by one, ended together.
//!
//! `ZYGOTE_IDLE_WORKERS` says how many; the long form is 10,000.

#![allow(
    unsafe_code,
    clippy::print_stdout,
    reason = "helpers send signals; the test says what it measured"
)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers that several tests share"
)]

use std::{
    collections::BTreeSet,
    env, fs,
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use nix::sys::signal::{SigSet, Signal};
use zygote::{Error, Process, Receiver, Sender, Worker};

#[path = "probe/mod.rs"]
mod probe;
mod util;

use probe::{Probe, command, descriptors, field, is_alive, play, say, until};

zygote::early!();

/// As many as are asked at once, so that their answers find room.
const ROUND: usize = 64;

/// Within this all must be gone.
const END: Duration = Duration::from_secs(5);

const LONG: Duration = Duration::from_secs(900);

#[test]
fn probe_roles() {
    play(|role| match role {
        "early" => scale(Process::new),
        "executed" => scale(Process::fresh),
        "edge" => edge(),
        _ => panic!("no role {role}"),
    });
}

/// Answers every SIGUSR1 with its number.
#[zygote::entry]
fn idle(to: Sender<u32>, number: u32) {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGUSR1);
    signals.thread_block().unwrap();
    while to.send(number).is_ok() {
        signals.wait().unwrap();
    }
}

/// Idle workers, and where they answer.
struct Crowd {
    workers: Vec<Worker<()>>,
    /// What each of them answers.
    numbers: Vec<u32>,
    next: u32,
    to: Sender<u32>,
    from: Receiver<u32>,
}

impl Crowd {
    fn new() -> Self {
        let (to, from) = zygote::channel().unwrap();
        Self {
            workers: Vec::new(),
            numbers: Vec::new(),
            next: 0,
            to,
            from,
        }
    }

    fn add(&mut self, template: &Process) -> Result<(), Error> {
        let number = self.next;
        self.next += 1;
        let task = idle::task(self.to.try_clone()?, number);
        let worker = template.fork()?.run(task)?;
        self.workers.push(worker.kill_on_drop(true));
        self.numbers.push(number);
        Ok(())
    }

    /// Adds up to so many, in rounds; an error ends it.
    fn grow(&mut self, template: &Process, count: usize) -> Result<(), Error> {
        while self.workers.len() < count {
            let first = self.workers.len();
            let mut result = Ok(());
            while result.is_ok() && self.workers.len() < count.min(first + ROUND) {
                result = self.add(template);
            }
            self.hear(first..self.workers.len());
            result?;
        }
        Ok(())
    }

    /// Takes the answers of these workers, one of each. One that had begun when
    /// this program had no room for its handle, and was killed, may have answered.
    fn hear(&self, workers: std::ops::Range<usize>) {
        let mut missing: BTreeSet<u32> = self.numbers[workers].iter().copied().collect();
        while !missing.is_empty() {
            let number = self.from.recv_timeout(probe::LIMIT).unwrap();
            let is_killed = || number < self.next && !self.numbers.contains(&number);
            assert!(
                missing.remove(&number) || is_killed(),
                "{number}, once more"
            );
        }
    }

    fn ping(&self) {
        for (at, workers) in self.workers.chunks(ROUND).enumerate() {
            for worker in workers {
                worker.signal(libc::SIGUSR1).unwrap();
            }
            self.hear(at * ROUND..at * ROUND + workers.len());
        }
    }
}

#[track_caller]
fn assert_no_room(error: &Error) {
    let text = error.to_string();
    assert!(text.contains("RLIMIT_NOFILE"), "{text}");
    assert!(!error.is_timeout() && !error.is_template_gone(), "{text}");
}

/// How many children a process has.
fn children(of: u32) -> usize {
    let path = format!("/proc/{of}/task/{of}/children");
    fs::read_to_string(path).unwrap().split_whitespace().count()
}

/// Waits until none of them is there, not even a zombie. (Not by the list of the
/// template's children, which takes the kernel long while they end.)
fn wait_for_end_of(pids: &[u32]) {
    for pid in pids {
        let path = format!("/proc/{pid}");
        assert!(until(LONG, || !Path::new(&path).exists()));
    }
}

/// Proportional, private dirty and private clean KiB of some of the workers, on
/// average.
fn memory(workers: &[Worker<()>]) -> [f64; 3] {
    let some = workers.iter().step_by(workers.len().div_ceil(50));
    let texts: Vec<String> = some
        .map(|worker| fs::read_to_string(format!("/proc/{}/smaps_rollup", worker.id())).unwrap())
        .collect();
    ["Pss", "Private_Dirty", "Private_Clean"].map(|name| {
        let kib = |text: &String| -> f64 {
            let value = field(text, name);
            value.trim_end_matches(" kB").trim().parse().unwrap()
        };
        texts.iter().map(kib).sum::<f64>() / f64::from(u32::try_from(texts.len()).unwrap())
    })
}

fn scale(make: fn() -> Result<Process, Error>) {
    let count = env::var("ZYGOTE_IDLE_WORKERS").map_or(300, |count| count.parse().unwrap());
    let own = std::process::id();
    // The default template is there from here on.
    Process::new().unwrap().id().unwrap();
    let other = Process::new().unwrap().stock(0);
    other.id().unwrap();
    let before = descriptors(own).len();
    let template = make().unwrap();
    let pid = template.id().unwrap();
    let mut crowd = Crowd::new();
    // For what the test itself opens at the limit.
    let spare = [(); 8].map(|()| File::open("/dev/null").unwrap());

    let start = Instant::now();
    let mut grown = crowd.grow(&template, count / 2);
    let half = start.elapsed();
    if grown.is_ok() {
        grown = crowd.grow(&template, count);
    }
    let started = start.elapsed();
    drop(spare);
    if let Err(error) = grown {
        assert_no_room(&error);
    }
    let alive = crowd.workers.len();
    assert!(children(pid) >= alive);

    let start = Instant::now();
    crowd.ping();
    let pinged = start.elapsed();
    let [pss, dirty, clean] = memory(&crowd.workers);

    // Some end while the template serves on, the others while it waits for its
    // own end.
    let start = Instant::now();
    let ids: Vec<u32> = crowd.workers.drain(alive / 2..).map(|it| it.id()).collect();
    wait_for_end_of(&ids);
    crowd.ping();
    drop(template);
    let workers = std::mem::take(&mut crowd.workers);
    drop(workers);
    until(LONG, || !is_alive(pid));
    let ended = start.elapsed();
    assert!(ended < END, "{alive} workers, {ended:?}");
    drop(crowd);
    // A template that was executed is a child of this program: the next call into
    // the library collects it and closes its pidfd.
    let is_as_before = || {
        drop(other.fork().unwrap());
        descriptors(own).len() == before && !util::is_zombie(pid)
    };
    assert!(until(END, is_as_before), "{:#?}", descriptors(own));
    say(
        "done",
        format!(
            "{alive} workers: started in {started:.2?} (half of them in {half:.2?}), reached in \
             {pinged:.2?}, ended in {ended:.2?}; KiB each: {pss:.0} proportional, {dirty:.0} \
             private dirty, {clean:.0} private clean"
        ),
    );
}

fn edge() {
    // Each of the others has two descriptors; one in stock has one.
    let template = Process::new().unwrap().stock(0);
    let pid = template.id().unwrap();
    util::limit_fds(std::process::id(), 200);
    let mut crowd = Crowd::new();
    for _ in 0..3 {
        let error = crowd.grow(&template, 300).unwrap_err();
        assert_no_room(&error);
        assert!((80..100).contains(&crowd.workers.len()));
        crowd.ping();
        crowd.workers.truncate(10);
        crowd.numbers.truncate(10);
        // What could not be taken in is gone as well.
        assert!(until(END, || children(pid) == 10), "{}", children(pid));
    }
    say("done", "");
}

fn check(role: &str) -> String {
    let mut probe = Probe::spawn(command(role));
    let said = probe.expect_within("done", LONG);
    probe.finish();
    said
}

#[test]
fn many_idle_workers_of_an_early_template() {
    println!("early, {}", check("early"));
}

#[test]
fn many_idle_workers_of_an_executed_template() {
    println!("executed, {}", check("executed"));
}

#[test]
fn at_the_limit_of_descriptors_an_error_says_so_and_all_can_be_used() {
    check("edge");
}
