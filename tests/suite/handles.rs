//! `Process` and `Worker`: ids, waits, signals, drops.

use std::{
    collections::BTreeSet,
    io::Write,
    os::{
        fd::AsFd,
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    process::id,
    thread,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, poll};
use zygote::{Process, Worker, wait_any, wait_any_timeout};

use crate::util::{self, Census, alone, watchdog, within};

#[zygote::entry]
fn own_id() -> u32 {
    id()
}

#[zygote::entry]
fn sleep() {
    thread::sleep(Duration::from_secs(3600));
}

#[zygote::entry]
fn nap(ms: u64) -> u64 {
    thread::sleep(Duration::from_millis(ms));
    ms
}

#[zygote::entry]
fn work() -> u32 {
    util::burn(Duration::from_millis(20));
    7
}

/// Ends when it is told.
#[zygote::entry]
fn hears(told: zygote::Receiver<u64>) -> u64 {
    told.recv().unwrap()
}

/// Whether the pidfd says that it has ended; asks nobody else.
fn has_ended<R>(worker: &Worker<R>) -> bool {
    let mut fds = [PollFd::new(worker.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, 0_u8).unwrap() == 1
}

#[test]
fn worker_id_always() {
    let _limit = watchdog(30);
    let workers: Vec<_> = (0..5).map(|_| own_id::spawn().unwrap()).collect();
    let ids: BTreeSet<u32> = workers.iter().map(Worker::id).collect();
    assert_eq!(ids.len(), 5);
    for worker in workers {
        let pid = worker.id();
        worker.wait().unwrap();
        assert_eq!(worker.id(), pid);
        assert_eq!(worker.join().unwrap(), pid);
    }
    let process = Process::new().unwrap();
    let pid = process.id().unwrap();
    let worker = process.run(own_id::task()).unwrap();
    assert_eq!(worker.id(), pid);
    assert_eq!(worker.join().unwrap(), pid);
}

#[test]
fn wait_kill_signal_rusage_pidfd() {
    let _limit = watchdog(30);
    let worker = sleep::spawn().unwrap();
    assert!(worker.try_wait().unwrap().is_none());
    assert!(
        worker
            .wait_timeout(Duration::from_millis(5))
            .unwrap()
            .is_none()
    );
    assert!(!has_ended(&worker));
    worker.signal(libc::SIGTERM).unwrap();
    util::until("the pidfd is readable", || has_ended(&worker));
    let exit = worker.wait().unwrap();
    assert_eq!(exit.status().unwrap().signal(), Some(libc::SIGTERM));
    assert_eq!(worker.try_wait().unwrap(), Some(exit));

    let worker = sleep::spawn().unwrap();
    worker.kill().unwrap();
    let exit = worker.wait_timeout(util::PATIENCE).unwrap().unwrap();
    assert_eq!(exit.status().unwrap().signal(), Some(libc::SIGKILL));

    let worker = work::spawn().unwrap();
    let exit = worker.wait().unwrap();
    assert!(exit.success());
    let rusage = exit.rusage().unwrap();
    assert!(
        rusage.user + rusage.system >= Duration::from_millis(20),
        "{rusage:?}"
    );
    assert!(
        rusage.max_rss > 100 << 10 && rusage.minor_faults > 0,
        "{rusage:?}"
    );
    assert_eq!(worker.join().unwrap(), 7, "wait takes no result");
}

#[test]
fn a_signal_that_is_none_is_an_error() {
    let _limit = watchdog(30);
    let worker = sleep::spawn().unwrap().kill_on_drop(true);
    assert!(worker.signal(1000).is_err());
    worker.signal(0).unwrap();
    assert!(worker.try_wait().unwrap().is_none());
}

#[test]
fn wait_twice_and_kill_after_exit() {
    let _limit = watchdog(30);
    let worker = nap::spawn(1).unwrap();
    let exit = worker.wait().unwrap();
    assert_eq!(worker.wait().unwrap(), exit);
    util::until("it was reaped", || util::stat(worker.id()).is_none());
    worker.kill().unwrap();
    worker.signal(libc::SIGTERM).unwrap();
    assert_eq!(worker.wait().unwrap(), exit);
    assert_eq!(worker.join().unwrap(), 1);
}

#[test]
fn several_threads_wait_for_one_worker() {
    let _limit = watchdog(30);
    let worker = sleep::spawn().unwrap();
    thread::scope(|scope| {
        let waits: Vec<_> = (0..8)
            .map(|n| {
                let worker = &worker;
                scope.spawn(move || match n % 2 {
                    0 => worker.wait().map(Some),
                    _ => worker.wait_timeout(util::PATIENCE),
                })
            })
            .collect();
        worker.kill().unwrap();
        for wait in waits {
            let exit = wait.join().unwrap().unwrap().unwrap();
            assert_eq!(exit.status().unwrap().signal(), Some(libc::SIGKILL));
        }
    });
}

#[test]
fn no_zombie_after_100_ms_without_a_command() {
    let _limit = watchdog(30);
    alone(no_zombie_after_100_ms);
}

#[test]
fn no_zombie_after_100_ms_beside_more_than_are_all_looked_at() {
    let _limit = watchdog(30);
    alone(|| {
        let crowd: Vec<_> = (0..100).map(|_| nap::spawn(60_000).unwrap()).collect();
        no_zombie_after_100_ms();
        for worker in crowd {
            worker.kill().unwrap();
            worker.wait().unwrap();
        }
    });
}

fn no_zombie_after_100_ms() {
    // Where the template has to wait for a processor, in one of the rounds
    // it has not.
    let in_time = (0..20).any(|_| {
        let workers: Vec<_> = (0..20).map(|n| nap::spawn(n % 5).unwrap()).collect();
        for worker in &workers {
            util::until("it ends", || has_ended(worker));
        }
        // Not a wait for something: the time the requirement gives.
        thread::sleep(Duration::from_millis(100));
        let left = |worker: &Worker<u64>| util::stat(worker.id()).is_some();
        let is_in_time = !workers.iter().any(left);
        for worker in &workers {
            util::until("it is reaped", || !left(worker));
        }
        // The reports are there, though nobody asked in between.
        for worker in workers {
            assert!(worker.wait().unwrap().success());
        }
        is_in_time
    });
    assert!(in_time, "always later than after 100 ms");
}

#[test]
fn dropping_a_process_ends_it() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let pid = process.id().unwrap();
    drop(process);
    util::until_within(Duration::from_secs(1), "it ends", || {
        util::stat(pid).is_none()
    });

    // One that has workers stays for them, and no longer.
    let process = Process::new().unwrap();
    let pid = process.id().unwrap();
    let worker = process.fork().unwrap().run(nap::task(50)).unwrap();
    drop(process);
    assert_eq!(worker.join().unwrap(), 50);
    util::until_within(Duration::from_secs(1), "it ends", || {
        util::stat(pid).is_none()
    });
}

#[test]
fn dropping_a_worker_leaves_it_running_and_no_zombie() {
    let _limit = watchdog(30);
    alone(|| {
        let before = Census::take();
        let (done, heard) = zygote::channel::<u32>().unwrap();
        let worker = reports::spawn(done).unwrap();
        let pid = worker.id();
        drop(worker);
        assert_eq!(heard.recv_timeout(util::PATIENCE).unwrap(), pid);
        util::until("it is reaped", || util::stat(pid).is_none());
        drop(heard);
        before.check();
    });
}

#[zygote::entry]
fn reports(done: zygote::Sender<u32>) {
    thread::sleep(Duration::from_millis(20));
    done.send(id()).unwrap();
}

#[test]
fn kill_on_drop_kills() {
    let _limit = watchdog(30);
    let worker = sleep::spawn().unwrap().kill_on_drop(true);
    let pid = worker.id();
    drop(worker);
    util::until("it is killed", || util::stat(pid).is_none());
    let worker = sleep::spawn()
        .unwrap()
        .kill_on_drop(true)
        .kill_on_drop(false);
    let pid = worker.id();
    drop(worker);
    assert!(util::is_alive(pid));
    util::signal(pid, libc::SIGKILL);
}

#[test]
fn run_returns_after_the_worker_exists() {
    let _limit = watchdog(30);
    for _ in 0..20 {
        let worker = sleep::spawn().unwrap().kill_on_drop(true);
        assert_eq!(util::stat(worker.id()).unwrap().1, util::template());
    }
}

#[test]
fn run_all_pipelines() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let pid = process.id().unwrap();
    let workers = process.spawn_all((0..32).map(|_| own_id::task()));
    assert_eq!(workers.len(), 32);
    let workers: Vec<_> = workers.into_iter().map(Result::unwrap).collect();
    for worker in workers {
        let id = worker.id();
        assert_eq!(worker.join().unwrap(), id);
    }
    let results: Vec<u64> = process
        .spawn_all((0..10).map(nap::task))
        .into_iter()
        .map(|worker| worker.unwrap().join().unwrap())
        .collect();
    assert_eq!(results, (0..10).collect::<Vec<_>>());
    assert!(process.spawn_all(Vec::<zygote::Task<()>>::new()).is_empty());

    // Stopped, so that it forks nothing more.
    util::signal(pid, libc::SIGSTOP);
    util::until("it is stopped", || {
        util::stat(pid).is_some_and(|(state, _)| state == 'T')
    });
    let stock = util::children(pid);
    util::signal(pid, libc::SIGKILL);
    util::until("it is dead", || !util::is_alive(pid));
    util::until("so is its stock", || {
        !stock.iter().any(|pid| util::is_alive(*pid))
    });
    let failed = within(Duration::from_secs(2), || {
        process.spawn_all([sleep::task(), sleep::task()])
    });
    assert_eq!(failed.len(), 2);
    for worker in failed {
        let error = worker.unwrap_err();
        assert!(
            error.is_template_gone() && error.is_unstarted(),
            "{error:?}"
        );
    }
}

