//! A daemon that keeps its workers running. They run as a user without rights, and have
//! the daemon's configuration and logger. A worker that dies is replaced. SIGTERM ends
//! the daemon and all workers.
//!
//! ```text
//! daemon GREETING [WORKERS]
//! ```

use std::{
    env,
    io::{self, Write},
    os::fd::AsFd,
    process::id,
    sync::OnceLock,
    thread,
    time::Duration,
};

use anyhow::{Context, bail};
use log::{LevelFilter, Log, Metadata, Record, info, warn};
use nix::{
    sys::{
        prctl::get_no_new_privs,
        signal::{SigSet, Signal},
        signalfd::SignalFd,
    },
    unistd::Uid,
};
use serde::{Deserialize, Serialize};
use zygote::{Process, Worker, wait_any};

zygote::early!();

/// The user and group `nobody`.
const NOBODY: u32 = 65_534;

/// How often a worker may be replaced before something must be wrong.
const REPLACEMENTS: usize = 20;

/// How long each worker may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Config {
    greeting: String,
    workers: usize,
}

static CONFIG: OnceLock<Config> = OnceLock::new();

fn config() -> &'static Config {
    CONFIG.get().expect("`set_up` has run")
}

/// What the program and each worker do first.
#[zygote::entry]
fn set_up(config: Config) -> io::Result<()> {
    log::set_logger(&Stderr).map_err(io::Error::other)?;
    log::set_max_level(LevelFilter::Info);
    CONFIG
        .set(config)
        .map_err(|_| io::Error::other("it is set up"))
}

fn main() -> anyhow::Result<()> {
    let mut args = env::args().skip(1);
    let greeting = args.next().context("usage: daemon GREETING [WORKERS]")?;
    let workers = args.next().map_or(Ok(2), |text| text.parse())?;
    set_up(Config { greeting, workers })?;

    let terminate = SigSet::from(Signal::SIGTERM);
    terminate.thread_block()?;
    let terminated = SignalFd::new(&terminate)?;

    let process = process()?;
    let start = |number| process.spawn(serve::task(number));
    let mut workers = (0..config().workers)
        .map(start)
        .collect::<Result<Vec<_>, _>>()?;
    let mut replaced = 0;
    loop {
        let these = workers.iter().map(AsFd::as_fd);
        let ready = wait_any(these.chain([terminated.as_fd()]))?;
        if ready.contains(&workers.len()) {
            info!("SIGTERM");
            return Ok(end(&workers)?);
        }
        for number in ready {
            let worker = &mut workers[number];
            warn!("worker {number} {}", worker.wait()?);
            replaced += 1;
            if replaced > REPLACEMENTS {
                end(&workers)?;
                bail!("the workers die again and again");
            }
            *worker = start(number)?;
        }
    }
}

/// Gives the process whose forks the workers are.
fn process() -> zygote::Result<Process> {
    let process = Process::new()?
        .init(set_up::task(config().clone()))
        .no_new_privs(true);
    if Uid::effective().is_root() {
        return Ok(process.uid(NOBODY).gid(NOBODY));
    }
    warn!("not started by root: the workers are of the same user");
    Ok(process)
}

/// Asks all workers to end, and ends those that do not.
fn end(workers: &[Worker<()>]) -> zygote::Result<()> {
    for worker in workers {
        worker.signal(Signal::SIGTERM as i32)?;
    }
    for (number, worker) in workers.iter().enumerate() {
        if worker.wait_timeout(GRACE)?.is_none() {
            worker.kill()?;
        }
        info!("worker {number} {}", worker.wait()?);
    }
    Ok(())
}

/// What a worker does. This one only says who it is, and that it gains no rights.
#[zygote::entry]
fn serve(number: usize) {
    let (greeting, user) = (&config().greeting, Uid::current());
    let bound = get_no_new_privs() == Ok(true);
    info!("worker {number} says {greeting} as user {user}, no new rights: {bound}");
    loop {
        thread::park();
    }
}

/// Writes to stderr, each line in one piece.
#[derive(Debug)]
struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = format!("{} {}: {}\n", record.level(), id(), record.args());
        // Where the log cannot be written there is nobody to tell.
        let _ = io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}
