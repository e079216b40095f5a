//! Many threads that do everything at once with pools whose workers crash, and are
//! killed from outside.

use std::{
    env,
    fs::File,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use zygote::{Call, Pool, Result, pool::With};

use super::ground::{Log, SHAPES, Shape, block_on, end, note};
use crate::util::{Census, alone, signal, watchdog};

const THREADS: u64 = 64;

/// The most workers.
const WORKERS: usize = 4;

/// Notes that it ran. Some crash, some are slow.
#[zygote::entry]
fn storm(log: &File, n: u32) -> u32 {
    note(log, n);
    match n % 211 {
        0 => std::process::abort(),
        1 | 7 => thread::sleep(Duration::from_millis(3)),
        // The hook for panics would fill the output.
        2 => std::panic::resume_unwind(Box::new("on request")),
        #[allow(clippy::exit, reason = "what the test is about")]
        3 => std::process::exit(3),
        _ => {}
    }
    n
}

/// What may have happened to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum May {
    Once,
    Never,
    AtMostOnce,
    /// It may run again.
    Thrice,
    AtMostThrice,
}

impl May {
    /// What may have happened to a call that may run three times.
    fn again(self) -> Self {
        match self {
            Self::Once => Self::Thrice,
            Self::AtMostOnce => Self::AtMostThrice,
            other => other,
        }
    }
}

fn judge(outcome: Result<u32>, n: u32) -> May {
    match outcome {
        Ok(got) => {
            assert_eq!(got, n);
            May::Once
        }
        Err(error) if error.is_unstarted() => {
            let fits = error.is_cancelled() || error.is_full() || error.is_timeout();
            // It was the next of five workers that were killed.
            assert!(fits || error.is_signal(), "{error:?}");
            May::Never
        }
        Err(error) if error.is_panic() => May::Once,
        Err(error) => {
            let died = error.is_signal() || error.is_exit();
            let fits = died || error.is_cancelled() || error.is_timeout();
            assert!(fits, "{error:?}");
            May::AtMostOnce
        }
    }
}

/// What all threads share.
struct Scene<'a> {
    pool: Pool<File>,
    log: &'a Log,
    next: AtomicU32,
    /// The last workers that have started.
    pids: &'a Mutex<Vec<u32>>,
    end: Instant,
}

type Seen = Vec<(u32, May)>;

impl Scene<'_> {
    fn number(&self) -> u32 {
        self.next.fetch_add(1, Relaxed)
    }

    /// What one thread does, again and again.
    fn one(&self, dice: &mut Rng, seen: &mut Seen) {
        match dice.u32(..100) {
            0 => self.pool.resize(dice.usize(..2)..=dice.usize(1..=WORKERS)),
            1 if dice.u32(..40) == 0 => self.pool.reload(self.log.maker()).unwrap(),
            1..4 => {
                let pids = self.pids.lock().unwrap();
                let pid = pids.get(dice.usize(..pids.len().max(1)));
                pid.into_iter().for_each(|pid| signal(*pid, libc::SIGKILL));
            }
            4..7 => {
                let stats = self.pool.stats();
                assert!(stats.ran.count() <= stats.calls && stats.ended <= stats.started);
            }
            7..10 => self.map(dice, seen),
            10..25 => {
                let n = self.number();
                match self.pool.try_call(storm::task(n)) {
                    Ok(call) => seen.push((n, act(call, n, dice.u32(..60)))),
                    Err(error) => seen.push((n, judge(Err(error), n))),
                }
            }
            25..30 => {
                let wait = Duration::from_micros(dice.u64(..500));
                if let Some(permit) = self.pool.ready().wait_timeout(wait).unwrap()
                    && dice.bool()
                {
                    let n = self.number();
                    seen.push((n, act(permit.call(storm::task(n)), n, dice.u32(..60))));
                }
            }
            30..34 => {
                let permit = block_on(self.pool.ready()).unwrap();
                let n = self.number();
                seen.push((n, act(permit.call(storm::task(n)), n, dice.u32(..60))));
            }
            34..40 => {
                let n = self.number();
                let call = self.with(dice).retries(2).call(storm::task(n));
                seen.push((n, act(call, n, dice.u32(..60)).again()));
            }
            _ => {
                let n = self.number();
                let call = self.with(dice).call(storm::task(n));
                seen.push((n, act(call, n, dice.u32(..60))));
            }
        }
    }

    fn with(&self, dice: &mut Rng) -> With<File> {
        let with = match dice.u32(..4) {
            0 => {
                let queue = self.pool.queue(["a", "b", "c"][dice.usize(..3)]);
                queue.concurrency(dice.usize(1..5));
                assert!(queue.len() < usize::try_from(THREADS).unwrap() * 40);
                queue.with()
            }
            _ => self.pool.with(),
        };
        let short = Duration::from_micros(dice.u64(50..5000));
        match dice.u32(..12) {
            0 => with.timeout(short),
            1 => with.time_limit(short),
            2 => with.soft_limit(short),
            3 => with.priority(dice.i32(-2..3)),
            4 | 5 => with.key(dice.u8(..6)),
            _ => with,
        }
    }

    /// Gives many tasks, and drops what it makes half-way.
    fn map(&self, dice: &mut Rng, seen: &mut Seen) {
        let numbers = Mutex::new(Vec::new());
        let tasks = std::iter::repeat_with(|| {
            let n = self.number();
            numbers.lock().unwrap().push(n);
            storm::task(n)
        });
        let (count, mut known) = (dice.usize(1..20), Vec::new());
        let map = self.pool.map(tasks);
        match dice.bool() {
            true => {
                for (at, outcome) in map.take(count).enumerate() {
                    let n = numbers.lock().unwrap()[at];
                    known.push((n, judge(outcome, n)));
                }
            }
            false => {
                for got in map.unordered().take(count).flatten() {
                    known.push((got, May::Once));
                }
            }
        }
        let mut rest = numbers.into_inner().unwrap();
        rest.retain(|n| known.iter().all(|(other, _)| other != n));
        seen.extend(known);
        seen.extend(rest.into_iter().map(|n| (n, May::AtMostOnce)));
    }

    fn thread(&self, seed: u64) -> Seen {
        let (mut dice, mut seen) = (Rng::with_seed(seed), Vec::new());
        while Instant::now() < self.end {
            self.one(&mut dice, &mut seen);
        }
        seen
    }
}

