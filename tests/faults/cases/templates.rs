//! Templates that die under load, that are stopped with a full socket, and that
//! cannot fork for a while.

use std::{
    env,
    error::Error as _,
    fs, io,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use zygote::{Error, Process, Worker};

use super::{
    clean::Ground,
    probe::{self, LIMIT, Probe, is_alive, say, send, stat, until},
    scene::DONE,
};

#[zygote::entry]
fn echo(n: u64) -> u64 {
    n
}

#[zygote::entry]
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

#[zygote::entry]
fn mark(path: PathBuf) {
    fs::write(path, "ran").unwrap();
}

fn template() -> u32 {
    parent::spawn().unwrap().join().unwrap()
}

/// The default template is killed again and again while threads spawn.
fn killed() {
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 100;
    let seconds = env::var("ZYGOTE_RACE_SECONDS").map_or(5, |time| time.parse().unwrap());
    let ground = Ground::take();
    let over = AtomicBool::new(false);
    let [good, bad] = [AtomicU64::new(0), AtomicU64::new(0)];
    let work = |thread: u64| {
        let mut n = thread;
        while !over.load(Ordering::Relaxed) {
            n += THREADS;
            let start = Instant::now();
            match echo::spawn(n).and_then(Worker::join) {
                Ok(got) => {
                    assert_eq!(got, n);
                    good.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    // Found dead while a process was asked for, or with it.
                    assert!(error.is_template_gone(), "{error:?}");
                    bad.fetch_add(1, Ordering::Relaxed);
                }
            }
            assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
        }
    };
    let (start, mut rounds) = (Instant::now(), 0);
    let mut last = 0;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || work(thread));
        }
        while rounds < ROUNDS && start.elapsed() < Duration::from_secs(seconds) {
            // Between two spawns, and during them.
            let before = good.load(Ordering::Relaxed);
            if let Ok(parent) = parent::spawn().and_then(Worker::join) {
                thread::sleep(Duration::from_micros(rounds * 37 % 2000));
                send(parent, libc::SIGKILL);
                last = parent;
                rounds += 1;
            }
            // Everybody gets on.
            let goes_on = until(LIMIT, || good.load(Ordering::Relaxed) > before);
            assert!(goes_on, "nothing succeeds any more");
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(rounds > 5, "{rounds}");
    // The last one is not in use any more.
    assert!(until(LIMIT, || !is_alive(last)), "{last} lives");
    ground.assert_clean();
    let [good, bad] = [good, bad].map(AtomicU64::into_inner);
    say(
        "done",
        format!("{rounds} deaths, {good} results, {bad} errors"),
    );
}

#[test]
fn a_default_template_may_die_under_load() {
    let mut probe = Probe::start("killed");
    println!("{}", probe.expect_within("done", Duration::from_secs(120)));
    probe.finish();
}

/// A template is stopped until its socket takes no more.
fn full() {
    const CALLS: u32 = 1000;
    const DEADLINE: Duration = Duration::from_millis(2);
    let ground = Ground::take();
    let directory = tempfile::tempdir().unwrap();
    let own = Process::new().unwrap().start_timeout(DEADLINE);
    let id = own.id().unwrap();
    send(id, libc::SIGSTOP);
    assert!(until(LIMIT, || stat(id).unwrap().state == 'T'));
    let mut refused = 0;
    for n in 0..CALLS {
        let start = Instant::now();
        let task = mark::task(directory.path().join(n.to_string()));
        let process = own.fork();
        refused += u32::from(process.is_err());
        let error = process.and_then(|process| process.run(task)).unwrap_err();
        assert!(error.is_unstarted(), "{error:?}");
        assert!(error.is_timeout(), "{error:?}");
        assert!(start.elapsed() < LIMIT);
    }
    assert!(refused > 0, "the socket took {CALLS} requests");
    send(id, libc::SIGCONT);
    let again = |own: Process| own.start_timeout(LIMIT).run(echo::task(8));
    // It is through with what was given up.
    let worker = until(LIMIT, || {
        own.fork().and_then(|it| again(it)?.join()).is_ok()
    });
    assert!(worker, "it does not serve any more");
    assert_eq!(again(own).unwrap().join().unwrap(), 8);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "some ran");
    ground.assert_clean();
    say(
        "done",
        format!("{refused} of {CALLS} found the socket full"),
    );
}

#[test]
fn a_template_with_a_full_socket_runs_nothing_that_was_given_up() {
    let mut probe = Probe::start("full");
    println!("{}", probe.expect_within("done", Duration::from_secs(60)));
    probe.finish();
}

