//! What is measured on, and on which of its CPUs.

use std::{fs, process::Command};

use anyhow::{Context, Result};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::{Pid, SysconfVar, sysconf},
};

/// Has this process and those that it makes from now on run on the first CPU
/// it may use, until the result is dropped.
///
/// # Errors
///
/// The kernel refuses.
pub fn pin() -> Result<Pinned> {
    let before = sched_getaffinity(Pid::from_raw(0))?;
    let first = (0..CpuSet::count())
        .find(|cpu| before.is_set(*cpu).unwrap_or(false))
        .context("no CPU")?;
    let mut one = CpuSet::new();
    one.set(first)?;
    sched_setaffinity(Pid::from_raw(0), &one)?;
    Ok(Pinned { before, cpu: first })
}

/// While it lives, this process runs on one CPU.
#[derive(Debug)]
pub struct Pinned {
    before: CpuSet,
    cpu: usize,
}

impl Pinned {
    /// Which CPU.
    #[must_use]
    pub fn cpu(&self) -> usize {
        self.cpu
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
    }
}

/// How many CPUs this process may use.
///
/// # Errors
///
/// The kernel refuses.
pub fn cpus() -> Result<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count())
        .filter(|cpu| allowed.is_set(*cpu).unwrap_or(false))
        .count())
}

/// Facts about the machine, each a line: what, and its value.
#[must_use]
pub fn facts() -> Vec<(&'static str, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let said = |command: &mut Command| {
        let output = command.output().map(|output| output.stdout);
        String::from_utf8_lossy(&output.unwrap_or_default())
            .trim()
            .to_owned()
    };
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find(|line| line.starts_with("model name") || line.starts_with("CPU part"))
        .and_then(|line| line.split(": ").nth(1))
        .unwrap_or("unknown");
    let huge = read("/sys/kernel/mm/transparent_hugepage/enabled");
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(0);
    vec![
        (
            "kernel",
            read("/proc/sys/kernel/osrelease").trim().to_owned(),
        ),
        ("CPU", model.to_owned()),
        ("page size", format!("{page} bytes")),
        (
            "transparent huge pages",
            format!(
                "{}; touched memory is kept in small pages",
                huge.split(['[', ']']).nth(1).unwrap_or("unknown")
            ),
        ),
        (
            "load when it began",
            read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
        ),
        (
            "C library",
            said(Command::new("getconf").arg("GNU_LIBC_VERSION")),
        ),
        ("Rust", said(Command::new("rustc").arg("--version"))),
    ]
}
