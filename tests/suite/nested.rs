//! Workers and preloads that start processes themselves.

use zygote::{Command, Process, Worker};

use crate::util::watchdog;

/// Each worker has a template of its own.
#[zygote::entry]
fn nest(deeper: u32) -> Result<u32, String> {
    match deeper {
        0 => Ok(0),
        deeper => match nest::spawn(deeper - 1).and_then(Worker::join) {
            Ok(result) => result.map(|depth| depth + 1),
            Err(error) => Err(error.to_string()),
        },
    }
}

#[test]
fn workers_of_workers_have_an_end() {
    let _limit = watchdog(60);
    let text = nest::spawn(60).unwrap().join().unwrap().unwrap_err();
    assert!(
        text.contains("no template can be started: 32 stand"),
        "{text}"
    );
    assert_eq!(nest::spawn(20).unwrap().join().unwrap(), Ok(20));
}

#[zygote::entry]
fn nest_current(deeper: u32) -> Result<u32, String> {
    if deeper == 0 {
        return Ok(0);
    }
    let process = Process::fork_current().map_err(|error| error.to_string())?;
    let worker = process
        .fork()
        .and_then(|it| it.run(nest_current::task(deeper - 1)));
    match worker.and_then(Worker::join) {
        Ok(result) => result.map(|depth| depth + 1),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn copies_of_copies_have_an_end() {
    let _limit = watchdog(60);
    let text = nest_current::spawn(60)
        .unwrap()
        .join()
        .unwrap()
        .unwrap_err();
    assert!(
        text.contains("no template can be started: 32 stand"),
        "{text}"
    );
    assert_eq!(nest_current::spawn(20).unwrap().join().unwrap(), Ok(20));
}

#[zygote::entry]
fn double(n: u32) -> u32 {
    2 * n
}

/// A preload runs once, so what it starts has an end.
#[zygote::preload]
fn computed_elsewhere(n: u32) -> u32 {
    let doubled = double::spawn(n).unwrap().join().unwrap();
    assert!(Command::new("true").status().unwrap().success());
    doubled
}

#[zygote::entry]
fn value(value: &u32) -> u32 {
    *value
}

#[zygote::entry]
fn value_doubled(value: &u32) -> u32 {
    double::spawn(*value).unwrap().join().unwrap()
}

#[test]
fn a_preload_may_start_processes() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let process = process.preload(computed_elsewhere::task(4)).unwrap();
    assert_eq!(value::spawn(&process).unwrap().join().unwrap(), 8);
    assert_eq!(value_doubled::spawn(&process).unwrap().join().unwrap(), 16);
}
