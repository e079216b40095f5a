//! What runs in workers and in templates is counted once, in a program that was
//! built to count.
//!
//! Builds `tests/crates/covered` in a target directory of its own. The counts are
//! read with the tools of `rustup component add llvm-tools`; without them only
//! the files are looked at.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the test says what it cannot try"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const SOURCE: &str = "tests/crates/covered/src/lib.rs";

/// Runs a command, which must succeed; its stdout.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The directory of the two programs.
fn build() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("coverage");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--package", "covered", "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .env("RUSTFLAGS", "-C instrument-coverage")
        // Of the build scripts, which count as well.
        .env("LLVM_PROFILE_FILE", "/dev/null");
    run(&mut cargo);
    target.join("debug")
}

/// Where the tools are that fit the compiler.
fn tools() -> Option<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or("rustc".into());
    let libraries = run(Command::new(rustc).args(["--print", "target-libdir"]));
    let tools = Path::new(libraries.trim()).with_file_name("bin");
    tools.join("llvm-profdata").exists().then_some(tools)
}

/// How often each line ran, in the form `DA:line,count`.
fn counts(tools: &Path, program: &Path, profiles: &Path) -> Vec<(usize, u64)> {
    let merged = profiles.join("merged.profdata");
    let mut merge = Command::new(tools.join("llvm-profdata"));
    merge
        .args(["merge", "--failure-mode=any", "-o"])
        .arg(&merged);
    for file in fs::read_dir(profiles).unwrap() {
        merge.arg(file.unwrap().path());
    }
    run(&mut merge);
    let mut export = Command::new(tools.join("llvm-cov"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(SOURCE);
    export.args(["export", "--format=lcov", "--instr-profile"]);
    export.arg(merged).arg(program).arg(source);
    let text = run(&mut export);
    let lines = text.lines().filter_map(|line| line.strip_prefix("DA:"));
    lines
        .map(|pair| {
            let (line, count) = pair.split_once(',').unwrap();
            (line.parse().unwrap(), count.parse().unwrap())
        })
        .collect()
}

/// The lines of the source that say how often they run, and how often.
fn wanted() -> Vec<(usize, u64)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(SOURCE)).unwrap();
    let lines = text.lines().enumerate().filter_map(|(at, line)| {
        let count = line.strip_suffix('×')?.rsplit_once("// ")?.1;
        Some((at + 1, count.parse().ok()?))
    });
    let wanted: Vec<_> = lines.collect();
    assert_eq!(wanted.len(), 17, "{wanted:?}");
    wanted
}

/// Runs a program with this pattern of names; its profiles are in a directory
/// of their own.
fn check(program: &Path, pattern: &str, tools: Option<&Path>) {
    let profiles = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command.env("LLVM_PROFILE_FILE", profiles.path().join(pattern));
    let pids = run(command.current_dir(profiles.path()));
    let pids = pids.trim().trim_matches(['[', ']']).split(", ");
    if pattern.starts_with("%p") {
        for pid in pids {
            let own = |file: fs::DirEntry| {
                let name = file.file_name();
                name.to_str().unwrap().split(['.', '-']).next() == Some(pid)
            };
            let mut files = fs::read_dir(profiles.path()).unwrap();
            assert!(files.any(|file| own(file.unwrap())), "{pattern}: {pid}");
        }
    }
    let Some(tools) = tools else { return };
    let counts = counts(tools, program, profiles.path());
    for line in wanted() {
        let (at, _) = line;
        let counted = counts.iter().find(|(other, _)| *other == at);
        assert_eq!(counted, Some(&line), "{program:?}, {pattern}");
    }
}

#[test]
fn what_a_worker_runs_is_counted_once() {
    let programs = build();
    let tools = tools();
    if tools.is_none() {
        println!("not counted: `rustup component add llvm-tools` is missing");
    }
    for program in ["early", "executed"] {
        // A file for each process, one for all, and both; as `cargo llvm-cov`.
        for pattern in ["%p.profraw", "all-%m.profraw", "%p-%8m.profraw"] {
            check(&programs.join(program), pattern, tools.as_deref());
        }
    }
}
