//! Many calls on a pool whose workers crash and are killed: none is lost, none runs
//! twice, and nothing grows.

#![cfg(feature = "pool")]
#![allow(
    unsafe_code,
    clippy::print_stdout,
    reason = "workers are killed; the test says what it measured"
)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers that several tests share"
)]

use std::{
    collections::VecDeque,
    env,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use zygote::{Call, Pool, Process};

#[path = "probe/mod.rs"]
mod probe;

use probe::{LIMIT, Probe, command, descriptors, field, play, say, send, stat, status, until};

zygote::early!();

/// How many calls are made before the first is joined.
const IN_FLIGHT: usize = 2000;

#[test]
fn probe_roles() {
    play(|role| match role {
        "calls" => calls(),
        _ => panic!("no role {role}"),
    });
}

#[zygote::preload]
fn open(path: PathBuf) -> File {
    OpenOptions::new().append(true).open(path).unwrap()
}

#[zygote::entry]
fn noted(mut log: &File, n: u32, may_crash: bool) -> u32 {
    log.write_all(&n.to_le_bytes()).unwrap();
    if may_crash && crashes(n) {
        std::process::abort();
    }
    n
}

fn crashes(n: u32) -> bool {
    n % 100 == 7
}

#[zygote::entry]
fn pid() -> u32 {
    std::process::id()
}

/// A call on its way.
struct Flying {
    n: u32,
    is_calm: bool,
    call: Call<u32>,
}

/// What has become of the calls.
#[derive(Debug, Default)]
struct Fates {
    crashed: u64,
    killed: u64,
}

impl Fates {
    /// Waits for a call, and judges its outcome.
    fn join(&mut self, flying: Flying) {
        let Flying { n, is_calm, call } = flying;
        let error = match call.join() {
            Ok(got) => return assert!(got == n && (is_calm || !crashes(n)), "{n}"),
            Err(error) => error,
        };
        let fits = error.is_signal() && !error.is_unstarted() && !is_calm;
        assert!(fits, "{n}: {error:?}");
        let exit = error.exit().unwrap().to_string();
        match exit.contains("SIGABRT") {
            true => {
                assert!(crashes(n), "{n}: {exit}");
                self.crashed += 1;
            }
            false => {
                assert!(exit.contains("SIGKILL"), "{n}: {exit}");
                self.killed += 1;
            }
        }
    }

    /// Compares the executions with the outcomes.
    fn check(&self, notes: &[u8], total: u32) {
        let mut ran = vec![0_u8; total as usize];
        for note in notes.chunks_exact(4) {
            ran[u32::from_le_bytes(note.try_into().unwrap()) as usize] += 1;
        }
        assert!(ran.iter().all(|times| *times <= 1), "a call ran twice");
        let never = ran.iter().filter(|times| **times == 0).count() as u64;
        // A call that was killed had begun, and perhaps not noted it.
        assert!(never <= self.killed, "{never} calls never ran: {self:?}");
    }
}

/// One pool whose workers crash and are killed, and one whose worker stays.
struct Pools {
    wild: Pool<File>,
    calm: Pool<File>,
    /// The last worker of the wild one that has started.
    last: Arc<AtomicU32>,
}

impl Pools {
    fn build(path: &Path) -> Self {
        let path = path.to_owned();
        // What is in stock comes and goes.
        let make = move || Process::new()?.stock(0).preload(open::task(path.clone()));
        let last = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&last);
        let wild = Pool::builder(make.clone()).workers(2..=2).depth(16);
        let wild = wild.on_start(move |info| told.store(info.pid, Relaxed));
        let calm = Pool::builder(make).workers(1..=1).depth(16);
        Self {
            wild: wild.build().unwrap(),
            calm: calm.build().unwrap(),
            last,
        }
    }

    /// Gives descriptors and threads, then resident KiB, of the program, of the
    /// templates, and of the worker that stays.
    fn look(&self) -> (Vec<String>, Vec<u64>) {
        // The thread that starts workers leaves when it has nothing to do.
        let is_starting = || {
            let mut tasks = fs::read_dir("/proc/self/task").unwrap();
            tasks.any(|task| {
                let name = fs::read_to_string(task.unwrap().path().join("comm"));
                name.is_ok_and(|name| name.starts_with("zygote-start"))
            })
        };
        assert!(until(LIMIT, || !is_starting()));
        let [wild, calm] = [&self.wild, &self.calm].map(|pool| pool.call(pid::task()));
        let [wild, calm] = [wild, calm].map(|call| call.join().unwrap());
        let parent = |pid| stat(pid).unwrap().parent;
        let pids = [std::process::id(), parent(wild), parent(calm), calm];
        let counts = pids.map(|pid| {
            let threads = field(&status(pid), "Threads");
            format!("{} descriptors, {threads} threads", descriptors(pid).len())
        });
        let memory = pids.map(|pid| {
            let text = field(&status(pid), "VmRSS");
            text.trim_end_matches(" kB").trim().parse().unwrap()
        });
        let all = [format!("worker {calm}")].into_iter().chain(counts);
        (all.collect(), memory.into())
    }
}

