//! Every wait of a worker closes a piped stdin that nobody took, or it would wait
//! for a worker that waits for it. `wait_any`, which knows only descriptors, cannot.

use std::{
    io::{Read, Write},
    time::Duration,
};

use zygote::{Process, Stdio, Worker, wait_any_timeout};

use crate::util::{PATIENCE, watchdog};

/// How much it could read.
#[zygote::entry]
fn read_all() -> std::io::Result<usize> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)
}

fn reader() -> Worker<std::io::Result<usize>> {
    let process = Process::new().unwrap().stdin(Stdio::piped());
    process.run(read_all::task()).unwrap()
}

#[test]
fn join_closes_it() {
    let _limit = watchdog(30);
    assert_eq!(reader().join().unwrap().unwrap(), 0);
}

#[test]
fn join_timeout_closes_it() {
    let _limit = watchdog(30);
    let result = reader().join_timeout(PATIENCE).unwrap();
    assert_eq!(result.expect("it sees the end").unwrap(), 0);
}

#[test]
fn wait_closes_it() {
    let _limit = watchdog(30);
    let worker = reader();
    assert!(worker.wait().unwrap().success());
    assert_eq!(worker.join().unwrap().unwrap(), 0);
}

#[test]
fn wait_timeout_closes_it() {
    let _limit = watchdog(30);
    assert!(reader().wait_timeout(PATIENCE).unwrap().is_some());
}

#[test]
fn wait_any_which_waits_for_anything_leaves_it_to_you() {
    let _limit = watchdog(30);
    let mut worker = reader();
    let short = Duration::from_millis(20);
    assert!(wait_any_timeout([&worker], short).unwrap().is_empty());
    drop(worker.take_stdin());
    assert_eq!(wait_any_timeout([&worker], PATIENCE).unwrap(), [0]);
}

#[cfg(feature = "tokio")]
#[test]
fn await_closes_it() {
    let _limit = watchdog(30);
    let runtime = ::tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    assert_eq!(
        runtime.block_on(async { reader().await }).unwrap().unwrap(),
        0
    );
}

#[test]
fn a_wait_in_another_thread_closes_it() {
    let _limit = watchdog(30);
    let worker = reader();
    std::thread::scope(|scope| {
        let waits: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| worker.wait().unwrap()))
            .collect();
        waits
            .into_iter()
            .for_each(|wait| assert!(wait.join().unwrap().success()));
    });
}

#[test]
fn try_wait_leaves_it_and_what_was_taken_is_the_takers() {
    let _limit = watchdog(30);
    let mut worker = reader();
    assert!(worker.try_wait().unwrap().is_none());
    let mut stdin = worker.take_stdin().expect("nobody took it");
    assert!(
        worker
            .join_timeout(Duration::from_millis(5))
            .unwrap()
            .is_none()
    );
    stdin.write_all(b"four").unwrap();
    drop(stdin);
    assert_eq!(worker.join().unwrap().unwrap(), 4);
}