/// Whether this errno is what an error came from.
fn is_of(error: &Error, errno: i32) -> bool {
    let cause = error.source().map(ToString::to_string);
    cause == Some(io::Error::from_raw_os_error(errno).to_string())
}

/// No fork succeeds, until one does.
fn barren() {
    let expected: i32 = env::var("ZYGOTE_TEST_ERRNO").unwrap().parse().unwrap();
    let done = PathBuf::from(env::var_os(DONE).unwrap());
    // In stock there are some from before.
    let (ground, template) = (Ground::take(), template());
    fs::remove_file(&done).unwrap();
    let mut failed = 0;
    for n in 0..100 {
        match echo::spawn(n).and_then(Worker::join) {
            Ok(got) => assert_eq!(got, n),
            Err(error) => {
                assert!(error.is_unstarted(), "{error:?}");
                assert!(is_of(&error, expected), "{error:?}");
                assert!(error.to_string().contains("fork"), "{error}");
                failed += 1;
            }
        }
    }
    assert!(failed > 10, "{failed}");
    // One that could not be forked says why every time.
    let process = Process::new().unwrap();
    assert!(is_of(&process.id().unwrap_err(), expected));
    let error = process.run(echo::task(1)).unwrap_err();
    assert!(is_of(&error, expected), "{error:?}");
    fs::write(&done, "").unwrap();
    assert_eq!(echo::spawn(7).unwrap().join().unwrap(), 7);
    assert_eq!(self::template(), template, "it has not died of it");
    ground.assert_clean();
    say("done", failed);
}

#[test]
fn a_template_that_cannot_fork_says_so_and_recovers() {
    for errno in [libc::EAGAIN, libc::ENOMEM] {
        let done = tempfile::NamedTempFile::new().unwrap();
        let mut command = probe::command("barren");
        command
            .env("ZYGOTE_FAIL", format!("template: fork=error:{errno}@*"))
            .env("ZYGOTE_TEST_ERRNO", errno.to_string())
            .env(DONE, done.path());
        let mut probe = Probe::spawn(command);
        probe.expect("done");
        probe.finish();
    }
}

/// A process that is forked and has not asked yet to die with its template;
/// its template, and itself.
fn newborn() -> (Process, Process, u32, u32) {
    fs::remove_file(env::var_os(DONE).unwrap()).unwrap();
    let own = Process::new().unwrap();
    // It was forked slowly, too.
    let id = own.id().unwrap();
    let late = own.fork().unwrap();
    (own, late, id, next_child(id, &[]))
}

fn children(template: u32) -> Vec<u32> {
    let all = probe::group(std::process::id()).into_iter();
    let own = all.filter(|it| it.parent == template);
    own.map(|it| it.pid).collect()
}

/// The child that it has besides these, or is about to have.
fn next_child(template: u32, old: &[u32]) -> u32 {
    let mut born = None;
    let is_born = || {
        let mut all = children(template).into_iter();
        born = all.find(|pid| !old.contains(pid));
        born.is_some()
    };
    assert!(until(LIMIT, is_born));
    born.unwrap()
}

/// Its template dies first.
fn orphaned() {
    // In stock there are none that would be forked slowly.
    let ground = Ground::take();
    let (own, late, template, born) = newborn();
    send(template, libc::SIGKILL);
    assert!(until(LIMIT, || !is_alive(template)));
    assert!(is_alive(born), "the step was left too soon");
    assert!(until(LIMIT, || !is_alive(born)), "it outlives its template");
    fs::write(env::var_os(DONE).unwrap(), "").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let error = late.run(mark::task(directory.path().join("ran")));
    let error = error.unwrap_err();
    assert!(
        error.is_template_gone() && error.is_unstarted(),
        "{error:?}"
    );
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "it ran");
    drop(own);
    ground.assert_clean();
    say("done", "");
}

