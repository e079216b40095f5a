//! 0, 1 and 2: those that the program has at that moment, and held by nobody else.

use std::{
    io::{Read, Seek, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    process::Stdio,
    sync::mpsc,
};

use zygote::Fd;

use super::*;

pub(crate) const ROLES: Roles = &[
    ("gives_up_streams", gives_up),
    ("changes_streams", changes),
    ("closes_streams", closes),
    ("lends_to_many", lends_to_many),
];

/// What stands at 0, 1 and 2, each as device and inode.
type Three = [(u64, u64); 3];

fn what_is(fd: BorrowedFd<'_>) -> (u64, u64) {
    let status = File::from(fd.try_clone_to_owned().unwrap()).metadata();
    let status = status.unwrap();
    (status.dev(), status.ino())
}

fn three() -> Three {
    [
        what_is(io::stdin().as_fd()),
        what_is(io::stdout().as_fd()),
        what_is(io::stderr().as_fd()),
    ]
}

#[zygote::entry]
fn streams() -> Three {
    three()
}

#[zygote::preload]
fn preloaded() -> Three {
    three()
}

#[zygote::preload]
fn replaces(file: Fd<File>) {
    put(&file.0, 2);
}

#[zygote::entry]
fn both_streams(preload: &Three) -> (Three, Three) {
    (*preload, three())
}

#[zygote::entry]
fn streams_of(process: Process) -> Result<Three> {
    process.run(streams::task())?.join()
}

#[zygote::entry]
fn streams_below() -> Result<Three> {
    streams::spawn()?.join()
}

#[zygote::entry]
fn streams_of_copy() -> Result<Three> {
    Process::fork_current()?.run(streams::task())?.join()
}

/// Lets go of its stdout, which its copy has never had.
#[zygote::entry]
fn keeps_a_copy() -> Result<()> {
    let copy = Process::fork_current()?;
    copy.fork()?.id()?;
    put(&File::open("/dev/null").unwrap(), 1);
    rest();
    drop(copy);
    Ok(())
}

fn put(file: &File, number: i32) {
    // SAFETY: dup2 touches no memory; 0 to 2 are owned by nobody.
    assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), number) }, number);
}

/// Three files that are nowhere else.
fn three_files() -> (Vec<File>, Three) {
    let files: Vec<File> = (0..3).map(|_| tempfile::tempfile().unwrap()).collect();
    let are = [0, 1, 2].map(|at: usize| what_is(files[at].as_fd()));
    (files, are)
}

/// Uses everything, lets go of the streams, and stays.
fn gives_up() {
    if env::var_os("EXECUTED").is_some() {
        end_early();
        settled(|| echo::spawn(1)?.join()).unwrap();
    }
    let process = Process::new().unwrap().preload(preloaded::task()).unwrap();
    let fresh = Process::fresh().unwrap();
    for _ in 0..3 {
        echo::spawn(1).unwrap().join().unwrap();
        both_streams::spawn(&process).unwrap().join().unwrap();
        zygote::Command::new("true").status().unwrap();
    }
    let held: (_, _) = (fresh.fork().unwrap(), process.fork().unwrap());
    held.0.id().unwrap();
    held.1.id().unwrap();
    print!("ready");
    io::stdout().flush().unwrap();
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .unwrap();
    (0..3).for_each(|number| put(&null, number));
    thread::sleep(LIMIT);
}

/// Whether everybody has let go of the program's three pipes while it lives.
fn lets_go(executed: bool) {
    let mut command = command("gives_up_streams");
    if executed {
        command.env("EXECUTED", "1");
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut program = command.spawn().unwrap();
    let (tell, told) = mpsc::channel();
    for mut from in [
        Box::new(program.stdout.take().unwrap()) as Box<dyn Read + Send>,
        Box::new(program.stderr.take().unwrap()),
    ] {
        let tell = tell.clone();
        thread::spawn(move || {
            let mut text = Vec::new();
            from.read_to_end(&mut text).unwrap();
            tell.send(String::from_utf8_lossy(&text).into_owned())
                .unwrap();
        });
    }
    let ends: Vec<_> = (0..2).map(|_| told.recv_timeout(LIMIT / 2)).collect();
    let lives = program.try_wait().unwrap().is_none();
    let mut stdin = program.stdin.take().unwrap();
    let refused = until(LIMIT, || stdin.write_all(b"x").is_err());
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(lives, "the program has ended: {ends:?}");
    let ends: Vec<String> = ends
        .into_iter()
        .map(|end| end.expect("a pipe is still held"))
        .collect();
    assert!(ends.iter().any(|text| text.contains("ready")), "{ends:?}");
    assert!(refused, "stdin is still held");
}

#[test]
fn streams_that_the_program_gives_up_are_held_by_nobody() {
    lets_go(false);
    lets_go(true);
}

#[test]
fn a_copy_of_the_program_holds_no_stream() {
    let process = Process::new().unwrap().stdout(zygote::Stdio::piped());
    let mut worker = process
        .run(keeps_a_copy::task())
        .unwrap()
        .kill_on_drop(true);
    let mut stdout = worker.take_stdout().unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(stdout.read(&mut [0; 9])));
    assert_eq!(told.recv_timeout(LIMIT).expect("still held").unwrap(), 0);
    assert!(worker.try_wait().unwrap().is_none());
}

