//! Processes that wait in stock: how many, what they are, and that nobody
//! notices when one is gone.

use std::{
    os::unix::process::parent_id,
    process::id,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use zygote::{Process, Result, renew_template};

use crate::util::{self, Census, STOCK, alone, watchdog};

#[zygote::entry]
fn own_and_parent() -> (u32, u32) {
    (id(), parent_id())
}

#[zygote::entry]
fn held(value: &u32) -> (u32, u32) {
    (*value, id())
}

#[zygote::entry]
fn told(args: u32) -> u32 {
    args
}

#[zygote::preload]
fn hold(value: u32) -> u32 {
    value
}

fn run(process: &Process) -> (u32, u32) {
    let worker = process.fork().unwrap().run(own_and_parent::task());
    worker.unwrap().join().unwrap()
}

/// The stock of a process that has some, when none is added any more.
fn stock(of: u32) -> Vec<u32> {
    util::until("it has a stock", || util::stock_at_rest(of) > 0);
    util::in_stock(of)
}

#[test]
fn what_is_used_once_has_none_and_what_is_used_again_has() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let template = process.id().unwrap();
    run(&process);
    assert_eq!(util::stock_at_rest(template), 0);
    run(&process);
    let stock = stock(template);
    assert!((4..=STOCK).contains(&stock.len()), "{stock:?}");
    // They are what runs next, and what runs is no longer in stock.
    let (own, parent) = run(&process);
    assert!(stock.contains(&own), "{own} is not in {stock:?}");
    assert_eq!(parent, template);
    assert!(!util::in_stock(template).contains(&own));
    drop(process);
    util::until("all have ended", || {
        !stock.iter().any(|pid| util::is_alive(*pid)) && !util::is_alive(template)
    });
}

#[test]
fn it_grows_with_what_is_in_use_up_to_the_limit() {
    let _limit = watchdog(60);
    for (most, at_once, least, highest) in [(0, 4, 0, 0), (3, 10, 2, 3), (40, 30, 15, 30)] {
        let process = Process::new().unwrap().stock(most);
        let template = process.id().unwrap();
        let workers = process.spawn_all((0..at_once).map(|_| own_and_parent::task()));
        for worker in workers.into_iter().map(Result::unwrap) {
            worker.wait().unwrap();
            assert_eq!(worker.join().unwrap().1, template);
        }
        util::until("it is as it is to be", || {
            util::stock_at_rest(template);
            let count = util::in_stock(template).len();
            (least..=highest).contains(&count) && util::children(template).len() == count
        });
    }
}

#[test]
fn it_can_be_turned_off_later_and_forks_take_that_over() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let template = process.id().unwrap();
    run(&process);
    run(&process);
    stock(template);
    let process = process.stock(0);
    util::until("it is gone", || util::children(template).is_empty());
    let below = process.fork().unwrap();
    for _ in 0..3 {
        run(&process);
        run(&below);
    }
    assert_eq!(util::stock_at_rest(template), 0);
    assert_eq!(util::stock_at_rest(below.id().unwrap()), 0);
}

#[test]
fn it_is_made_anew_when_the_process_changes() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let template = process.id().unwrap();
    run(&process);
    run(&process);
    let before = stock(template);
    let process = process.preload(hold::task(7)).unwrap();
    let run = || {
        let worker = process.fork().unwrap().run(held::task());
        worker.unwrap().join().unwrap()
    };
    for _ in 0..STOCK {
        let (value, own) = run();
        assert_eq!(value, 7);
        assert!(!before.contains(&own), "{own} is from before");
    }
    util::until("they have ended", || {
        !before.iter().any(|pid| util::is_alive(*pid))
    });
    assert!(stock(template).iter().all(|pid| !before.contains(pid)));
}

#[test]
fn one_that_died_is_replaced_and_nobody_notices() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        let template = util::template();
        for _ in 0..4 {
            let all = stock(template);
            for pid in &all {
                util::signal(*pid, libc::SIGKILL);
            }
            util::until("they are dead", || {
                !all.iter().any(|pid| util::is_alive(*pid))
            });
            for n in 0..40 {
                assert_eq!(told::spawn(n).unwrap().join().unwrap(), n);
            }
            util::until("they are reaped", || {
                !all.iter().any(|pid| util::stat(*pid).is_some())
            });
        }
        assert_eq!(util::template(), template);
        before.check();
    });
}

#[test]
fn a_handle_outlives_the_process_that_it_is_a_fork_of() {
    let _limit = watchdog(60);
    for _ in 0..10 {
        let process = Process::new().unwrap();
        run(&process);
        run(&process);
        // More than there are in stock so far: some are still to be forked.
        let forks: Vec<_> = (0..STOCK).map(|_| process.fork().unwrap()).collect();
        let template = process.id().unwrap();
        drop(process);
        let workers = forks
            .into_iter()
            .map(|fork| fork.run(own_and_parent::task()));
        for worker in workers.collect::<Vec<_>>() {
            assert_eq!(worker.unwrap().join().unwrap().1, template);
        }
        util::until("it has ended", || !util::is_alive(template));
    }
}

#[test]
fn it_has_its_socket_and_no_other_descriptor() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let template = process.id().unwrap();
    let _kept: Vec<_> = (0..3).map(|_| process.fork().unwrap()).collect();
    run(&process);
    for pid in stock(template) {
        // Beside the standard streams.
        assert_eq!(util::fds(pid), 4, "{}", util::title(pid));
    }
}

#[test]
fn a_template_that_is_given_up_takes_nobodys_task_along() {
    let _limit = watchdog(120);
    alone(|| {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let spawners: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut count = 0;
                        while !is_over.load(Ordering::Relaxed) {
                            assert_eq!(told::spawn(count).unwrap().join().unwrap(), count);
                            count += 1;
                        }
                        count
                    })
                })
                .collect();
            for _ in 0..30 {
                thread::sleep(Duration::from_millis(30));
                renew_template();
            }
            is_over.store(true, Ordering::Relaxed);
            for spawner in spawners {
                assert!(spawner.join().unwrap() > 10);
            }
        });
    });
}
