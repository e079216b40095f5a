//! Hooks in the order that is defined, which is neither that of the linker nor
//! that of the lines; in every kind of process.

use zygote::Process;

use super::{BEGUN, MapStrings, RELEASED, armed, log, note};
use crate::util::watchdog;

#[zygote::hook(prepare, order = 10)]
fn last_prepare() {
    note("prepare 10");
}

#[zygote::hook(parent, order = 10)]
fn last_parent() {
    note("parent 10");
}

#[zygote::hook(child, order = 10)]
fn last_child() {
    note("child 10");
}

#[zygote::hook(worker, order = 10)]
fn last_worker() {
    note("worker 10");
}

#[zygote::hook(worker)]
fn b() {
    note("worker b");
}

#[zygote::hook(worker)]
fn a() {
    note("worker a");
}

fn twice() {
    {
        #[zygote::hook(worker, order = 20)]
        fn same() {
            note("worker same, first line");
        }
        same();
    }
    #[zygote::hook(worker, order = 20)]
    fn same() {
        note("worker same, second line");
    }
    same();
}

#[zygote::hook(worker, order = -2147483648)]
fn first_worker() {
    note("worker min");
}

#[zygote::hook(child, order = -1)]
fn first_child() {
    note("child -1");
}

#[zygote::hook(parent, order = -1)]
fn first_parent() {
    note("parent -1");
}

#[zygote::hook(prepare, order = -1)]
fn first_prepare() {
    note("prepare -1");
}

const PREPARED: [&str; 3] = ["prepare 10", "prepare 0", "prepare -1"];
const BORN: [&str; 3] = ["child -1", "child 0", "child 10"];

#[test]
fn hooks_run_in_their_order() {
    let _limit = watchdog(30);
    // Nothing is forked but what is asked for.
    let process = armed(0, 0).stock(0);
    let first = process.fork().unwrap().run(log::task()).unwrap();
    let first = first.join().unwrap();
    assert_eq!(first, [&PREPARED[..], &BORN, &BEGUN].concat());
    let second = process.fork().unwrap().run(log::task()).unwrap();
    let second = second.join().unwrap();
    assert_eq!(
        second,
        [&PREPARED[..], &RELEASED, &PREPARED, &BORN, &BEGUN].concat()
    );
    // They are functions as others are.
    twice();
}

#[test]
fn forks_of_forks_and_stock_run_them_too() {
    let _limit = watchdog(30);
    let process = armed(0, 0);
    let below = process.fork().unwrap().fork().unwrap();
    let log_of = |process: Process| process.run(log::task()).unwrap().join().unwrap();
    assert_eq!(
        log_of(below),
        [&PREPARED[..], &BORN, &PREPARED, &BORN, &BEGUN].concat()
    );
    // The second is from stock, once the first has ended.
    for round in 0..4 {
        let log = log_of(process.fork().unwrap());
        assert!(
            log.ends_with(&[&BORN[..], &BEGUN].concat().map_strings()),
            "{round}: {log:?}"
        );
    }
}

#[zygote::entry]
fn forks_of_a_worker() -> Vec<String> {
    log::spawn().unwrap().join().unwrap()
}

#[test]
fn hooks_run_in_workers_of_workers() {
    let _limit = watchdog(30);
    let log = forks_of_a_worker::spawn().unwrap().join().unwrap();
    assert!(
        log.ends_with(&[&BORN[..], &BEGUN].concat().map_strings()),
        "{log:?}"
    );
}
