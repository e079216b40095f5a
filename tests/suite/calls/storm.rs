//! Many threads that do everything at once with services that crash.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use zygote::{Call, Service, Task};

use super::{LONG, log, service};
use crate::util::{Census, alone, watchdog};

const THREADS: u64 = 16;
const CALLS: u32 = 500;

/// Notes that it ran. Some crash, some are slow.
#[zygote::entry]
fn storm(mut log: File, n: u32) -> u32 {
    log.write_all(&n.to_le_bytes()).unwrap();
    match n % 211 {
        0 => std::process::abort(),
        1 => thread::sleep(Duration::from_millis(3)),
        2 => panic!("on request"),
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
}

fn judge(outcome: Result<u32, zygote::Error>, n: u32) -> May {
    match outcome {
        Ok(got) => {
            assert_eq!(got, n);
            May::Once
        }
        Err(error) if error.is_unstarted() => May::Never,
        Err(error) if error.is_panic() => May::Once,
        Err(error) => {
            assert!(error.is_signal() || error.is_cancelled(), "{error:?}");
            May::AtMostOnce
        }
    }
}

fn act(mut call: Call<u32>, n: u32, how: u64) -> May {
    match how {
        0 => drop(call),
        1 => call.detach(),
        2 => {
            if call.cancel() {
                return May::Never;
            }
            return judge(call.join(), n);
        }
        3 => {
            let kill = call.kill();
            return kill.map_or(May::AtMostOnce, |()| judge(call.join(), n));
        }
        4..20 => match call.join_timeout(Duration::from_micros(50)) {
            Ok(None) => return judge(call.join(), n),
            Ok(Some(got)) => return judge(Ok(got), n),
            Err(error) => return judge(Err(error), n),
        },
        _ => return judge(call.join_timeout(LONG).map(Option::unwrap), n),
    }
    May::AtMostOnce
}

/// Gives the service, and another one if it has ended.
fn living(shared: &Mutex<Arc<Service>>) -> Arc<Service> {
    let mut service = shared.lock().unwrap();
    if service.is_finished() {
        *service = Arc::new(self::service());
    }
    Arc::clone(&service)
}

fn one_thread(
    shared: &Mutex<Arc<Service>>,
    next: &AtomicU32,
    log: &File,
    thread: u64,
) -> Vec<(u32, May)> {
    let mut dice = fastrand::Rng::with_seed(thread);
    let task = |n| -> Task<u32> { storm::task(log.try_clone().unwrap(), n) };
    let mut all = Vec::new();
    for _ in 0..CALLS {
        let (service, n) = (living(shared), next.fetch_add(1, Ordering::Relaxed));
        all.push((n, act(service.call(task(n)), n, dice.u64(..60))));
    }
    all
}

#[test]
fn no_call_is_lost_or_runs_twice_and_nothing_is_left() {
    let _limit = watchdog(120);
    alone(|| {
        service().stop(LONG).unwrap();
        let before = Census::take();
        // Descriptors share the end of the file, so that nothing is overwritten.
        let mut log = log();
        let (shared, next) = (Mutex::new(Arc::new(service())), AtomicU32::new(0));
        let all: BTreeMap<u32, May> = thread::scope(|scope| {
            let (shared, next, log) = (&shared, &next, &log);
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| scope.spawn(move || one_thread(shared, next, log, thread)))
                .collect();
            threads
                .into_iter()
                .flat_map(|it| it.join().unwrap())
                .collect()
        });
        let last = shared.into_inner().unwrap();
        Arc::into_inner(last).unwrap().stop(LONG).unwrap();
        let mut notes = Vec::new();
        log.rewind().unwrap();
        log.read_to_end(&mut notes).unwrap();
        drop(log);
        let mut ran: BTreeMap<u32, usize> = BTreeMap::new();
        for note in notes.chunks_exact(4) {
            *ran.entry(u32::from_le_bytes(note.try_into().unwrap()))
                .or_default() += 1;
        }
        for (n, may) in all {
            let times = ran.get(&n).copied().unwrap_or(0);
            let is_right = match may {
                May::Once => times == 1,
                May::Never => times == 0,
                May::AtMostOnce => times <= 1,
            };
            assert!(is_right, "{n} ran {times} times: {may:?}");
        }
        before.check();
    });
}
