//! A process that is handed on.

use std::{
    fs::File,
    os::unix::process::{ExitStatusExt, parent_id},
    thread,
    time::Duration,
};

use zygote::Process;

use crate::util::{self, watchdog, within};

#[zygote::entry]
fn parent() -> u32 {
    parent_id()
}

#[zygote::entry]
fn sleep() {
    thread::sleep(Duration::from_secs(3600));
}

#[zygote::preload]
fn number(n: u32) -> u32 {
    n
}

#[zygote::preload]
fn text() -> String {
    "text".to_owned()
}

#[zygote::entry]
fn doubled(number: &u32) -> u32 {
    2 * number
}

/// Forks from a template that it is given, and says whose the workers are.
#[zygote::entry]
fn uses(template: Process<u32>) -> zygote::Result<(u32, Vec<u32>)> {
    let pid = template.id()?;
    let mut results = Vec::new();
    for _ in 0..3 {
        assert_eq!(template.fork()?.run(parent::task())?.join()?, pid);
        results.push(doubled::spawn(&template)?.join()?);
    }
    let worker = template.fork()?.run(sleep::task())?;
    worker.kill()?;
    assert!(worker.join().unwrap_err().is_signal());
    Ok((pid, results))
}

fn run(template: &Process<u32>) {
    let worker = doubled::spawn(template).unwrap();
    worker.wait().unwrap();
    assert_eq!(worker.join().unwrap(), 42);
}

#[test]
fn into_fd_from_fd_and_as_an_argument() {
    let _limit = watchdog(60);
    let template = Process::new().unwrap().preload(number::task(21)).unwrap();
    let pid = template.id().unwrap();
    // It has been used before, and is used again afterwards.
    run(&template);
    let fd = template.into_fd().unwrap();
    let template = Process::<u32>::from_fd(fd).unwrap();
    assert_eq!(template.id().unwrap(), pid);
    run(&template);
    let (seen, results) = uses::spawn(template).unwrap().join().unwrap().unwrap();
    assert_eq!((seen, results), (pid, vec![42; 3]));
    util::until("it ends with its new owner", || !util::is_alive(pid));
}

#[test]
fn a_process_with_live_workers_is_not_given_away() {
    let _limit = watchdog(30);
    let template = Process::new().unwrap();
    let worker = template.fork().unwrap().run(sleep::task()).unwrap();
    let error = template.into_fd().unwrap_err();
    assert!(error.is_invalid(), "{error:?}");
    worker.kill().unwrap();
    worker.wait().unwrap();
}

#[test]
fn from_fd_checks_the_type_of_the_value() {
    let _limit = watchdog(30);
    let template = Process::new().unwrap().preload(text::task()).unwrap();
    let template = Process::<u32>::from_fd(template.into_fd().unwrap()).unwrap();
    let error = doubled::spawn(&template).unwrap().join().unwrap_err();
    assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
    assert!(error.to_string().contains("String"), "{error}");
    assert!(error.to_string().contains("u32"), "{error}");
    let empty = Process::<u32>::from_fd(Process::new().unwrap().into_fd().unwrap()).unwrap();
    let error = doubled::spawn(&empty).unwrap().join().unwrap_err();
    assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
}

/// Ids start anew with an owner; what ended before must not be taken for what
/// runs now.
#[test]
fn a_new_owner_hears_nothing_of_workers_before() {
    let _limit = watchdog(60);
    let mut template = Process::new().unwrap();
    for round in 0..200 {
        let quick = template.fork().unwrap().run(parent::task()).unwrap();
        quick.join().unwrap();
        template = Process::from_fd(template.into_fd().unwrap()).unwrap();
        let worker = template.fork().unwrap().run(sleep::task()).unwrap();
        worker.kill().unwrap();
        let status = worker.wait().unwrap().status().unwrap();
        assert_eq!(status.signal(), Some(libc::SIGKILL), "in round {round}");
        drop(worker);
    }
}

#[test]
fn from_fd_of_something_else_is_an_error() {
    let _limit = watchdog(60);
    let file = File::open("/dev/null").unwrap();
    let error = within(util::PATIENCE, || Process::<()>::from_fd(file.into()));
    assert!(!error.unwrap_err().to_string().is_empty());
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(other);
    let error = within(util::PATIENCE, || Process::<()>::from_fd(one.into()));
    assert!(!error.unwrap_err().to_string().is_empty());
}
