//! The end of a pool, and its closures and threads.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::ExitStatusExt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Instant,
};

use zygote::{Pool, pool::Info};

use super::tasks::{LONG, begun, builder, dies, echo, hangs, log, ms, nap, noted, pid, ran};
use crate::util::{Census, alone, field, is_alive, stat, until, watchdog, within};

#[test]
fn a_shutdown_returns_when_the_last_process_is_gone() {
    let _limit = watchdog(60);
    for round in 0..12 {
        let pool = builder(3).depth(1 + 15 * (round % 2)).build().unwrap();
        let calls = [(); 3].map(|()| pool.call(nap::task(20)));
        let pids = calls.map(|call| call.join().unwrap());
        let last = pool.call(nap::task(10));
        let grace = if round % 4 < 2 { LONG } else { ms(0) };
        within(ms(2000), || pool.shutdown(grace).unwrap());
        for pid in pids {
            assert!(!is_alive(pid), "{:?}", stat(pid));
            assert_eq!(stat(pid), None, "it is a zombie");
        }
        assert_eq!(last.join().is_ok(), grace == LONG);
        assert!(pool.call(echo::task(1)).join().unwrap_err().is_closed());
        let error = pool.try_call(echo::task(1)).unwrap_err();
        assert!(error.is_closed() && error.is_unstarted(), "{error:?}");
        within(ms(100), || pool.shutdown(LONG).unwrap());
    }
}

#[test]
fn several_threads_may_shut_a_pool_down_at_the_same_time() {
    let _limit = watchdog(30);
    for grace in [0, 20_000] {
        let pool = builder(2).build().unwrap();
        let call = pool.call(nap::task(50));
        let worker = begun(&call);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    pool.shutdown(ms(grace)).unwrap();
                    assert_eq!(stat(worker), None);
                });
            }
        });
        assert_eq!(call.join().is_ok(), grace > 0);
    }
}

#[test]
fn a_shutdown_without_grace_tells_what_had_begun() {
    let _limit = watchdog(30);
    for depth in [1, 16] {
        let (pool, log) = (builder(1).depth(depth).build().unwrap(), log());
        let hung = hangs(&pool);
        let calls = [1, 2, 3].map(|n| pool.call(noted::task(log.try_clone().unwrap(), n, 0)));
        let start = Instant::now();
        pool.shutdown(ms(30)).unwrap();
        assert!(start.elapsed() >= ms(30) && start.elapsed() < ms(900));
        let error = hung.join().unwrap_err();
        assert!(error.is_closed() && !error.is_unstarted(), "{error:?}");
        for call in calls {
            let error = call.join().unwrap_err();
            assert!(error.is_closed() && error.is_unstarted(), "{error:?}");
        }
        assert_eq!(ran(&log), [0; 0]);
    }
}

#[test]
fn calls_that_are_held_end_normally_though_the_pool_is_dropped() {
    let _limit = watchdog(30);
    for depth in [1, 16] {
        let (pool, log) = (builder(2).depth(depth).build().unwrap(), log());
        let worker = pool.call(pid::task()).join().unwrap();
        let task = |n| noted::task(log.try_clone().unwrap(), n, 2);
        let queue = pool.queue("kept");
        let mut calls: Vec<_> = (0..20).map(|n| pool.call(task(n))).collect();
        pool.call(task(20)).detach();
        drop(pool);
        calls.push(queue.call(task(21)));
        within(ms(100), || drop(queue));
        for (n, call) in (0..20).chain([21]).zip(calls) {
            assert_eq!(call.join().unwrap(), n);
        }
        until("the workers end", || !is_alive(worker));
        let mut ran = ran(&log);
        ran.sort_unstable();
        assert_eq!(ran, (0..22).collect::<Vec<_>>());
    }
}

/// What the closures of a pool were told.
type Told = Arc<Mutex<Vec<(bool, Info, Option<i32>)>>>;