fn act(mut call: Call<u32>, n: u32, how: u32) -> May {
    match how {
        0..3 => drop(call),
        3 => call.detach(),
        4 => drop(call.kill_on_drop(true)),
        5..9 => {
            let is_cancelled = call.cancel();
            let may = judge(call.join(), n);
            assert!(!is_cancelled || may == May::Never);
            return may;
        }
        9 => {
            call.kill().unwrap();
            return judge(call.join(), n);
        }
        10..25 => match call.join_timeout(Duration::from_micros(50)).transpose() {
            Some(outcome) => return judge(outcome, n),
            None => {
                // Whether it has begun is known at any time.
                let _ = (call.pid(), call.is_finished());
                return judge(call.join(), n);
            }
        },
        25..40 => return judge(block_on(call), n),
        _ => return judge(call.join(), n),
    }
    May::AtMostOnce
}

/// Everything at once for so long; gives how many calls there were.
fn all(shape: Shape, time: Duration) -> usize {
    let (log, pids) = (Log::new(), &*Box::leak(Box::new(Mutex::new(Vec::new()))));
    let builder = Pool::builder(log.maker()).workers(1..=WORKERS).queue(40);
    let builder = builder.on_start(|info| {
        let mut pids = pids.lock().unwrap();
        let keep = pids.len().saturating_sub(WORKERS - 1);
        pids.drain(..keep);
        pids.push(info.pid);
    });
    let scene = Scene {
        pool: shape.of(builder).build().unwrap(),
        log: &log,
        next: AtomicU32::new(0),
        pids,
        end: Instant::now() + time,
    };
    let seen: Seen = thread::scope(|scope| {
        let scene = &scene;
        let threads: Vec<_> = (0..THREADS)
            .map(|seed| scope.spawn(move || scene.thread(seed)))
            .collect();
        let joined = threads.into_iter().flat_map(|it| it.join().unwrap());
        joined.collect()
    });
    let Scene { pool, next, .. } = scene;
    let copy = pool.clone();
    end(pool);
    let stats = copy.stats();
    let over = stats.done + stats.failed + stats.cancelled + stats.timed_out + stats.lost;
    assert_eq!(stats.calls, over, "each has one outcome: {stats:?}");
    let ran = log.ran();
    assert_eq!(seen.len(), next.into_inner() as usize);
    for (n, may) in &seen {
        let times = ran.get(n).copied().unwrap_or(0);
        let is_right = match may {
            May::Once => times == 1,
            May::Never => times == 0,
            May::AtMostOnce => times <= 1,
            May::Thrice => (1..=3).contains(&times),
            May::AtMostThrice => times <= 3,
        };
        assert!(is_right, "{shape:?}: {n} ran {times} times: {may:?}");
    }
    assert!(seen.len() > 50, "{stats:?}");
    seen.len()
}

#[test]
fn no_call_of_a_pool_is_lost_or_runs_twice_and_nothing_is_left() {
    let seconds = env::var("ZYGOTE_RACE_SECONDS").map_or(2, |time| time.parse().unwrap());
    let _limit = watchdog(60 + seconds);
    alone(|| {
        let before = Census::take();
        let shapes = SHAPES.into_iter().filter(|it| !it.is_fresh || it.depth > 1);
        for shape in shapes {
            let calls = all(shape, Duration::from_secs(seconds) / 3);
            assert!(calls > 0, "{shape:?}");
        }
        before.check();
    });
}
