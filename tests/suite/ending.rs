//! Children that the program never asked for: none stays as a zombie. Each test
//! is a program of its own, which is a subreaper or the first of a container.

use std::{
    env,
    process::{Command, Stdio, id},
    thread,
    time::Duration,
};

use nix::sys::prctl;
use zygote::{Process, renew_template};

use crate::util::{self, alone, watchdog};

#[zygote::entry]
fn hello() -> u32 {
    id()
}

#[zygote::entry]
fn sleep() {
    thread::sleep(Duration::from_secs(3600));
}

#[zygote::entry]
fn nap() {
    thread::sleep(Duration::from_millis(100));
}

fn zombies() -> Vec<u32> {
    let mut all = util::children(id());
    all.retain(|pid| util::is_zombie(*pid));
    all
}

/// Asks for something else until all that has ended is collected.
#[track_caller]
fn nothing_stays(what: &str) {
    util::until(what, || {
        hello::spawn().unwrap().join().unwrap();
        zombies().is_empty()
    });
}

/// Runs the body in a program that is handed what others leave behind: as a
/// subreaper, and as the first process of a container, where that can be.
fn as_reaper(body: fn()) {
    const FIRST: &str = "ZYGOTE_TEST_FIRST";
    alone(|| {
        if env::var_os(FIRST).is_some() {
            assert_eq!(id(), 1);
            return body();
        }
        prctl::set_child_subreaper(true).unwrap();
        body();
        let mut own = env::args_os();
        let program = own.next().unwrap();
        let mut first = Command::new("unshare");
        let first = first.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        let can = first.arg("true").stderr(Stdio::null()).status();
        if util::missing("a pid namespace", can.is_ok_and(|status| status.success())) {
            return;
        }
        let status = Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(program)
            .args(own)
            .env(FIRST, "")
            .status();
        assert!(status.unwrap().success(), "as the first of a container");
    });
}

#[test]
fn fresh_processes_leave_no_zombie() {
    let _limit = watchdog(60);
    as_reaper(|| {
        for round in 0..100 {
            let fresh = Process::fresh().unwrap();
            match round % 4 {
                0 => drop(fresh.run(hello::task()).unwrap().join().unwrap()),
                1 => drop(fresh.run(nap::task()).unwrap()),
                2 => drop(fresh.fork().unwrap().run(nap::task()).unwrap()),
                _ => drop(fresh),
            }
        }
        nothing_stays("a fresh process");
    });
}

#[test]
fn renewed_templates_leave_no_zombie() {
    let _limit = watchdog(60);
    as_reaper(|| {
        let mut sleeping = Vec::new();
        for round in 0..100 {
            match round % 4 {
                0 => drop(hello::spawn().unwrap().join().unwrap()),
                // With a worker that lives, and one that nobody waits for.
                1 => sleeping.push(sleep::spawn().unwrap()),
                2 => drop(nap::spawn().unwrap()),
                _ => drop(Process::new().unwrap().id().unwrap()),
            }
            renew_template();
        }
        for worker in sleeping {
            worker.kill().unwrap();
            assert!(worker.join().unwrap_err().is_signal());
        }
        nothing_stays("a template that was given up");
    });
}

#[test]
fn a_renewed_template_without_workers_is_gone_at_once() {
    let _limit = watchdog(60);
    as_reaper(|| {
        // On a busy machine it may take longer than it is waited for.
        util::until("one is gone when `renew_template` returns", || {
            hello::spawn().unwrap().join().unwrap();
            renew_template();
            util::children(id()).is_empty()
        });
    });
}

/// A program without threads, which may be forked: a worker.
#[zygote::entry]
fn forks_itself() {
    prctl::set_child_subreaper(true).unwrap();
    for round in 0..100 {
        let copy = Process::fork_current().unwrap();
        match round % 5 {
            0 => drop(copy),
            1 => drop(copy.run(hello::task()).unwrap().join().unwrap()),
            2 => drop(copy.run(nap::task()).unwrap()),
            3 => drop(copy.fork().unwrap()),
            _ => drop(copy.into_fd().unwrap()),
        }
    }
    nothing_stays("a copy of the program");
}

#[test]
fn copies_of_the_program_leave_no_zombie() {
    let _limit = watchdog(60);
    forks_itself::spawn().unwrap().join().unwrap();
}

#[test]
fn a_killed_template_leaves_no_zombie_that_has_a_handle() {
    let _limit = watchdog(60);
    as_reaper(|| {
        for _ in 0..5 {
            let template = util::template();
            let many: Vec<_> = (0..util::STOCK).map(|_| hello::spawn().unwrap()).collect();
            for worker in many {
                worker.wait().unwrap();
            }
            // All that it forks has said its first word, and waits for a task.
            util::until("the stock is full", || {
                util::fill_stock(template);
                let stock = util::in_stock(template);
                let waits = |pid: &u32| util::stat(*pid).is_some_and(|(state, _)| state == 'S');
                stock.len() == util::STOCK && stock.iter().all(waits)
            });
            let own = Process::new().unwrap().stock(0);
            let workers: Vec<_> = (0..4).map(|_| sleep::spawn().unwrap()).collect();
            let more: Vec<_> = (0..4).map(|_| own.fork().unwrap()).collect();
            for process in &more {
                process.id().unwrap();
            }
            for pid in [own.id().unwrap(), template] {
                util::signal(pid, libc::SIGKILL);
                util::until("it is dead", || !util::is_alive(pid));
            }
            let next = Process::new().unwrap().run(hello::task());
            next.unwrap().join().unwrap();
            assert!(workers[0].wait().unwrap().rusage().is_none());
            drop((workers, more, own));
        }
        nothing_stays("what a killed template has left");
    });
}

#[test]
fn what_is_told_to_end_costs_two_descriptors_until_it_has() {
    let _limit = watchdog(60);
    alone(|| {
        // Without a stock, which has descriptors, too.
        let own = Process::new().unwrap().stock(0);
        let call = || own.fork().unwrap().run(hello::task()).unwrap().join();
        call().unwrap();
        let before = util::fds(id());
        let sleeping: Vec<_> = (0..5)
            .map(|_| Process::fresh().unwrap().run(sleep::task()).unwrap())
            .collect();
        let ids: Vec<u32> = sleeping.iter().map(|worker| worker.id()).collect();
        drop(sleeping);
        call().unwrap();
        assert_eq!(util::fds(id()), before + 2 * ids.len());
        assert!(ids.iter().all(|pid| util::is_alive(*pid)), "they run on");
        ids.iter().for_each(|pid| util::signal(*pid, libc::SIGKILL));
        util::until("they are gone", || {
            call().unwrap();
            util::fds(id()) == before
        });
    });
}