/// A thread that kills.
struct Killer {
    is_over: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

/// Kills the worker that has started last, at any moment.
fn kill_at_random(last: &Arc<AtomicU32>) -> Killer {
    let (last, is_over) = (Arc::clone(last), Arc::new(AtomicBool::new(false)));
    let over = Arc::clone(&is_over);
    let mut dice = fastrand::Rng::with_seed(3);
    let thread = thread::spawn(move || {
        while !over.load(Relaxed) {
            thread::sleep(Duration::from_micros(dice.u64(100..20_000)));
            send(last.load(Relaxed), libc::SIGKILL);
        }
    });
    Killer { is_over, thread }
}

impl Killer {
    fn join(self) {
        self.is_over.store(true, Relaxed);
        self.thread.join().unwrap();
    }
}

fn calls() {
    let total: u32 = env::var("ZYGOTE_POOL_CALLS").map_or(20_000, |total| total.parse().unwrap());
    let log = tempfile::NamedTempFile::new().unwrap();
    let (pools, started) = (Pools::build(log.path()), Instant::now());
    let mut killer = kill_at_random(&pools.last);
    let (mut fates, mut before) = (Fates::default(), None);
    let mut all = VecDeque::with_capacity(IN_FLIGHT);
    for n in 0..total {
        if n == total / 10 {
            all.drain(..).for_each(|flying| fates.join(flying));
            killer.join();
            before = Some(pools.look());
            killer = kill_at_random(&pools.last);
        }
        if all.len() == IN_FLIGHT {
            fates.join(all.pop_front().unwrap());
        }
        let is_calm = n % 4 == 0;
        let pool = if is_calm { &pools.calm } else { &pools.wild };
        let call = pool.call(noted::task(n, !is_calm));
        all.push_back(Flying { n, is_calm, call });
    }
    all.drain(..).for_each(|flying| fates.join(flying));
    let took = started.elapsed();
    killer.join();
    let (counts, memory) = before.unwrap();
    assert!(
        until(LIMIT, || pools.look().0 == counts),
        "{:?}, before {counts:?}",
        pools.look()
    );
    let (_, after) = pools.look();
    let lost = pools.wild.stats().lost;
    assert_eq!(lost, fates.crashed + fates.killed);
    assert!(
        fates.crashed > u64::from(total) / 200 && fates.killed > 0,
        "{fates:?}"
    );
    for pool in [pools.wild, pools.calm] {
        pool.shutdown(LIMIT).unwrap();
    }
    fates.check(&fs::read(log.path()).unwrap(), total);
    say(
        "done",
        format!("{total}: {took:.1?}, {fates:?}, {counts:?}, {memory:?} KiB, then {after:?} KiB"),
    );
    for (before, after) in memory.iter().zip(&after) {
        assert!(*after < before + 1024, "{memory:?} KiB, then {after:?} KiB");
    }
}

#[test]
fn many_calls_are_neither_lost_nor_run_twice_and_nothing_grows() {
    let mut probe = Probe::spawn(command("calls"));
    println!("{}", probe.expect_within("done", Duration::from_secs(3600)));
    probe.finish();
}
