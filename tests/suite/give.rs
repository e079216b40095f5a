//! A process that is handed on.

use std::{
    fs::File,
    os::{
        fd::OwnedFd,
        unix::process::{ExitStatusExt, parent_id},
    },
    thread,
    time::Duration,
};

use zygote::{Fd, Process, Sender};

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

/// Gives back what it was given.
#[zygote::entry]
fn back(process: Process) -> Process {
    process
}

/// Gives one that it has made itself, in this way.
#[zygote::entry]
fn makes(way: u32) -> zygote::Result<Process> {
    match way {
        0 => Process::new(),
        1 => Process::fresh(),
        2 => Process::fork_current(),
        3 => Process::new()?.fork()?.fork(),
        _ => Process::from_fd(Process::new()?.into_fd()?),
    }
}

/// Puts one into a channel, and is killed as soon as it is there.
#[zygote::entry]
fn sends(to: Sender<Fd<OwnedFd>>, way: u32) {
    to.send(makes(way).unwrap().into_fd().unwrap().into())
        .unwrap();
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
}

/// Uses all processors while it lives.
fn load() -> Vec<zygote::Worker<()>> {
    (0..4)
        .map(|_| spins::spawn().unwrap().kill_on_drop(true))
        .collect()
}

#[zygote::entry]
fn spins() {
    loop {
        std::hint::spin_loop();
    }
}

/// What a process that was given back is good for.
#[track_caller]
fn is_good(process: Process) {
    let pid = process.id().unwrap();
    let fork = process.fork().unwrap();
    assert_eq!(fork.run(parent::task()).unwrap().join().unwrap(), pid);
    let worker = process.run(sleep::task()).unwrap();
    worker.kill().unwrap();
    let exit = worker.wait().unwrap();
    assert_eq!(exit.to_string(), "was killed by SIGKILL");
    assert!(exit.rusage().is_some(), "its exit is reported");
    util::until("its template ends with it", || !util::is_alive(pid));
}

#[test]
fn a_process_goes_there_and_back() {
    let _limit = watchdog(120);
    let _load = load();
    let mut process = Process::new().unwrap();
    let pid = process.id().unwrap();
    for _ in 0..200 {
        process = back::spawn(process).unwrap().join().unwrap();
    }
    assert_eq!(process.id().unwrap(), pid, "it is the same");
    is_good(process);
}

#[test]
fn a_process_that_a_worker_has_made_outlives_it() {
    let _limit = watchdog(120);
    let _load = load();
    for round in 0..50 {
        let worker = makes::spawn(round % 5).unwrap();
        // Its end is over when the process is taken over.
        worker.wait().unwrap();
        is_good(worker.join().unwrap().unwrap());
    }
}

#[test]
fn a_process_outlives_a_giver_that_is_killed() {
    let _limit = watchdog(120);
    let _load = load();
    let (to, from) = zygote::channel().unwrap();
    for round in 0..50 {
        let worker = sends::spawn(to.try_clone().unwrap(), round % 5).unwrap();
        if round % 2 == 0 {
            worker.wait().unwrap();
        }
        let fd = from.recv_timeout(util::PATIENCE).unwrap().into_inner();
        is_good(Process::from_fd(fd).unwrap());
    }
}

#[test]
fn a_process_outlives_the_template_that_forked_it_and_is_then_another_owners() {
    let _limit = watchdog(60);
    let template = Process::new().unwrap();
    let given = template.fork().unwrap();
    let pid = given.id().unwrap();
    let fd = given.into_fd().unwrap();
    util::signal(template.id().unwrap(), libc::SIGKILL);
    drop(template);
    let taken = Process::<()>::from_fd(fd).unwrap();
    assert_eq!(taken.id().unwrap(), pid);
    is_good(taken);
}

#[test]
fn a_process_that_nobody_takes_over_ends() {
    let _limit = watchdog(60);
    // The descriptor is closed, here or in a queue.
    let process = Process::new().unwrap();
    let pid = process.id().unwrap();
    drop(process.into_fd().unwrap());
    util::until("it ends with its descriptor", || !util::is_alive(pid));
    let (process, (to, from)) = (Process::new().unwrap(), zygote::channel().unwrap());
    let pid = process.id().unwrap();
    to.send(Fd::from(process.into_fd().unwrap())).unwrap();
    drop((to, from));
    util::until("it ends with the queue", || !util::is_alive(pid));
    let process = Process::new().unwrap();
    let pid = process.id().unwrap();
    drop(back::spawn(process).unwrap());
    util::until("it ends with the handle", || !util::is_alive(pid));
}

/// Holds what it was given, and runs it.
#[zygote::entry]
fn runs(process: Process, ready: Sender<u32>) {
    let worker = process.run(sleep::task()).unwrap();
    ready.send(worker.id()).unwrap();
    worker.wait().unwrap();
}

#[test]
fn what_a_taken_process_runs_ends_with_its_new_owner() {
    let _limit = watchdog(60);
    for way in [0, 1, 3, 4] {
        let (ready, heard) = zygote::channel().unwrap();
        let owner = runs::spawn(makes(way).unwrap(), ready).unwrap();
        let pid = heard.recv_timeout(util::PATIENCE).unwrap();
        assert!(util::is_alive(pid));
        owner.kill().unwrap();
        util::until("it ends with its owner", || !util::is_alive(pid));
    }
}

#[test]
fn a_process_that_was_taken_over_is_preloaded() {
    let _limit = watchdog(60);
    let taken = |process: Process| Process::<()>::from_fd(process.into_fd().unwrap()).unwrap();
    let process = taken(Process::new().unwrap()).send_arg("x");
    let template = process.preload(number::task(21)).unwrap();
    run(&template);
    let error = taken(Process::new().unwrap()).preload(fails::task());
    assert!(error.unwrap_err().to_string().contains("it fails"));
}

#[zygote::preload]
fn fails() -> Result<u8, String> {
    Err("it fails".to_owned())
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
