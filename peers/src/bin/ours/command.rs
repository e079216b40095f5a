//! Starting another program and seeing it end: this crate's `Command`, and std's,
//! which need not fork the program unless something is to be done before the
//! other starts.
#![allow(unsafe_code, reason = "std's pre_exec")]

use std::{
    io,
    os::unix::process::CommandExt,
    process,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use peers::{
    ballast::Ballast,
    figures::{median, timed},
    goals::Found,
    survey::LARGE,
};

use crate::by_turns;

const PROGRAM: &str = "/bin/true";

#[zygote::entry]
fn nothing() -> io::Result<()> {
    Ok(())
}

pub(crate) fn measure(found: &mut Found, length: Duration) -> Result<()> {
    let ours = |command: &mut zygote::Command| Ok(command.status()?.success());
    let std = |command: &mut process::Command| Ok(command.status()?.success());
    let user = nix::unistd::getuid().as_raw();

    let plain = by_turns(
        length,
        [
            &mut |length| starts(length, || ours(&mut zygote::Command::new(PROGRAM))),
            &mut |length| starts(length, || std(&mut process::Command::new(PROGRAM))),
        ],
    )?;
    let _touched = Ballast::touch(if length.is_zero() { 64 } else { LARGE })?;
    let step = by_turns(
        length,
        [
            &mut |length| {
                starts(length, || {
                    ours(zygote::Command::new(PROGRAM).before_exec(nothing::task()))
                })
            },
            &mut |length| {
                starts(length, || {
                    let mut command = process::Command::new(PROGRAM);
                    // SAFETY: it does nothing.
                    unsafe { command.pre_exec(|| Ok(())) };
                    std(&mut command)
                })
            },
        ],
    )?;
    let uid = by_turns(
        length,
        [
            &mut |length| starts(length, || ours(zygote::Command::new(PROGRAM).uid(user))),
            &mut |length| starts(length, || std(process::Command::new(PROGRAM).uid(user))),
        ],
    )?;
    for (key, times) in [
        ("command:plain", plain),
        ("command:step", step),
        ("command:uid", uid),
    ] {
        let [ours, std] = times.map(median);
        found.ratio(key, ours, std);
    }
    Ok(())
}

/// The times of as many as there is time for.
fn starts(length: Duration, mut start: impl FnMut() -> Result<bool>) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.is_empty() || begin.elapsed() < length {
        times.push(timed(|| {
            ensure!(start()?, "{PROGRAM} failed");
            Ok(())
        })?);
    }
    Ok(times)
}
