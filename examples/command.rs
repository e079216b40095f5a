//! Runs shell commands side by side, each with a time limit and its output
//! collected, and leaves nothing behind of those that take too long.
//!
//! ```text
//! cargo run --release --example command -- --seconds 2 'echo one' 'exit 3' 'sleep 60 & sleep 60'
//! ```
#![expect(clippy::print_stdout, reason = "the example talks to whoever runs it")]

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, fcntl};
use zygote::{Child, Command, Stdio};

zygote::early!();

/// Runs shell commands side by side. Exits with 1 if any of them failed.
#[derive(Parser)]
struct Options {
    /// How long each may take.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// A file that each holds a lock on while it runs, shared with the others.
    #[arg(long)]
    lock: Option<PathBuf>,
    /// The commands, for `sh -c`.
    commands: Vec<String>,
}

/// Runs in the new process, before the program: any Rust code may.
#[zygote::entry]
fn hold_lock(path: PathBuf) -> io::Result<()> {
    let lock = Flock::lock(File::open(path)?, FlockArg::LockShared);
    let lock = lock.map_err(|(_, error)| error)?;
    // The program inherits it, and the lock ends with the program.
    fcntl(&*lock, FcntlArg::F_SETFD(FdFlag::empty()))?;
    std::mem::forget(lock);
    Ok(())
}

fn start(script: &str, options: &Options) -> zygote::Result<Child> {
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // A group of its own, so that all of it can be killed.
        .process_group(0);
    if let Some(lock) = &options.lock {
        command.before_exec(hold_lock::task(lock.clone()));
    }
    command.spawn()
}

/// Whether it succeeded.
fn finish(script: &str, child: &mut Child, deadline: Instant) -> zygote::Result<bool> {
    let left = deadline.saturating_duration_since(Instant::now());
    let Some(status) = child.wait_timeout(left)? else {
        child.kill_tree()?;
        println!("{script}: took too long, killed");
        return Ok(false);
    };
    let mut output = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut output)?;
    }
    println!("{script}: {status}: {}", output.trim_end());
    Ok(status.success())
}

fn main() -> zygote::Result<ExitCode> {
    let options = Options::parse();
    let deadline = Instant::now() + Duration::from_secs(options.seconds);
    let mut children = Vec::new();
    for script in &options.commands {
        children.push((script, start(script, &options)?));
    }
    let mut failed = 0;
    for (script, mut child) in children {
        failed += u8::from(!finish(script, &mut child, deadline)?);
    }
    Ok(ExitCode::from(failed.min(1)))
}
