//! How much memory a process has.

use std::fs;

use anyhow::{Context, Result};

/// Of one process, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// What is shared counts by the number of those who share it.
    pub pss: f64,
    /// Its own, and changed.
    pub private_dirty: f64,
    /// Its own.
    pub private: f64,
    /// Changed, whoever shares it.
    pub dirty: f64,
}

/// What the kernel says of this process.
///
/// # Errors
///
/// It is gone, or somebody else's.
pub fn of(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = |name: &str| -> Result<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let line = line.with_context(|| format!("{path} has no {name}"))?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    let private_dirty = line("Private_Dirty:")?;
    Ok(Memory {
        pss: line("Pss:")?,
        private_dirty,
        private: private_dirty + line("Private_Clean:")?,
        dirty: private_dirty + line("Shared_Dirty:")?,
    })
}

/// Who made this process.
///
/// # Errors
///
/// It is gone.
pub fn parent(pid: u32) -> Result<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = text.rsplit(')').next().context("no name")?;
    let parent = after.split_whitespace().nth(1).context("no parent")?;
    Ok(parent.parse()?)
}