#[test]
fn join_timeout_again_and_again() {
    let _limit = watchdog(30);
    let (go, told) = zygote::channel::<u64>().unwrap();
    let mut worker = hears::spawn(told).unwrap();
    for _ in 0..3 {
        let waited = Instant::now();
        let result = worker.join_timeout(Duration::from_millis(5)).unwrap();
        assert_eq!(result, None);
        assert!(waited.elapsed() >= Duration::from_millis(5));
    }
    go.send(60).unwrap();
    let result = worker.join_timeout(util::PATIENCE).unwrap();
    assert_eq!(result, Some(60));
    assert!(
        worker
            .join_timeout(util::PATIENCE)
            .unwrap_err()
            .is_invalid()
    );
    assert!(worker.wait().unwrap().success());
    assert!(
        worker.join().unwrap_err().is_invalid(),
        "one outcome per task"
    );
}

#[test]
fn wait_any_gives_the_first() {
    let _limit = watchdog(30);
    let mut workers = vec![sleep::spawn().unwrap(), sleep::spawn().unwrap()];
    let none = wait_any_timeout(&workers, Duration::from_millis(10));
    assert_eq!(none.unwrap(), []);
    workers[1].kill().unwrap();
    assert_eq!(wait_any_timeout(&workers, util::PATIENCE).unwrap(), [1]);
    assert!(workers.remove(1).join().unwrap_err().is_signal());
    workers[0].kill().unwrap();
    assert_eq!(wait_any(&workers).unwrap(), [0]);
    assert_eq!(wait_any(&[] as &[Worker<()>]).unwrap(), []);
}

