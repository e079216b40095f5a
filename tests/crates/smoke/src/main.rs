//! What must work in every build, as one program: a line for each check, exit
//! code 0 when all passed. Takes no input; arguments are only looked at.

mod checks;
mod entries;
mod phases;
mod slices;

use std::{
    error::Error,
    io::{self, Write},
    process::{self, ExitCode},
    time::{Duration, Instant},
};

use dep as _;

#[cfg(feature = "early")]
zygote::early!();

/// What a check gives: a remark, or why it failed.
type Outcome = Result<String, Box<dyn Error>>;

/// Nothing here takes longer, on any machine.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    watch();
    let start = Instant::now();
    let (mut passed, mut failed) = (0, 0);
    for (name, check) in checks::ALL {
        match check() {
            Ok(remark) => {
                passed += 1;
                say(&format!("ok    {name}{}{remark}", separator(&remark)));
            }
            Err(error) => {
                failed += 1;
                say(&format!("FAIL  {name}: {error}"));
            }
        }
    }
    let way = if cfg!(feature = "early") {
        "early"
    } else {
        "executed"
    };
    let took = start.elapsed().as_millis();
    say(&format!(
        "smoke ({way}): {passed} passed, {failed} failed, {took} ms"
    ));
    ExitCode::from(u8::from(failed > 0))
}

fn separator(remark: &str) -> &'static str {
    if remark.is_empty() { "" } else { ": " }
}

fn say(line: &str) {
    // Who does not want to read it sees the exit code.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Ends the program when a check hangs.
fn watch() {
    std::thread::spawn(|| {
        std::thread::sleep(LIMIT);
        say("FAIL  the check above did not end in time");
        process::abort();
    });
}
