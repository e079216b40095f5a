//! What `early!()` adds to a program that does nothing.

use std::{
    fs::File,
    io::Read,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    figures::{median, timed},
    goals::Found,
    memory,
};

/// The programs: without the library, with `early!()`, with the library linked and
/// not used, and with a fork by hand.
pub const NAMES: [&str; 4] = [
    "startup_plain",
    "startup_early",
    "startup_linked",
    "startup_forked",
];

/// Runs each so often by turns.
///
/// # Errors
///
/// One of them fails.
pub fn measure(found: &mut Found, programs: &[PathBuf; 4], times: usize) -> Result<()> {
    let mut taken = [(); 4].map(|()| Vec::with_capacity(times));
    for _ in 0..times {
        for (program, taken) in programs.iter().zip(&mut taken) {
            // A template ends after its program does.
            thread::sleep(Duration::from_millis(1));
            let mut command = Command::new(program);
            taken.push(timed(|| {
                let status = command.status()?;
                ensure!(status.success(), "{program:?}: {status}");
                Ok(())
            })?);
        }
    }
    let [plain, early, linked, forked] = taken;
    let added = |to: &[f64]| median(to.iter().zip(&plain).map(|(with, without)| with - without));
    found.figure("startup:time", added(&early));
    found.figure("startup:linked", added(&linked));
    found.figure("startup:forked", added(&forked));
    let [plain, early] = [own_memory(&programs[0])?, own_memory(&programs[1])?];
    found.figure("startup:memory", early - plain);
    Ok(())
}

/// The memory that the program has written to while it waits. With a template it
/// shares what it wrote before that was forked: so that counts, too.
fn own_memory(program: &PathBuf) -> Result<f64> {
    // What cargo has just written would count, as long as it is not on the disk.
    File::open(program)?.sync_all()?;
    let mut child = Command::new(program)
        .arg("wait")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let out = child.stdout.as_mut().context("no pipe")?;
    out.read_exact(&mut [0])?;
    let memory = memory::of(child.id())?;
    drop(child.stdin.take());
    ensure!(child.wait()?.success());
    Ok(memory.dirty)
}
