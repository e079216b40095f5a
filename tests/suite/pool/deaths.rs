//! What becomes of calls whose worker dies, of whatever and whenever.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    thread,
    time::Duration,
};

use nix::sys::resource::{Resource, setrlimit};
use zygote::{Call, Error, Pool, Process};

use super::ground::{BYS, By, Log, SHAPES, Shape, end, note};
use crate::util::{Census, alone, signal, until, watchdog};

#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Death {
    Panic,
    Abort,
    Exit,
    Fault,
    Kill,
    Exec,
    Memory,
}

const DEATHS: [Death; 7] = [
    Death::Panic,
    Death::Abort,
    Death::Exit,
    Death::Fault,
    Death::Kill,
    Death::Exec,
    Death::Memory,
];

#[allow(clippy::exit, reason = "what the test is about")]
fn die(how: Death) {
    match how {
        Death::Panic => panic!("on request"),
        Death::Abort => std::process::abort(),
        Death::Exit => std::process::exit(0),
        Death::Fault => signal(std::process::id(), libc::SIGSEGV),
        Death::Kill => signal(std::process::id(), libc::SIGKILL),
        Death::Exec => {
            use std::os::unix::process::CommandExt;
            drop(std::process::Command::new("true").exec());
        }
        Death::Memory => {
            setrlimit(Resource::RLIMIT_AS, 1 << 20, 1 << 20).unwrap();
            std::hint::black_box(vec![1_u8; 64 << 20]);
        }
    }
}

/// A value that dies when it is encoded or decoded in a worker.
#[derive(Debug)]
struct Deadly {
    how: Death,
    to: Option<bool>,
}

impl serde::Serialize for Deadly {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.to == Some(true) {
            die(self.how);
        }
        serde::Serialize::serialize(&(self.how, self.to), to)
    }
}

impl<'de> serde::Deserialize<'de> for Deadly {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (how, to) = serde::Deserialize::deserialize(from)?;
        if to == Some(false) {
            die(how);
        }
        Ok(Self { how, to })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Decode,
    Run,
    Encode,
    After,
    Idle,
}

const PHASES: [Phase; 5] = [
    Phase::Decode,
    Phase::Run,
    Phase::Encode,
    Phase::After,
    Phase::Idle,
];

#[zygote::entry]
fn decodes(_deadly: Deadly) {}

#[zygote::entry]
fn runs(how: Death) {
    die(how);
}

#[zygote::entry]
fn encodes(how: Death) -> Deadly {
    let to = Some(true);
    Deadly { how, to }
}

#[zygote::entry]
fn later(how: Death) {
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(60));
        // On another thread a panic ends that thread only.
        if how != Death::Panic {
            die(how);
        }
    });
}

#[zygote::entry]
fn noted(log: &File, n: u32) -> u32 {
    note(log, n);
    std::process::id()
}

/// Makes calls, some before and some behind the one that dies, and checks each.
fn one(pool: &Pool<File>, (how, phase, by): (Death, Phase, By), n: &mut u32) {
    let what = format!("{how:?}, {phase:?}, {by:?}");
    let mut next = || {
        *n += 1;
        pool.call(noted::task(*n))
    };
    let before = [next(), next()];
    let to = Some(false);
    let outcome = match phase {
        Phase::Decode => Fate::Unit(pool.call(decodes::task(Deadly { how, to }))),
        Phase::Run => Fate::Unit(pool.call(runs::task(how))),
        Phase::Encode => Fate::Value(pool.call(encodes::task(how))),
        Phase::After | Phase::Idle => Fate::Unit(pool.call(later::task(how))),
    };
    let ended = pool.stats().ended;
    let mut behind = Vec::new();
    if phase != Phase::Idle {
        behind.extend([next(), next(), next()]);
    }
    for call in before {
        by.outcome(call).unwrap();
    }
    check(&what, how, phase, outcome.by(by));
    let dies = || {
        if how != Death::Panic {
            until("it dies behind its answer", || pool.stats().ended > ended);
        }
    };
    if phase == Phase::Idle {
        dies();
        behind.extend([next(), next()]);
    }
    let mut lost = 0;
    for call in behind {
        match by.outcome(call) {
            Ok(_) => {}
            Err(error) => {
                assert!(phase == Phase::After, "{what}: {error:?}");
                assert!(!error.is_unstarted(), "{what}: {error:?}");
                lost += 1;
            }
        }
    }
    assert!(lost <= 1, "{what}: {lost} calls ran when it died");
    if phase == Phase::After {
        dies();
    }
}

enum Fate {
    Unit(Call<()>),
    Value(Call<Deadly>),
}

impl Fate {
    fn by(self, by: By) -> Result<(), Error> {
        match self {
            Self::Unit(call) => by.outcome(call),
            Self::Value(call) => by.outcome(call).map(drop),
        }
    }
}

fn check(what: &str, how: Death, phase: Phase, outcome: Result<(), Error>) {
    if matches!(phase, Phase::After | Phase::Idle) {
        return outcome.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    }
    let error = outcome.unwrap_err();
    let what = format!("{what}: {error:?}");
    assert!(!error.is_unstarted() && error.pid().is_some(), "{what}");
    let status = error.exit().and_then(|exit| exit.status());
    let signal = status.and_then(|status| status.signal());
    let code = status.and_then(|status| status.code());
    let expected = match how {
        Death::Panic => return assert!(error.is_panic(), "{what}"),
        Death::Exit | Death::Exec => {
            return assert!(error.is_exit() && code == Some(0), "{what}");
        }
        Death::Abort | Death::Memory => libc::SIGABRT,
        Death::Fault => libc::SIGSEGV,
        Death::Kill => libc::SIGKILL,
    };
    assert!(error.is_signal() && signal == Some(expected), "{what}");
}

