//! One worker, and what came of it as one line: for `.ci/long/sweep.sh`.
//!
//! With the argument `wait` there is a worker before; then the program says
//! which process its template is, and waits for a line.

use std::{
    env,
    io::{self, Write},
    os::unix::process::parent_id,
    process::ExitCode,
};

// The build script links a part of it into every program here.
use constructors as _;
use zygote::Worker;

#[cfg(feature = "early")]
zygote::early!();

#[zygote::entry]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[zygote::entry]
fn parent() -> u32 {
    parent_id()
}

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("wait") {
        match parent::spawn().and_then(Worker::join) {
            Ok(template) => say(&format!("template {template}")),
            Err(error) => return fail(&error),
        }
        let _ = io::stdin().read_line(&mut String::new());
    }
    match add::spawn(20, 22).and_then(Worker::join) {
        Ok(sum) => say(&format!("result {sum}")),
        Err(error) => return fail(&error),
    }
    ExitCode::SUCCESS
}

fn fail(error: &zygote::Error) -> ExitCode {
    say(&format!("error {error:?}"));
    ExitCode::FAILURE
}

fn say(line: &str) {
    // Who does not want to read it sees the exit code.
    let _ = writeln!(io::stdout(), "{line}");
}
