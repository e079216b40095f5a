//! In a shared object of somebody else's program no template is ever made, whatever
//! has loaded it: neither is that program forked, nor is it executed again.
//!
//! Builds the plugin and the host of `tests/crates/smoke`.

#![cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The shared object with this library in it.
fn plugin() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--package", "smoke", "--example"])
        .args(["plugin", "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("CARGO_BUILD_TARGET");
    run(&mut cargo);
    target.join("debug/examples/libplugin.so")
}

/// A program in C that loads it, and fails when that has made a process.
fn host(directory: &Path) -> PathBuf {
    let host = directory.join("host");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crates/smoke/src/host.c");
    run(Command::new("cc")
        .arg("-o")
        .arg(&host)
        .arg(source)
        .arg("-ldl"));
    host
}

#[test]
fn however_it_is_loaded_it_makes_no_template() {
    let directory = tempfile::tempdir().unwrap();
    let (plugin, host) = (plugin(), host(directory.path()));
    // The last word is what the host loads.
    run(Command::new(&host).arg(&plugin));
    run(Command::new(&host).args(["by", "dlmopen"]).arg(&plugin));
    for variable in ["LD_PRELOAD", "LD_AUDIT"] {
        run(Command::new(&host).env(variable, &plugin).arg(&plugin));
        let mut twice = Command::new(&host);
        twice.env(variable, &plugin).args(["by", "dlmopen"]);
        run(twice.arg(&plugin));
    }
}