fn matrix(shape: Shape) {
    let log = Log::new();
    let builder = Pool::builder(log.maker()).workers(1..=1);
    let pool = shape.of(builder).build().unwrap();
    let (mut n, mut bys) = (0, BYS.into_iter().cycle());
    let pid = |n| pool.call(noted::task(n)).join().unwrap();
    for phase in PHASES {
        for how in DEATHS {
            let first = pid(u32::MAX);
            one(&pool, (how, phase, bys.next().unwrap()), &mut n);
            let goes_on = how == Death::Panic && !shape.is_fresh;
            let second = pid(u32::MAX);
            assert_eq!(first == second, goes_on, "{shape:?}, {how:?}, {phase:?}");
        }
    }
    end(pool);
    let mut ran = log.ran();
    ran.remove(&u32::MAX);
    // A call that was lost had begun, and perhaps not noted it.
    assert!(ran.len() > n as usize - DEATHS.len(), "{shape:?}");
    assert!(ran.values().all(|times| *times == 1), "{shape:?}: {ran:?}");
}

#[test]
fn whatever_a_call_dies_of_each_call_has_one_outcome_and_the_pool_goes_on() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        for shape in SHAPES {
            matrix(shape);
        }
        before.check();
    });
}

#[zygote::preload]
fn five() -> u64 {
    5
}

#[zygote::entry]
fn add(sum: &mut u64, n: u64) -> (u64, u32) {
    assert!(n < 1000, "{n} is too much");
    *sum += n;
    (*sum, std::process::id())
}

#[zygote::entry]
fn look(sum: &u64, is_good: bool) -> (u64, u32) {
    assert!(is_good, "it looks bad");
    (*sum, std::process::id())
}

fn counting(depth: usize) -> zygote::pool::Builder<u64> {
    let builder = Pool::builder(|| Process::new()?.preload(five::task()));
    builder.workers(1..=1).depth(depth)
}

#[test]
fn a_panic_that_may_have_changed_the_value_costs_the_worker_unless_it_is_kept() {
    let _limit = watchdog(30);
    for (depth, keeps) in [(1, false), (16, false), (1, true), (16, true)] {
        let builder = counting(depth);
        let builder = match keeps {
            true => builder.keep_after_panic(),
            false => builder,
        };
        let pool = builder.build().unwrap();
        let (sum, first) = pool.call(add::task(2)).join().unwrap();
        assert_eq!(sum, 7);
        // By `&S`: it goes on in any case.
        let calls = [false, true].map(|good| pool.call(look::task(good)));
        let [bad, good] = calls.map(Call::join);
        assert!(bad.unwrap_err().is_panic());
        assert_eq!(good.unwrap(), (7, first));
        // By `&mut S`, more often than a call may wait again.
        let bad = [(); 7].map(|()| pool.call(add::task(1000)));
        let behind = [1, 2].map(|n| pool.call(add::task(n)));
        for error in bad.map(|call| call.join().unwrap_err()) {
            assert!(error.is_panic() && !error.is_unstarted(), "{error:?}");
        }
        let sums = behind.map(|call| call.join().unwrap());
        let last = sums[1].1;
        match keeps {
            true => assert_eq!(sums, [(8, first), (10, first)]),
            false => assert!(sums == [(6, last), (8, last)] && first != last),
        }
        assert_eq!(pool.stats().lost, 0);
        pool.shutdown(Duration::from_secs(20)).unwrap();
    }
}

/// Crashes until it has run this often.
#[zygote::entry]
fn fails_at_first(log: &File, n: u32, times: usize) -> u32 {
    note(log, n);
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(log));
    let notes = fs::read(path).unwrap();
    let own = notes.chunks_exact(4).filter(|it| **it == n.to_le_bytes());
    if own.count() <= times {
        std::process::abort();
    }
    n
}

#[test]
fn a_call_that_may_be_run_again_is_at_most_so_often() {
    let _limit = watchdog(30);
    for shape in SHAPES {
        let log = Log::new();
        let builder = Pool::builder(log.maker()).workers(1..=1).retries(2);
        let pool = shape.of(builder).build().unwrap();
        let eager = pool.with().retries(7);
        // How often it crashes, and how often it may.
        let cases = [
            (0, 2),
            (1, 2),
            (2, 2),
            (3, 2),
            (9, 2),
            (6, 7),
            (7, 7),
            (8, 7),
        ];
        let calls: Vec<_> = (0..)
            .zip(cases)
            .map(|(n, (times, most))| match most {
                2 => pool.call(fails_at_first::task(n, times)),
                _ => eager.call(fails_at_first::task(n, times)),
            })
            .collect();
        for ((n, call), (times, most)) in (0..).zip(calls).zip(cases) {
            let outcome = call.join();
            assert_eq!(log.ran()[&n], times.min(most) + 1, "{shape:?}, {n}");
            match outcome {
                Ok(got) => assert!(got == n && times <= most),
                Err(error) => {
                    assert!(times > most && error.is_signal(), "{error:?}");
                    assert!(!error.is_unstarted(), "{error:?}");
                }
            }
        }
        pool.shutdown(Duration::from_secs(20)).unwrap();
    }
}
