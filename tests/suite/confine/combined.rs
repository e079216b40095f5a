//! Confinement with everything else: settings, handles, errors.

use std::{
    env,
    io::Write,
    os::fd::OwnedFd,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use zygote::{Error, Fd, Process, Stdio, channel, settings::Confine};

use super::{compute, confined, has_landlock};
use crate::util::{Census, alone, is_alive, signal, watchdog};

#[zygote::entry]
fn surroundings(home: String) -> (Option<String>, u32) {
    std::io::stdout().write_all(home.as_bytes()).unwrap();
    (env::var("HOME").ok(), std::process::id())
}

#[test]
fn other_settings_come_first() {
    let process = compute()
        .env("HOME", "/nowhere")
        .current_dir("/")
        .umask(0o77)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let task = surroundings::task("at home".into());
    let mut worker = process.run(task).unwrap();
    let text = std::io::read_to_string(worker.take_stdout().unwrap()).unwrap();
    assert_eq!(text, "at home");
    let id = worker.id();
    assert_eq!(worker.join().unwrap(), (Some("/nowhere".to_owned()), id));
}

#[zygote::preload]
fn large() -> Vec<u8> {
    vec![1; 1200 << 20]
}

#[zygote::entry]
fn more_than(large: &Vec<u8>, bytes: usize) -> (u8, bool) {
    (large[0], Vec::<u8>::new().try_reserve_exact(bytes).is_ok())
}

#[test]
fn what_was_preloaded_does_not_count_as_memory() {
    let _limit = watchdog(60);
    let process = compute().preload(large::task()).unwrap();
    let has_room = |bytes| {
        let fork = process.fork().unwrap();
        fork.run(more_than::task(bytes)).unwrap().join().unwrap()
    };
    assert_eq!(has_room(512 << 20), (1, true));
    assert_eq!(has_room(1 << 30), (1, false));
}

#[zygote::entry]
fn nothing() {}

/// What a worker reads that starts others.
#[zygote::entry]
fn needs_others() -> [Error; 4] {
    [
        nothing::spawn().map(drop).unwrap_err(),
        Process::new().map(drop).unwrap_err(),
        Process::fresh().map(drop).unwrap_err(),
        Process::fork_current().map(drop).unwrap_err(),
    ]
}

#[zygote::entry]
fn needs_more() -> [String; 2] {
    [
        zygote::Command::new("true")
            .status()
            .unwrap_err()
            .to_string(),
        format!("{:?}", channel::<u8>().map(drop).unwrap_err()),
    ]
}

#[test]
fn workers_of_its_own_are_errors() {
    let _limit = watchdog(30);
    let started = Instant::now();
    for process in [compute(), confined(Confine::compute().strict())] {
        for error in process.run(needs_others::task()).unwrap().join().unwrap() {
            assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
            let text = error.message();
            assert!(
                text.contains("a confined worker cannot start a process"),
                "{text}"
            );
        }
    }
    let [program, channel] = compute().run(needs_more::task()).unwrap().join().unwrap();
    assert!(program.contains("a confined worker"), "{program}");
    assert!(channel.contains("os error 1)"), "{channel}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[zygote::entry]
fn many_descriptors(one: OwnedFd, count: usize) -> Vec<Fd<OwnedFd>> {
    (0..count).map(|_| Fd(one.try_clone().unwrap())).collect()
}

#[test]
fn more_descriptors_than_a_message_takes_are_an_error() {
    let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let worker = compute().run(many_descriptors::task(null(), 251)).unwrap();
    assert_eq!(worker.join().unwrap().len(), 251);
    let worker = compute().run(many_descriptors::task(null(), 252)).unwrap();
    let error = worker.join().unwrap_err();
    assert!(format!("{error:?}").contains("socketpair"), "{error:?}");
}

#[zygote::entry]
fn sleep() {
    thread::sleep(Duration::from_secs(3600));
}

#[test]
fn it_cannot_be_detached() {
    let _limit = watchdog(30);
    let worker = compute().run(sleep::task()).unwrap();
    let id = worker.id();
    assert!(worker.detach().unwrap_err().is_timeout());
    assert!(is_alive(id));
    signal(id, libc::SIGKILL);
}

#[test]
fn a_path_that_does_not_exist_is_named() {
    alone(|| {
        let census = Census::take();
        for _ in 0..5 {
            let process = confined(Confine::compute().read("/etc").read("/no/such/path"));
            let error = process.run(nothing::task()).unwrap_err();
            assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("`/no/such/path`: No such file"), "{text}");
            compute().run(nothing::task()).unwrap().join().unwrap();
        }
        census.check();
    });
}

#[zygote::entry]
fn nested(paths: Vec<PathBuf>) -> String {
    let confine = paths
        .iter()
        .fold(Confine::compute(), |confine, path| confine.read(path));
    match confined(confine).run(nothing::task()) {
        Ok(worker) => format!("{:?}", worker.join()),
        Err(error) => format!("{}, {error}", error.is_setting()),
    }
}

#[test]
fn relative_paths_are_the_workers() {
    if !has_landlock() {
        return;
    }
    let process = confined(Confine::compute().read("passwd")).current_dir("/etc");
    process.run(nothing::task()).unwrap().join().unwrap();
    let worker = Process::new()
        .unwrap()
        .run(nested::task(vec!["/etc".into()]))
        .unwrap();
    assert_eq!(worker.join().unwrap(), "Ok(())");
}