#[test]
fn wait_any_gives_all_that_are_ready_of_whatever_kind() {
    let _limit = watchdog(30);
    let (worker, other) = (sleep::spawn().unwrap(), sleep::spawn().unwrap());
    let (near, mut far) = UnixStream::pair().unwrap();
    let fds = [worker.as_fd(), near.as_fd(), other.as_fd()];
    assert_eq!(wait_any_timeout(fds, Duration::ZERO).unwrap(), []);
    far.write_all(b"!").unwrap();
    assert_eq!(wait_any(fds).unwrap(), [1], "it takes nothing");
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(wait_any(fds).unwrap(), [1, 2]);
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert_eq!(wait_any(fds).unwrap(), [0, 1, 2]);
}

#[zygote::entry]
fn detaches_a_worker() -> u32 {
    let worker = sleep::spawn().unwrap();
    let pid = worker.id();
    worker.detach().unwrap();
    pid
}

#[test]
fn a_detached_worker_outlives_its_program() {
    let _limit = watchdog(30);
    let program = detaches_a_worker::spawn().unwrap();
    program.wait().unwrap();
    let pid = program.join().unwrap();
    // Its template, which would have taken it along, goes.
    util::until("it has another parent or its template ends", || {
        util::stat(pid).is_some_and(|(_, parent)| util::templates(parent).is_empty())
    });
    assert!(util::is_alive(pid));
    util::signal(pid, libc::SIGKILL);
}

#[zygote::entry]
fn descends(depth: u32) -> zygote::Result<u32> {
    match depth {
        0 => Ok(1),
        _ => Ok(1 + descends::spawn(depth - 1)?.join()??),
    }
}

#[test]
fn a_worker_spawns_its_own_workers() {
    let _limit = watchdog(60);
    assert_eq!(descends::spawn(3).unwrap().join().unwrap().unwrap(), 4);
}
