//! Which process is forked from which.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher, Hasher},
    os::unix::process::parent_id,
    process::id,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use zygote::{Process, raw::Arg};

use crate::util::{self, Census, alone, watchdog, within};

#[zygote::entry]
fn parent() -> u32 {
    parent_id()
}

#[zygote::entry]
fn address() -> usize {
    (address as fn() -> usize) as usize
}

#[zygote::entry]
fn hash() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[zygote::entry]
fn sleep() {
    thread::sleep(Duration::from_secs(3600));
}

#[zygote::entry]
fn sleeps(begun: zygote::Sender<()>) {
    begun.send(()).unwrap();
    sleep();
}

/// The raw arguments, as text.
#[zygote::entry]
fn told() -> String {
    zygote::raw::take_args()
        .map(|arg| match arg {
            Arg::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
            Arg::Fd(_) => "(a descriptor)".to_owned(),
        })
        .collect()
}

#[zygote::preload]
fn nothing() {}

#[test]
fn new_forks_from_a_default_template_made_once() {
    let _limit = watchdog(30);
    alone(|| {
        let threads: Vec<_> = (0..8)
            .map(|_| thread::spawn(|| Process::new()?.run(parent::task())?.join()))
            .collect();
        let parents: Vec<u32> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap().unwrap())
            .collect();
        assert_eq!(parents, [parents[0]; 8]);
        assert_ne!(parents[0], id());
        assert_eq!(util::templates(id()), [parents[0]]);
    });
}

#[test]
fn fresh_has_its_own_address_layout() {
    let _limit = watchdog(30);
    let random = fs::read_to_string("/proc/sys/kernel/randomize_va_space").unwrap();
    assert_ne!(random.trim(), "0", "the kernel is told not to randomise");
    let at = |process: Process| process.run(address::task()).unwrap().join().unwrap();
    let default = at(Process::new().unwrap());
    assert_eq!(at(Process::new().unwrap()), default);
    let one = at(Process::fresh().unwrap());
    let two = at(Process::fresh().unwrap());
    assert_ne!(one, two);
    assert_ne!(one, default);
    assert_ne!(two, default);
}

#[test]
fn fresh_can_be_forked_and_leaves_nothing() {
    let _limit = watchdog(30);
    alone(|| {
        let before = Census::take();
        let fresh = Process::fresh().unwrap();
        let pid = fresh.id().unwrap();
        let forked = fresh.fork().unwrap().run(parent::task()).unwrap();
        assert_eq!(forked.join().unwrap(), pid);
        let other = fresh.fork().unwrap().run(address::task()).unwrap();
        let same = fresh.fork().unwrap().run(address::task()).unwrap();
        assert_eq!(other.join().unwrap(), same.join().unwrap());
        drop(fresh);
        util::until("the fresh process ends", || !util::is_alive(pid));
        before.check();
        util::until("its parent ends", || util::templates(id()).len() == 1);
    });
}

#[test]
fn workers_have_their_own_hash_keys() {
    let _limit = watchdog(30);
    let hashes: Vec<u64> = (0..4)
        .map(|_| hash::spawn().unwrap().join().unwrap())
        .collect();
    for (at, one) in hashes.iter().enumerate() {
        assert!(!hashes[..at].contains(one), "{hashes:?}");
    }
}

#[test]
fn fork_at_any_depth_in_the_order_asked() {
    let _limit = watchdog(30);
    let mut chain = vec![Process::new().unwrap()];
    let mut parents = Vec::new();
    for depth in 0..6 {
        let last = chain.pop().unwrap().send_arg(format!("{depth}"));
        parents.push(last.id().unwrap());
        let next = last.fork().unwrap();
        chain.extend([last, next]);
    }
    let mut heard = String::new();
    for (depth, process) in chain[..6].iter().enumerate() {
        heard.push_str(&depth.to_string());
        let worker = process.fork().unwrap().run(told::task()).unwrap();
        assert_eq!(worker.join().unwrap(), heard);
        let worker = process.fork().unwrap().run(parent::task()).unwrap();
        assert_eq!(worker.join().unwrap(), parents[depth]);
    }
    drop(chain);
    for pid in parents {
        util::until("a dropped chain ends", || !util::is_alive(pid));
    }
}

#[test]
fn many_forks_have_what_was_done_before_each() {
    let _limit = watchdog(30);
    let mut process = Process::new().unwrap();
    let mut forks = Vec::new();
    for n in 0..20 {
        forks.push(process.fork().unwrap());
        process = process.send_arg([b'a' + n]);
    }
    for (n, fork) in forks.into_iter().enumerate() {
        let heard = fork.run(told::task()).unwrap().join().unwrap();
        assert_eq!(heard, "abcdefghijklmnopqrst"[..n]);
    }
}

#[test]
fn a_dead_default_template_is_replaced() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        let mut dead = Vec::new();
        for _ in 0..3 {
            let template = util::template();
            assert!(!dead.contains(&template));
            // With processes in stock, which die with it.
            Census::take();
            let stock = util::children(template);
            util::signal(template, libc::SIGKILL);
            util::until("it is dead", || !util::is_alive(template));
            util::until("so is its stock", || {
                !stock.iter().any(|pid| util::is_alive(*pid))
            });
            let next = within(util::PATIENCE, || parent::spawn()?.join());
            assert_ne!(next.unwrap(), template);
            dead.push(template);
        }
        assert_eq!(util::templates(id()), [util::template()]);
        for pid in dead {
            // One that was executed belongs to init, whatever that does.
            let ours = util::children(id()).contains(&pid);
            assert!(!ours, "the dead template {pid} was not waited for");
        }
        before.check_with_new_template();
    });
}

