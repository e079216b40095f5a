//! A worker becomes another program, its output where the caller wants it.
//!
//! Stdout goes to a file and stderr to a socket, both passed as arguments; then
//! the worker executes the program. If that fails, the reason comes back as the
//! entry's result.
//!
//! ```text
//! cargo run --release --example redirect -- out.txt ls -l / /nowhere
//! ```
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the example talks to whoever runs it"
)]

use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufRead, BufReader},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
};

use clap::Parser;

// No `early!()`: a program this short gains little from a template that was
// forked before `main`. On the first spawn the library executes this same
// binary once more to get one.

/// Runs a program, its stdout in a file and its stderr through a socket.
///
/// Exits with the program's own code; with 127 if it could not be executed and
/// 128 if a signal killed it.
#[derive(Parser)]
struct Options {
    /// File for the program's stdout.
    out: PathBuf,
    /// The program.
    program: OsString,
    /// Its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let out = File::create(&options.out)?;
    let (ours, theirs) = UnixStream::pair()?;

    // `out` and `theirs` move into the task, and are closed here once the
    // worker has them: only the program that is executed holds the other end.
    let worker = execute::spawn(out, theirs, options.program, options.args)?;
    println!("pid {} writes to {}", worker.id(), options.out.display());
    for line in BufReader::new(ours).lines() {
        println!("stderr: {}", line?);
    }

    // A program that was executed has no result to send, so the only result is
    // the reason why it was not; else `join` tells how the program ended.
    let error = match worker.join() {
        Ok(Ok(())) => anyhow::bail!("execve should not return without an error"),
        Ok(Err(error)) => {
            eprintln!("cannot execute the program: {error}");
            return Ok(ExitCode::from(127));
        }
        Err(error) => error,
    };
    let Some(exit) = error.exit() else {
        return Err(error.into());
    };
    println!("the program {exit}");
    let code = exit.status().and_then(|status| status.code());
    Ok(ExitCode::from(
        code.map_or(128, |code| u8::try_from(code).unwrap_or(u8::MAX)),
    ))
}

/// Runs in a worker, and returns only if `execve` fails.
#[zygote::entry]
fn execute(out: File, err: UnixStream, program: OsString, args: Vec<OsString>) -> io::Result<()> {
    Err(Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(OwnedFd::from(err))
        .exec())
}