/// The default template dies, and its newborn child still has a copy of its
/// socket, where nobody answers.
fn held_open() {
    let (ground, template) = (Ground::take(), template());
    let old = children(template);
    fs::remove_file(env::var_os(DONE).unwrap()).unwrap();
    // What is in stock was forked in time.
    let mut processes: Vec<_> = (0..32).map(|_| Process::new().unwrap()).collect();
    let born = next_child(template, &old);
    let late = processes.pop().unwrap();
    send(template, libc::SIGKILL);
    assert!(until(LIMIT, || !is_alive(template)));
    fs::write(env::var_os(DONE).unwrap(), "").unwrap();
    // A spare in a dead template is replaced; another process is not.
    match late.run(echo::task(1)).and_then(Worker::join) {
        Ok(got) => assert_eq!(got, 1),
        Err(error) => assert!(error.is_template_gone(), "{error:?}"),
    }
    let worker = echo::spawn(2);
    assert!(is_alive(born), "the step was left too soon");
    assert_eq!(worker.unwrap().join().unwrap(), 2);
    assert_ne!(self::template(), template);
    assert!(until(LIMIT, || !is_alive(born)), "it outlives its template");
    drop(processes);
    ground.assert_clean();
    say("done", "");
}

/// The program is killed by the test.
fn orphaned_by_program() {
    template();
    let (_own, _late, _, born) = newborn();
    say("born", born);
    thread::sleep(Duration::from_secs(60));
}

/// Late at the step between the fork and the request to die with the template.
fn slowly_born(role: &str, done: &tempfile::NamedTempFile) -> Probe {
    let mut command = probe::command(role);
    command
        .env("ZYGOTE_FAIL", "process: after fork=delay:1000@*")
        .env(DONE, done.path());
    Probe::spawn(command)
}

#[test]
fn a_process_whose_template_died_before_it_could_ask_to_die_with_it_ends() {
    let done = tempfile::NamedTempFile::new().unwrap();
    let mut probe = slowly_born("orphaned", &done);
    probe.expect("done");
    probe.finish();
}

#[test]
fn a_template_that_is_known_to_be_dead_is_not_asked_again() {
    let done = tempfile::NamedTempFile::new().unwrap();
    let mut probe = slowly_born("held_open", &done);
    probe.expect("done");
    probe.finish();
}

#[test]
fn a_process_whose_program_died_before_it_could_ask_to_die_with_it_ends() {
    let done = tempfile::NamedTempFile::new().unwrap();
    let mut probe = slowly_born("orphaned_by_program", &done);
    let born: u32 = probe.expect("born").parse().unwrap();
    let program = probe.id();
    probe.kill();
    probe.end();
    assert!(is_alive(born), "the step was left too soon");
    let left = || probe::living(program);
    assert!(until(LIMIT, || left().is_empty()), "{:?}", left());
}

/// One wait fails for want of memory, in a call that starts something long.
fn unheld(act: impl Fn() -> Result<(), Error>) {
    let done = PathBuf::from(env::var_os(DONE).unwrap());
    // Both kinds of start have been seen.
    act().unwrap();
    let ground = Ground::take();
    fs::remove_file(&done).unwrap();
    let failed = act().err();
    let has_fired = done.exists();
    fs::write(&done, "").unwrap();
    act().unwrap();
    if let Some(error) = &failed {
        assert!(has_fired && is_of(error, libc::ENOMEM), "{error:?}");
    }
    ground.assert_clean();
    say("done", failed.is_some_and(|error| !error.is_unstarted()));
}

#[zygote::entry]
fn sleep() {
    thread::sleep(Duration::from_secs(60));
}

fn unheld_worker() -> Result<(), Error> {
    let worker = Process::new()?.umask(0o77).run(sleep::task())?;
    worker.kill()?;
    worker.wait().map(drop)
}

fn unheld_program() -> Result<(), Error> {
    let mut child = zygote::Command::new("sleep").arg("60").spawn()?;
    child.kill()?;
    child.wait().map(drop)
}

#[test]
fn what_gets_no_handle_does_not_go_on() {
    for role in ["unheld_worker", "unheld_program"] {
        let was_there = |nth: &u32| {
            let done = tempfile::NamedTempFile::new().unwrap();
            let mut command = probe::command(role);
            let fault = format!("program: ppoll=error:{}@{nth}", libc::ENOMEM);
            command.env("ZYGOTE_FAIL", fault).env(DONE, done.path());
            let mut probe = Probe::spawn(command);
            let was_there = probe.expect("done") == "true";
            probe.finish();
            was_there
        };
        let times = (1..=6).filter(was_there).count();
        assert!(times > 0, "{role}: no wait failed after the start");
    }
}

pub(crate) fn play(role: &str) {
    match role {
        "unheld_worker" => unheld(unheld_worker),
        "unheld_program" => unheld(unheld_program),
        "killed" => killed(),
        "full" => full(),
        "barren" => barren(),
        "held_open" => held_open(),
        "orphaned" => orphaned(),
        "orphaned_by_program" => orphaned_by_program(),
        _ => super::pools::play(role),
    }
}
