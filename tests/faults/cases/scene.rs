//! What the programs do in which something goes wrong: one call of every kind,
//! and what became of each.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    time::Duration,
};

use zygote::{Command, Error, Process, Result, Worker};

use super::{
    clean::Ground,
    probe::{LIMIT, say, send_group},
};

/// Of every wait while something goes wrong.
const DEADLINE: Duration = Duration::from_millis(400);

/// Set where nothing will: then nothing is given up soon.
pub(crate) const HARMLESS: &str = "ZYGOTE_TEST_HARMLESS";

/// Where a worker notes that it ran.
pub(crate) const RECORD: &str = "ZYGOTE_TEST_RECORD";

/// What [`Ground`] must be at the end.
pub(crate) const GROUND: &str = "ZYGOTE_TEST_GROUND";

/// While this is there nothing fails.
pub(crate) const DONE: &str = "ZYGOTE_FAIL_DONE";

/// More than fits into a message.
pub(crate) const BIG: usize = 300_000;

/// Says that a task ran, in one write.
pub(crate) fn ran(name: &str) {
    let path = env::var_os(RECORD).unwrap();
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(format!("{name}\n").as_bytes()).unwrap();
}

fn times(name: &str) -> usize {
    let text = fs::read_to_string(env::var_os(RECORD).unwrap()).unwrap();
    text.lines().filter(|line| *line == name).count()
}

#[zygote::entry]
fn typed(name: String, bytes: Vec<u8>, file: File) -> (Vec<u8>, u64) {
    ran(&name);
    (bytes, file.metadata().unwrap().ino())
}

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

#[zygote::entry]
fn nested(name: String) -> Result<u32> {
    ran(&name);
    echo::spawn(7)?.join()
}

#[zygote::preload]
fn load(length: usize) -> Vec<u8> {
    vec![1; length]
}

#[zygote::entry]
fn sum(bytes: &Vec<u8>, name: String) -> usize {
    ran(&name);
    bytes.len()
}

/// What a call has come to: an outcome, or a worker that is to give one.
pub(crate) enum Call {
    Over(Result<()>),
    Open(Box<dyn FnMut() -> Option<Result<()>>>),
}

/// Waits for a worker up to the deadline, and then kills it. A template that is
/// stopped cannot say how it ended: that is heard later.
fn follow<R: 'static>(
    worker: Result<Worker<R>>,
    deadline: Duration,
    expected: impl Fn(R) + 'static,
) -> Call {
    let mut worker = match worker {
        Ok(worker) => worker,
        Err(error) => return Call::Over(Err(error)),
    };
    let mut take = move |limit| match worker.join_timeout(limit) {
        Ok(None) => {
            worker.kill().unwrap();
            None
        }
        Ok(Some(got)) => {
            expected(got);
            // One outcome, and no second one.
            let again = worker.join_timeout(Duration::ZERO).err().unwrap();
            assert!(again.is_invalid(), "{again:?}");
            Some(Ok(()))
        }
        Err(error) => Some(Err(error)),
    };
    match take(deadline) {
        Some(outcome) => Call::Over(outcome),
        None => Call::Open(Box::new(move || take(LIMIT))),
    }
}

/// Waits for a call as [`follow`] waits for a worker, and then kills that.
pub(crate) fn answer<R: 'static>(
    call: zygote::Call<R>,
    deadline: Duration,
    expected: impl Fn(R) + 'static,
) -> Call {
    let mut call = call;
    let mut take = move |limit| match call.join_timeout(limit) {
        Ok(None) => {
            call.kill().unwrap();
            None
        }
        Ok(Some(got)) => {
            expected(got);
            let again = call.join_timeout(Duration::ZERO).err().unwrap();
            assert!(again.is_invalid(), "{again:?}");
            Some(Ok(()))
        }
        Err(error) => Some(Err(error)),
    };
    match take(deadline) {
        Some(outcome) => Call::Over(outcome),
        None => Call::Open(Box::new(move || take(LIMIT))),
    }
}

/// A program that notes that it ran.
fn program(name: &str, deadline: Duration) -> Call {
    let started = Command::new("sh")
        .args(["-c", "echo \"$0\" >>\"$1\"", name])
        .arg(env::var_os(RECORD).unwrap())
        .start_timeout(deadline)
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return Call::Over(Err(error)),
    };
    let mut take = move |limit| match child.wait_timeout(limit) {
        Ok(None) => {
            child.kill().unwrap();
            None
        }
        Ok(Some(status)) if status.success() => Some(Ok(())),
        // It was killed, or its launcher was.
        Ok(Some(status)) => Some(Err(io::Error::other(status.to_string()).into())),
        Err(error) => Some(Err(error)),
    };
    match take(deadline) {
        Some(outcome) => Call::Over(outcome),
        None => Call::Open(Box::new(move || take(LIMIT))),
    }
}