#[test]
fn closures_are_told_of_each_worker_once() {
    let _limit = watchdog(30);
    let told = Told::default();
    let [starts, stops] = [(); 2].map(|()| Arc::clone(&told));
    let pool = builder(2)
        .on_start(move |info| starts.lock().unwrap().push((true, *info, None)))
        .on_stop(move |info, exit| {
            let mut told = stops.lock().unwrap();
            told.push((false, *info, exit.status().and_then(|it| it.signal())));
            drop(told);
            std::panic::resume_unwind(Box::new("nothing happens"));
        })
        .build()
        .unwrap();
    for _ in 0..4 {
        assert!(pool.call(dies::task()).join().unwrap_err().is_signal());
    }
    until("there are two again", || {
        let stats = pool.stats();
        stats.workers == 2 && stats.started == 6
    });
    let served = pool.call(pid::task()).join().unwrap();
    pool.shutdown(LONG).unwrap();
    until("all was told", || told.lock().unwrap().len() == 12);
    let mut workers = BTreeMap::new();
    for (is_start, info, signal) in told.lock().unwrap().iter() {
        assert!(info.place < 2);
        let worker = workers.entry(info.pid).or_insert((info.place, 0, 0, None));
        assert_eq!(worker.0, info.place);
        match is_start {
            true => worker.1 += 1,
            false => (worker.2, worker.3) = (worker.2 + 1, *signal),
        }
    }
    assert_eq!(workers.len(), 6);
    assert!(workers.contains_key(&served));
    assert!(
        workers
            .values()
            .all(|(_, starts, stops, _)| (*starts, *stops) == (1, 1))
    );
    let killed = workers
        .values()
        .filter(|worker| worker.3 == Some(libc::SIGABRT));
    assert_eq!(killed.count(), 4);
}

#[test]
fn a_closure_that_panics_at_a_start_costs_that_worker() {
    let _limit = watchdog(30);
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&starts);
    let pool = Pool::builder(zygote::Process::new).workers(0..=1);
    let pool = pool.on_start(move |_| {
        if counted.fetch_add(1, SeqCst) < 2 {
            std::panic::resume_unwind(Box::new("not this one"));
        }
    });
    let pool = pool.build().unwrap();
    assert_eq!(pool.call(echo::task(5)).join().unwrap(), 5);
    assert_eq!((starts.load(SeqCst), pool.stats().started), (3, 1));
    pool.shutdown(LONG).unwrap();
}

#[test]
fn a_pool_may_be_shut_down_from_its_own_closures() {
    let _limit = watchdog(60);
    for is_start in [true, false] {
        let pool: Arc<OnceLock<Pool>> = Arc::default();
        let (send, heard) = mpsc::channel();
        let send = Mutex::new(send);
        let inner = Arc::clone(&pool);
        let shut_down = move || {
            let result = inner.get().unwrap().shutdown(ms(20));
            let _ = send.lock().unwrap().send(result);
        };
        let builder = Pool::builder(zygote::Process::new).workers(0..=2);
        let builder = match is_start {
            true => builder.on_start(move |_| shut_down()),
            false => builder.on_stop(move |_, _| shut_down()),
        };
        pool.set(builder.build().unwrap()).unwrap();
        let pool = pool.get().unwrap();
        let first = pool.call(dies::task());
        let result = heard.recv_timeout(LONG).unwrap();
        // A worker that is being started cannot have ended: the closure keeps it.
        assert_eq!(result.is_ok(), !is_start, "{result:?}");
        assert!(first.join().is_err());
        pool.shutdown(LONG).unwrap();
        assert_eq!(pool.stats().workers, 0);
    }
}

/// The names of the threads of this process, and which signals they block.
fn threads() -> Vec<(String, u64)> {
    let all = fs::read_dir("/proc/self/task").unwrap();
    let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).ok();
    all.filter_map(|task| status(task.ok()?))
        .map(|text| {
            let blocked = u64::from_str_radix(&field(&text, "SigBlk"), 16).unwrap();
            (field(&text, "Name"), blocked)
        })
        .collect()
}

#[test]
fn the_threads_of_a_pool_are_named_block_all_signals_and_end() {
    let _limit = watchdog(60);
    alone(|| {
        echo::spawn(1).unwrap().join().unwrap();
        let before = Census::take();
        let named = |name: &str| {
            let all = threads().into_iter();
            all.filter(|(it, _)| it == name)
                .map(|(_, mask)| mask)
                .collect::<Vec<_>>()
        };
        let (hold, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let pool = Pool::builder(zygote::Process::new).workers(0..=2);
        let pool = pool.on_start(move |_| {
            let _ = held.lock().unwrap().recv();
        });
        let pool = pool.build().unwrap();
        let call = pool.call(echo::task(1));
        until("both are there", || {
            named("zygote-pool").len() + named("zygote-start").len() == 2
        });
        // All that can be blocked: not SIGKILL, SIGSTOP, and two of the C library.
        let all = !(1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1) | 0b11 << 31);
        for mask in named("zygote-pool")
            .into_iter()
            .chain(named("zygote-start"))
        {
            assert_eq!(mask & all, all, "{mask:x}");
        }
        drop(hold);
        assert_eq!(call.join().unwrap(), 1);
        until("the second ends soon", || named("zygote-start").is_empty());
        assert_eq!(named("zygote-pool").len(), 1);
        pool.shutdown(LONG).unwrap();
        until("both have ended", || {
            named("zygote-pool").is_empty() && named("zygote-start").is_empty()
        });
        drop(pool);
        before.check();
    });
}
