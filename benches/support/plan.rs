//! How often a bench measures, and where: pinned to one CPU, then not.

use std::{env, fs, io, process::Command};

/// What this execution of the bench is to do.
pub(crate) enum Plan {
    /// Measure here and now; `true` is thoroughly, `false` just to see that it works.
    Measure(bool),
    /// What the arguments after the first say: a bench's own business.
    Other(Vec<String>),
    /// Nothing is left to do.
    Done,
}

/// Reads the arguments. Called by cargo it executes the bench again, once
/// pinned to one CPU and once not, and returns when those have measured.
pub(crate) fn plan() -> io::Result<Plan> {
    let mut args: Vec<String> = env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("--measure") => return Ok(Plan::Measure(args.iter().any(|arg| arg == "--bench"))),
        Some("--own") => return Ok(Plan::Other(args.split_off(1))),
        _ if args.iter().any(|arg| arg == "--list") => return Ok(Plan::Done),
        _ => {}
    }
    // `cargo test --benches` does not pass `--bench`.
    let thorough = args.iter().any(|arg| arg == "--bench");
    let program = env::current_exe()?;
    let cpus = allowed_cpus()?;
    let first = cpus.split([',', '-']).next().unwrap_or("0");
    for pin in [Some(first), None] {
        let mut command = match pin {
            Some(cpu) => {
                let mut taskset = Command::new("taskset");
                taskset.args(["-c", cpu]).arg(&program);
                taskset
            }
            None => Command::new(&program),
        };
        let args = ["--measure", "--bench"];
        match command.args(&args[..1 + usize::from(thorough)]).status() {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(io::Error::other(format!("{command:?}: {status}"))),
            Err(error) if pin.is_some() => println!("not pinned, no taskset: {error}"),
            Err(error) => return Err(error),
        }
    }
    Ok(Plan::Done)
}

/// The CPUs this process may run on, as in `0-3,5`.
pub(crate) fn allowed_cpus() -> io::Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    Ok(line.unwrap_or("unknown").trim().to_owned())
}
