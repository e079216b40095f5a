//! A host of plugins in C. They are loaded once, into a template. Each call runs in a
//! worker, so that a plugin that crashes ends only its own call.
//!
//! ```text
//! plugins
//! ```
#![allow(clippy::print_stdout, reason = "it says what the calls gave")]
#![allow(
    unsafe_code,
    reason = "nobody but the plugin knows what its functions are"
)]

use std::{
    ffi::c_long,
    path::{Path, PathBuf},
    process,
};

use anyhow::ensure;
use libloading::{Library, Symbol};
use zygote::Process;

zygote::early!();

/// A plugin of somebody who was in a hurry.
const SOURCE: &str = r#"
static long calls;

/* Takes its time: only a template loads it. */
__attribute__((constructor)) static void load(void) { calls = 100; }

long twice(long n) { return 2 * n; }
long count(long n) { return calls += n; }
long crash(long n) { return *(volatile long *)n; }
"#;

type Function = unsafe extern "C" fn(c_long) -> c_long;

fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let process = Process::new()?.preload(load::task(compile(dir.path())?))?;
    let calls = [
        ("twice", 21),
        ("count", 1),
        ("crash", 8),
        ("count", 1),
        ("missing", 0),
        ("twice", 4),
    ];
    for (name, n) in calls {
        match call::spawn(&process, name.to_owned(), n)?.join() {
            Ok(Ok(value)) => println!("{name}({n}) = {value}"),
            Ok(Err(error)) => println!("{name}({n}): {error}"),
            Err(error) => println!("{name}({n}): {}", error.message()),
        }
    }
    println!("the host lives");
    Ok(())
}

/// Makes a shared object in this directory.
fn compile(dir: &Path) -> anyhow::Result<PathBuf> {
    let (source, object) = (dir.join("plugin.c"), dir.join("plugin.so"));
    std::fs::write(&source, SOURCE)?;
    let mut cc = process::Command::new("cc");
    let status = cc
        .args(["-shared", "-fPIC", "-o"])
        .args([&object, &source])
        .status()?;
    ensure!(status.success(), "cc failed: {status}");
    Ok(object)
}

/// Loads a plugin into the template.
#[zygote::preload]
fn load(path: PathBuf) -> Result<Library, libloading::Error> {
    // SAFETY: `SOURCE` has one constructor, which only sets a number.
    unsafe { Library::new(path) }
}

/// Calls a function of the plugin.
#[zygote::entry]
fn call(plugin: &Library, name: String, n: i64) -> Result<i64, String> {
    // SAFETY: the functions of `SOURCE` are of this type.
    let function: Symbol<'_, Function> =
        unsafe { plugin.get(name.as_bytes()) }.map_err(|_| "there is no such function")?;
    // SAFETY: it has this type. What it does wrong harms only this process.
    Ok(unsafe { function(n) })
}