/// One call of every kind, one after the other, each with this deadline.
fn calls(round: &str, deadline: Duration) -> Vec<(String, Call)> {
    let own = || Ok::<_, Error>(Process::new()?.start_timeout(deadline));
    let name = |call: &str| format!("{round} {call}");
    let file = tempfile::tempfile().unwrap();
    let inode = file.metadata().unwrap().ino();
    let bytes: Vec<u8> = (0..=250).cycle().take(BIG).collect();
    let check = move |sent: Vec<u8>| move |got| assert!(got == (sent.clone(), inode), "wrong");
    let task = |name: String| typed::task(name, bytes.clone(), file.try_clone().unwrap());

    let mut all = Vec::new();
    // By the default template, and by one that stays.
    let process = own();
    let worker = process.and_then(|process| process.run(task(name("run"))));
    all.push((name("run"), follow(worker, deadline, check(bytes.clone()))));
    let template = own();
    for n in 0..2 {
        let name = name(&format!("fork {n}"));
        let process = template.as_ref().map_err(Clone::clone);
        let worker = process.and_then(|it| it.fork()?.run(task(name.clone())));
        all.push((name, follow(worker, deadline, check(bytes.clone()))));
    }
    drop(template);

    let loaded = own().and_then(|process| process.preload(load::task(1000)));
    let worker = loaded.and_then(|loaded| sum::spawn(&loaded, name("preload")));
    all.push((
        name("preload"),
        follow(worker, deadline, |sum| assert_eq!(sum, 1000)),
    ));

    // Three calls, given at once.
    let service = own().and_then(Process::serve);
    let names = [0, 1, 2].map(|n| name(&format!("call {n}")));
    let given = names.map(|name| {
        let call = match &service {
            Ok(service) => service.call_timeout(task(name.clone()), deadline),
            Err(error) => Err(error.clone()),
        };
        (name, call)
    });
    all.extend(given.map(|(name, call)| match call {
        Ok(call) => (name, answer(call, deadline, check(bytes.clone()))),
        Err(error) => (name, Call::Over(Err(error))),
    }));
    drop(service);

    let worker = own().and_then(|process| process.run(nested::task(name("nested"))));
    // What is wrong below the worker is part of its result.
    all.push((name("nested"), follow(worker, deadline, drop)));

    all.push((name("program"), program(&name("program"), deadline)));

    let fresh = Process::fresh().map(|process| process.start_timeout(deadline));
    let worker = fresh.and_then(|process| process.run(task(name("fresh"))));
    all.push((
        name("fresh"),
        follow(worker, deadline, check(bytes.clone())),
    ));
    all
}

/// Everything once, with a fault somewhere, and once more without.
pub(crate) fn scene(is_warm: bool) {
    scene_of(is_warm, calls, || {
        assert_ne!(Ground::take().to_string(), "")
    });
}

/// The same with these calls, and this when nothing has gone wrong yet.
pub(crate) fn scene_of(
    is_warm: bool,
    mut calls: impl FnMut(&str, Duration) -> Vec<(String, Call)>,
    settle: impl Fn(),
) {
    let done = PathBuf::from(env::var_os(DONE).unwrap());
    if is_warm {
        // The fault is still far: the file is there.
        assert!(done.exists());
        finish(calls("before", LIMIT), true);
        settle();
        fs::remove_file(&done).unwrap();
    }
    let deadline = env::var_os(HARMLESS).map_or(DEADLINE, |_| LIMIT);
    let open = calls("fault", deadline);
    let fired = done.exists();
    if !fired {
        fs::write(&done, "").unwrap();
    }
    // What was stopped goes on.
    send_group(std::process::id(), libc::SIGCONT);
    let failed = finish(open, false);
    finish(calls("after", LIMIT), true);
    let ground = match env::var(GROUND) {
        Ok(ground) => {
            let ground: Ground = ground.parse().unwrap();
            ground.assert_clean();
            ground
        }
        Err(_) => Ground::take(),
    };
    check_record(&failed);
    say("fired", fired);
    say("failed", failed.len());
    for (name, error) in failed {
        say("error", format!("{name}: {error:?}"));
    }
    say("done", ground);
}

/// Takes every outcome; gives the errors.
pub(crate) fn finish(calls: Vec<(String, Call)>, must_succeed: bool) -> Vec<(String, Error)> {
    let mut failed = Vec::new();
    for (name, call) in calls {
        let outcome = match call {
            Call::Over(outcome) => outcome,
            Call::Open(mut take) => {
                take().unwrap_or_else(|| panic!("{name}: no outcome after it was killed"))
            }
        };
        match outcome {
            Ok(()) => assert_eq!(times(&name), 1, "{name}"),
            Err(error) => {
                assert!(!must_succeed, "{name}: {error:?}");
                failed.push((name, error));
            }
        }
    }
    failed
}

/// What is said to be unstarted has not run, and nothing ran twice.
fn check_record(failed: &[(String, Error)]) {
    for (name, error) in failed {
        let most = usize::from(!error.is_unstarted());
        assert!(times(name) <= most, "{name} ran: {error:?}");
    }
}
