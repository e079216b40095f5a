//! Many threads use the library at random: no reply crosses, nothing is left.

#![allow(
    unsafe_code,
    clippy::print_stdout,
    reason = "helpers send signals; the test says what it did"
)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers that several tests share"
)]

use std::{
    env,
    fs::File,
    os::unix::fs::MetadataExt,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use zygote::{Process, Worker};

#[path = "probe/mod.rs"]
mod probe;

use probe::{
    LIMIT, Probe, STOCK, command, descriptors, field, fill_stock, group, play, say, stat, status,
    until,
};

zygote::early!();

const THREADS: u64 = 64;

#[test]
fn probe_roles() {
    play(|role| match role {
        "storm" => storm(),
        _ => panic!("no role {role}"),
    });
}

/// Gives back what it got, after a while.
#[zygote::entry]
fn echo(nonce: u64, file: File, nap: u64) -> (u64, u64) {
    if nap > 0 {
        thread::sleep(Duration::from_micros(nap));
    }
    (nonce, file.metadata().unwrap().ino())
}

/// A small generator: reproducible, and no dependency.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

static NONCE: AtomicU64 = AtomicU64::new(0);

/// How often each was done.
static COUNTS: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

struct Job {
    worker: Worker<(u64, u64)>,
    expected: (u64, u64),
}

fn start(random: &mut Random, own: &Process, file: &File) -> Job {
    let nonce = NONCE.fetch_add(1, Ordering::Relaxed);
    let nap = [0, 0, 200, 3000][usize::try_from(random.below(4)).unwrap()];
    let copy = file.try_clone().unwrap();
    let worker = match random.below(3) {
        0 => own.fork().unwrap().run(echo::task(nonce, copy, nap)),
        _ => echo::spawn(nonce, copy, nap),
    };
    Job {
        worker: worker.unwrap(),
        expected: (nonce, file.metadata().unwrap().ino()),
    }
}

fn finish(random: &mut Random, job: Job) {
    let Job {
        mut worker,
        expected,
    } = job;
    let what = random.below(8);
    COUNTS[usize::try_from(what).unwrap()].fetch_add(1, Ordering::Relaxed);
    match what {
        0 | 1 => assert_eq!(worker.join().unwrap(), expected),
        2 => {
            worker.kill().unwrap();
            match worker.join() {
                Ok(got) => assert_eq!(got, expected),
                Err(error) => assert!(error.is_signal(), "{error:?}"),
            }
        }
        3 => drop(worker),
        4 => drop(worker.kill_on_drop(true)),
        5 => {
            let end = Instant::now() + LIMIT;
            let got = loop {
                let wait = Duration::from_micros(random.below(2000));
                if let Some(got) = worker.join_timeout(wait).unwrap() {
                    break got;
                }
                assert!(Instant::now() < end, "no result");
            };
            assert_eq!(got, expected);
        }
        6 => {
            let exit = worker.wait().unwrap();
            assert!(exit.success(), "{exit}");
            assert_eq!(worker.join().unwrap(), expected);
        }
        _ => {
            // Two threads wait for one worker.
            thread::scope(|scope| {
                let other = scope.spawn(|| worker.wait_timeout(LIMIT).unwrap().unwrap());
                let exit = worker.wait_timeout(LIMIT).unwrap().unwrap();
                assert_eq!(exit, other.join().unwrap());
            });
            assert_eq!(worker.join().unwrap(), expected);
        }
    }
}

fn work(seed: u64, own: &Process, time: Duration) {
    let mut random = Random(seed * 0x9e37_79b9 + 1);
    let file = tempfile::tempfile().unwrap();
    let end = Instant::now() + time;
    let mut jobs = Vec::new();
    while Instant::now() < end {
        jobs.push(start(&mut random, own, &file));
        while jobs.len() > usize::try_from(random.below(4)).unwrap() {
            let index = usize::try_from(random.below(jobs.len() as u64)).unwrap();
            finish(&mut random, jobs.swap_remove(index));
        }
    }
    for job in jobs {
        finish(&mut random, job);
    }
}

/// All threads at once, for this long.
fn all(own: &Process, time: Duration) {
    thread::scope(|scope| {
        for seed in 0..THREADS {
            scope.spawn(move || work(seed, own, time));
        }
    });
}

/// Fills the stock of both templates.
fn fill(own: &Process) {
    let file = tempfile::tempfile().unwrap();
    let task = || echo::task(0, file.try_clone().unwrap(), 0);
    let id = own.id().unwrap();
    fill_stock(id, || drop(own.fork().unwrap().run(task()).unwrap().join()));
    let default = stat(id).unwrap().parent;
    fill_stock(default, || {
        drop(Process::new().unwrap().run(task()).unwrap().join())
    });
}

fn storm() {
    let time = env::var("ZYGOTE_RACE_SECONDS").map_or(5, |time| time.parse().unwrap());
    let program = std::process::id();
    let own = Process::new().unwrap();
    all(&own, Duration::from_millis(500));
    let looks = || {
        let threads = field(&status(program), "Threads");
        let (own, default) = (own.id().unwrap(), stat(own.id().unwrap()).unwrap().parent);
        let fds = [program, own, default].map(|pid| descriptors(pid).len());
        (threads, fds)
    };
    // The program, two templates, and what they have in stock.
    let is_quiet = || {
        let all = group(program);
        let zombies = all.iter().filter(|stat| stat.state == 'Z').count();
        zombies == 0 && all.len() <= 3 + 2 * STOCK
    };
    assert!(
        until(LIMIT, is_quiet),
        "{}: {:?}",
        group(program).len(),
        group(program)
    );
    fill(&own);
    let before = looks();
    all(&own, Duration::from_secs(time));
    fill(&own);
    assert!(until(LIMIT, is_quiet), "{:?}", group(program));
    assert!(
        until(LIMIT, || looks() == before),
        "{:?}, before {before:?}",
        looks()
    );
    let counts: Vec<u64> = COUNTS.iter().map(|n| n.load(Ordering::Relaxed)).collect();
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
    say(
        "done",
        format!("{} workers, {counts:?}", counts.iter().sum::<u64>()),
    );
}

fn run() -> String {
    let time = env::var("ZYGOTE_RACE_SECONDS").map_or(5, |time| time.parse().unwrap());
    let mut probe = Probe::spawn(command("storm"));
    let done = probe.expect_within("done", Duration::from_secs(3 * time + 60));
    probe.finish();
    done
}

/// One after the other: each is to have the machine for itself.
#[test]
fn no_reply_crosses_and_nothing_is_left() {
    println!("on all CPUs: {}", run());
    pin();
    println!("on one CPU: {}", run());
}

/// This thread, and what it starts, stays on the CPU that it is on.
fn pin() {
    // SAFETY: it touches no memory.
    let cpu = usize::try_from(unsafe { libc::sched_getcpu() }).unwrap();
    // SAFETY: all zeroes is the empty set.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set has room for every CPU that there can be.
    unsafe { libc::CPU_SET(cpu, &mut one) };
    // SAFETY: the pointer and the length are those of `one`.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&one), &raw const one) };
    assert_eq!(result, 0);
}
