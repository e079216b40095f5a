//! Workers and preloads that start processes themselves.

use std::io::Write;

use zygote::{Command, Process, Worker};

use crate::util::{self, watchdog};

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

/// Its value has handles on processes.
#[zygote::preload]
fn with_handles() -> (Process, Option<Worker<u32>>) {
    (Process::new().unwrap(), Some(double::spawn(4).unwrap()))
}

#[zygote::preload]
fn joined(handles: &mut (Process, Option<Worker<u32>>)) {
    assert_eq!(handles.1.take().unwrap().join().unwrap(), 8);
    handles.1 = Some(handles.0.fork().unwrap().run(double::task(5)).unwrap());
}

/// How many descriptors it has, and whether those that it opens stay its own
/// when the handles are dropped.
#[zygote::entry]
fn drops_handles(handles: &mut (Process, Option<Worker<u32>>)) -> (usize, bool) {
    // Less the one that the listing has.
    let count = util::fds(std::process::id()) - 1;
    let error = handles.0.fork().unwrap_err();
    assert!(error.is_invalid(), "{error:?}");
    let mut files: Vec<_> = (0..20).map(|_| tempfile::tempfile().unwrap()).collect();
    handles.1 = None;
    handles.0 = Process::new().unwrap();
    let whole = files.iter_mut().all(|file| writeln!(file, "x").is_ok());
    (count, whole)
}

#[test]
fn handles_of_a_preload_are_good_in_its_template_alone() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let process = process.preload(with_handles::task()).unwrap();
    let process = process.preload(joined::task()).unwrap();
    for _ in 0..3 {
        let worker = drops_handles::spawn(&process).unwrap();
        assert_eq!(worker.join().unwrap(), (4, true));
    }
    let below = process.fork().unwrap();
    let worker = below.fork().unwrap().run(drops_handles::task()).unwrap();
    assert_eq!(worker.join().unwrap(), (4, true));
}
