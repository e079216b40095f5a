//! Runs shell commands, a few at a time, each with a time limit, and reports how each
//! ended. What a command has started ends with it. Ctrl-C ends all of them.
//!
//! ```text
//! jobs AT-ONCE SECONDS COMMAND…
//! ```
#![allow(clippy::print_stdout, reason = "it reports")]

use std::{
    env,
    fs::File,
    io::{self, Read, Seek},
    os::fd::AsFd,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::SignalFd,
};
use zygote::{Child, Command, wait_any_timeout};

zygote::early!();

/// A command that runs.
#[derive(Debug)]
struct Job {
    number: usize,
    child: Child,
    deadline: Instant,
    /// Gets what the command and all that it starts write to stdout and stderr.
    output: File,
}

fn main() -> anyhow::Result<ExitCode> {
    let mut args = env::args().skip(1);
    let mut next = || args.next().context("usage: jobs AT-ONCE SECONDS COMMAND…");
    let at_once: usize = next()?.parse()?;
    let limit = Duration::from_secs_f64(next()?.parse()?);
    let commands: Vec<String> = args.collect();

    let interrupt = interrupts();
    interrupt.thread_block()?;
    let interrupted = SignalFd::new(&interrupt)?;
    let mut reports = vec!["not run".to_owned(); commands.len()];
    let mut waiting = commands.iter().enumerate();
    let mut running: Vec<Job> = Vec::new();
    let mut stopped = false;
    loop {
        let free = if stopped { 0 } else { at_once - running.len() };
        for (number, command) in waiting.by_ref().take(free) {
            match Job::start(number, command, limit) {
                Ok(job) => running.push(job),
                Err(error) => reports[number] = format!("not run: {error}"),
            }
        }
        if running.is_empty() {
            break;
        }
        let wakes = running.iter().map(|job| job.child.as_fd());
        let next = running.iter().map(|job| job.deadline).min();
        let now = Instant::now();
        let patience = next.unwrap_or(now).saturating_duration_since(now);
        let ready = wait_any_timeout(wakes.chain([interrupted.as_fd()]), patience)?;
        stopped |= ready.contains(&running.len());
        let (over, rest) = running
            .into_iter()
            .partition(|job| stopped || job.is_over());
        running = rest;
        for job in over {
            let number = job.number;
            reports[number] = job.end(stopped)?;
        }
    }
    for (command, report) in commands.iter().zip(&reports) {
        println!("{command}: {report}");
    }
    let good = reports
        .iter()
        .all(|report| report.starts_with("exit status: 0"));
    Ok(ExitCode::from(if stopped { 130 } else { u8::from(!good) }))
}

/// Gives the signals that end this program.
fn interrupts() -> SigSet {
    SigSet::from(Signal::SIGINT)
}

/// Undoes for a command what `main` has done for itself.
#[zygote::entry]
fn unblock() -> io::Result<()> {
    Ok(interrupts().thread_unblock()?)
}

impl Job {
    fn start(number: usize, command: &str, limit: Duration) -> zygote::Result<Self> {
        let output = tempfile::tempfile()?;
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .before_exec(unblock::task())
            .tree();
        let child = shell
            .stdout(output.try_clone()?)
            .stderr_to_stdout()
            .spawn()?;
        let deadline = Instant::now() + limit;
        Ok(Self {
            number,
            child: child.kill_on_drop(true),
            deadline,
            output,
        })
    }

    /// Tells whether it has ended, or has to.
    fn is_over(&self) -> bool {
        self.deadline <= Instant::now() || !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it with all that it has started, and says what came of it.
    fn end(mut self, stopped: bool) -> zygote::Result<String> {
        let ended = self.child.try_wait()?;
        self.child.kill()?;
        let status = self.child.wait()?;
        let how = match ended {
            Some(_) => status.to_string(),
            None if stopped => "interrupted".to_owned(),
            None => "killed, it took too long".to_owned(),
        };
        let mut text = String::new();
        self.output.rewind()?;
        self.output.read_to_string(&mut text)?;
        let lines = text.lines().map(|line| format!("\n    {line}"));
        Ok(how + &lines.collect::<String>())
    }
}