/// Plays a role that has other streams than the test gave it.
fn run_reporting(role: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = command(role);
    command.env(probe::REPORT, file.path());
    let (_, status) = probe::output(command);
    let said = fs::read_to_string(file.path()).unwrap();
    assert!(
        status.success() && said.contains("@done"),
        "{status}: {said}"
    );
}

/// Replaces its streams again and again; all that starts has the newest.
fn changes() {
    both(|way| {
        let process = Process::new().unwrap();
        // Some wait in stock from before.
        for _ in 0..3 {
            process
                .fork()
                .unwrap()
                .run(echo::task(1))
                .unwrap()
                .join()
                .unwrap();
            echo::spawn(1).unwrap().join().unwrap();
        }
        for round in 0..3 {
            let (files, are) = three_files();
            (0..)
                .zip(&files)
                .for_each(|(number, file)| put(file, number));
            let seen = |what: &str, three: Result<Three>| {
                assert_eq!(three.unwrap(), are, "{way}, round {round}: {what}");
            };
            seen("default", streams::spawn().and_then(zygote::Worker::join));
            seen(
                "fork",
                process
                    .fork()
                    .and_then(|it| it.run(streams::task())?.join()),
            );
            seen("copy", streams_of_copy::spawn().unwrap().join().unwrap());
            let given = Process::new().unwrap();
            seen("given", streams_of::spawn(given).unwrap().join().unwrap());
            seen("below", streams_below::spawn().unwrap().join().unwrap());
            let loaded = Process::new().unwrap().preload(preloaded::task()).unwrap();
            let (then, now) = both_streams::spawn(&loaded).unwrap().join().unwrap();
            seen("preload", Ok(then));
            seen("after a preload", Ok(now));
            let other = File::open("/").unwrap();
            let replaced = process
                .fork()
                .unwrap()
                .preload(replaces::task(other.into()));
            seen(
                "after one that replaced them",
                replaced.and_then(|it| it.run(streams::task())?.join()),
            );
            let inherits = process.fork().unwrap().stdout(zygote::Stdio::inherit());
            seen(
                "inherit",
                inherits.run(streams::task()).and_then(zygote::Worker::join),
            );
            let one = Process::new().unwrap().stdout(zygote::Stdio::null());
            let [first, second, third] = one.run(streams::task()).unwrap().join().unwrap();
            assert_eq!((first, third), (are[0], are[2]));
            assert_eq!(second, what_is(File::open("/dev/null").unwrap().as_fd()));
            let numbers = ["0", "1", "2"].map(|number| format!("/proc/self/fd/{number}"));
            let mut stat = zygote::Command::new("stat");
            stat.args(["-L", "-c", "%d %i"]).args(numbers);
            assert!(stat.status().unwrap().success());
            let mut said = String::new();
            let mut stdout = &files[1];
            stdout.seek(io::SeekFrom::Start(0)).unwrap();
            stdout.read_to_string(&mut said).unwrap();
            let expected = are.map(|(device, inode)| format!("{device} {inode}\n"));
            assert_eq!(said, expected.concat(), "{way}, round {round}: a program");
        }
    });
}

#[test]
fn streams_are_those_of_the_moment() {
    run_reporting("changes_streams");
}

/// Has none of the three.
fn closes() {
    both(|way| {
        let null = what_is(File::open("/dev/null").unwrap().as_fd());
        let (files, are) = three_files();
        for closed in 0..3 {
            (0..)
                .zip(&files)
                .for_each(|(number, file)| put(file, number));
            // SAFETY: 0 to 2 are owned by nobody.
            assert_eq!(unsafe { libc::close(closed) }, 0);
            let seen = streams::spawn().unwrap().join();
            let loaded = Process::new().unwrap().preload(preloaded::task()).unwrap();
            let (then, now) = both_streams::spawn(&loaded).unwrap().join().unwrap();
            (0..)
                .zip(&files)
                .for_each(|(number, file)| put(file, number));
            let mut expected = are;
            expected[usize::try_from(closed).unwrap()] = null;
            assert_eq!(
                [seen.unwrap(), then, now],
                [expected; 3],
                "{way}: {closed} is closed"
            );
        }
    });
}

#[test]
fn a_stream_that_is_closed_is_null() {
    run_reporting("closes_streams");
}

/// More descriptors are lent than the user may have in messages at a time.
fn lends_to_many() {
    both(|way| {
        let process = Process::new().unwrap();
        let workers = process.spawn_all((0..90).map(echo::task));
        for (n, worker) in (0..).zip(workers) {
            assert_eq!(worker.and_then(zygote::Worker::join).unwrap(), n, "{way}");
        }
    });
}

#[test]
fn many_tasks_at_once_are_not_too_many_descriptors_in_flight() {
    if !is_root() {
        println!("not tried as another user: this needs root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut command = as_nobody(directory.path(), "lends_to_many");
    // SAFETY: prlimit is async-signal-safe.
    unsafe { command.pre_exec(|| limit(libc::RLIMIT_NOFILE, 240)) };
    run_command(command);
}
