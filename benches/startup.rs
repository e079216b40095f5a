//! What the library adds to a program that does nothing: linked and not used,
//! and with `early!()`.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod support {
    pub(crate) mod figures;
    pub(crate) mod plan;
}

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use support::{
    figures::{goal, median, micros, percentile},
    plan::{Plan, allowed_cpus, plan},
};

const NAMES: [&str; 3] = ["startup_plain", "startup_linked", "startup_early"];

/// Has cargo build the three, and say where they are.
fn build(thorough: bool) -> Result<Vec<PathBuf>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "build",
        "--quiet",
        "--message-format=json",
        "--manifest-path",
    ]);
    cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    // Next to this program, whatever directory that is: TARGET/PROFILE/deps/.
    if let Some(target) = env::current_exe()?.ancestors().nth(3) {
        cargo.arg("--target-dir").arg(target);
    }
    cargo.args(NAMES.iter().flat_map(|name| ["--package", name]));
    if thorough {
        cargo.arg("--release");
    }
    let built = cargo.stderr(Stdio::inherit()).output()?;
    ensure!(built.status.success(), "{cargo:?}: {}", built.status);
    let messages = String::from_utf8(built.stdout)?;
    let paths = messages.split("\"executable\":\"").skip(1);
    let paths: Vec<_> = paths.filter_map(|rest| rest.split('"').next()).collect();
    NAMES
        .iter()
        .map(|name| {
            let path = paths.iter().find(|path| path.ends_with(name));
            path.map(PathBuf::from)
                .with_context(|| format!("{name} was not built"))
        })
        .collect()
}

fn measure(thorough: bool) -> Result<()> {
    let programs = build(thorough)?;
    let runs = if thorough { 2_000 } else { 5 };
    let mut times = [(); 3].map(|()| Vec::with_capacity(runs));
    for run in 0..runs {
        for which in (0..3).map(|step| (run + step) % 3) {
            // A template ends after its program does.
            thread::sleep(Duration::from_millis(1));
            let mut command = Command::new(&programs[which]);
            let start = Instant::now();
            let status = command.status()?;
            times[which].push(micros(start.elapsed()));
            ensure!(status.success(), "{command:?}: {status}");
        }
    }

    println!(
        "\nan empty main on CPUs {}: µs, {runs} alternating runs",
        allowed_cpus()?
    );
    let added = |which: usize| {
        let pairs = times[which].iter().zip(&times[0]);
        median(pairs.map(|(with, without)| with - without))
    };
    let added = [0.0, added(1), added(2)];
    println!(
        "  {:<20}{:>8}{:>8}{:>22}",
        "", "p50", "p99", "median of differences"
    );
    for ((name, times), added) in NAMES.iter().zip(&mut times).zip(added) {
        let [p50, p99] = [50, 99].map(|percent| percentile(times, percent));
        println!("  {name:<20}{p50:>8.1}{p99:>8.1}{added:>22.1}");
    }
    if !thorough {
        return Ok(());
    }
    goal("linked - plain", added[1], 30.0, " µs");
    goal("early - plain", added[2], 300.0, " µs");
    Ok(())
}

fn main() -> Result<()> {
    match plan()? {
        Plan::Measure(thorough) => measure(thorough),
        Plan::Other(args) => anyhow::bail!("unknown arguments: {args:?}"),
        Plan::Done => Ok(()),
    }
}