#[test]
fn callers_hear_that_their_template_died() {
    let _limit = watchdog(60);
    alone(|| {
        let template = util::template();
        let joins: Vec<_> = (0..4)
            .map(|_| {
                let (begun, heard) = zygote::channel().unwrap();
                let worker = sleeps::spawn(begun).unwrap();
                heard.recv_timeout(util::PATIENCE).unwrap();
                thread::spawn(move || worker.join())
            })
            .collect();
        let worker = sleep::spawn().unwrap();
        let process = Process::new().unwrap();
        let pid = process.id().unwrap();
        util::signal(template, libc::SIGKILL);
        within(Duration::from_secs(2), || {
            for join in joins {
                let error = join.join().unwrap().unwrap_err();
                assert!(error.is_template_gone(), "{error:?}");
                assert!(!error.is_unstarted(), "{error:?}");
            }
            let exit = worker.wait().unwrap();
            assert!(!exit.success());
            assert!(worker.join().unwrap_err().is_template_gone());
            util::until("the process is dead", || !util::is_alive(pid));
            let error = process.run(parent::task()).unwrap_err();
            assert!(
                error.is_template_gone() && error.is_unstarted(),
                "{error:?}"
            );
        });
        assert_ne!(util::template(), template);
    });
}

#[test]
fn a_process_that_died_in_stock_is_replaced_unless_it_was_preloaded() {
    let _limit = watchdog(60);
    alone(|| {
        // Then there are some in stock.
        let before = Census::take();
        let [preloaded, told_before, fresh] = [(); 3].map(|()| Process::new().unwrap());
        let preloaded = preloaded.preload(nothing::task()).unwrap();
        let told_before = told_before.send_arg("told");
        let parked = util::children(util::template());
        for pid in &parked {
            util::signal(*pid, libc::SIGKILL);
        }
        util::until("they are dead", || {
            !parked.iter().any(|pid| util::is_alive(*pid))
        });
        let error = preloaded.run(told::task()).unwrap_err();
        assert!(error.is_unstarted(), "{error:?}");
        // Nobody knew these: others are as good, and are told the same.
        let worker = told_before.run(told::task()).unwrap();
        assert_eq!(worker.join().unwrap(), "told");
        assert_eq!(fresh.run(told::task()).unwrap().join().unwrap(), "");
        before.check();
    });
}

#[test]
fn a_preloaded_process_that_died_is_an_error_and_no_more() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let pid = process.id().unwrap();
    util::signal(pid, libc::SIGKILL);
    util::until("it is dead", || !util::is_alive(pid));
    let error = within(Duration::from_secs(2), || {
        process.fork().and_then(|fork| fork.run(parent::task()))
    });
    let error = error.unwrap_err();
    assert!(
        error.is_template_gone() && error.is_unstarted(),
        "{error:?}"
    );
    assert_ne!(parent::spawn().unwrap().join().unwrap(), pid);
}

#[test]
fn a_template_that_is_given_up_serves_its_workers_to_their_end() {
    let _limit = watchdog(60);
    alone(|| {
        // Nothing has begun yet, or the early one, which nobody has used.
        zygote::renew_template();
        let early = util::children(id());
        util::until("the unused one ends", || {
            !early.iter().any(|pid| util::is_alive(*pid))
        });
        assert!(util::templates(id()).is_empty());
        let mut before = None;
        for _ in 0..3 {
            let old = util::template();
            assert_ne!(before, Some(old));
            before = Some(old);
            let (begun, heard) = zygote::channel().unwrap();
            let worker = sleeps::spawn(begun).unwrap();
            heard.recv_timeout(util::PATIENCE).unwrap();
            let forked = Process::new().unwrap();
            forked.id().unwrap();
            zygote::renew_template();
            let new = util::template();
            assert_ne!(new, old);
            // What it has forked goes on.
            assert_eq!(util::stat(worker.id()).unwrap().1, old);
            assert_eq!(
                forked
                    .fork()
                    .unwrap()
                    .run(parent::task())
                    .unwrap()
                    .join()
                    .unwrap(),
                forked.id().unwrap()
            );
            assert!(worker.try_wait().unwrap().is_none());
            worker.kill().unwrap();
            let exit = worker.wait().unwrap();
            assert_eq!(exit.to_string(), "was killed by SIGKILL");
            assert!(exit.rusage().is_some(), "its template has reported it");
            drop(forked);
            util::until("the old one ends", || !util::is_alive(old));
            assert_eq!(util::templates(id()), [new]);
        }
        zygote::renew_template();
        zygote::renew_template();
        Census::take();
    });
}

#[test]
fn a_template_may_be_given_up_while_others_spawn() {
    let _limit = watchdog(60);
    alone(|| {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut good = 0;
                        while !over.load(Ordering::Relaxed) {
                            parent::spawn().unwrap().join().unwrap();
                            good += 1;
                        }
                        good
                    })
                })
                .collect();
            for _ in 0..20 {
                thread::sleep(Duration::from_millis(20));
                zygote::renew_template();
            }
            over.store(true, Ordering::Relaxed);
            let good: Vec<u32> = threads.into_iter().map(|it| it.join().unwrap()).collect();
            assert!(good.iter().all(|good| *good > 5), "{good:?}");
        });
        let last = util::template();
        util::until("the old ones end", || util::templates(id()) == [last]);
    });
}
