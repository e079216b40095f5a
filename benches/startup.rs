//! How long a program that does nothing takes: without the library, with it
//! linked, and with `early!()`.
#![allow(clippy::unwrap_used, reason = "a bench stops at what fails")]

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use criterion::Criterion;

const NAMES: [&str; 3] = ["startup_plain", "startup_linked", "startup_early"];

/// Has cargo build the three, and say where they are.
fn build() -> Vec<PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release", "--message-format=json"]);
    cargo.arg("--manifest-path");
    cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    // TARGET/PROFILE/deps/startup-…
    let program = env::current_exe().unwrap();
    cargo
        .arg("--target-dir")
        .arg(program.ancestors().nth(3).unwrap());
    cargo.args(NAMES.iter().flat_map(|name| ["--package", name]));
    let built = cargo.stderr(Stdio::inherit()).output().unwrap();
    assert!(built.status.success(), "{cargo:?}: {}", built.status);
    let messages = String::from_utf8(built.stdout).unwrap();
    let paths = messages.split("\"executable\":\"").skip(1);
    let paths: Vec<_> = paths.filter_map(|rest| rest.split('"').next()).collect();
    let find = |name| paths.iter().find(|path| path.ends_with(name)).unwrap();
    NAMES.iter().map(|name| find(*name).into()).collect()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    // Not for a list of what there is.
    if env::args().any(|arg| arg == "--list") {
        for name in NAMES {
            criterion.bench_function(name, |_| {});
        }
        return criterion.final_summary();
    }
    for (name, program) in NAMES.iter().zip(build()) {
        criterion.bench_function(name, |bench| {
            bench.iter(|| assert!(Command::new(&program).status().unwrap().success()));
        });
    }
    criterion.final_summary();
}
