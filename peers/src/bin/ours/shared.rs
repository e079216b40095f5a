//! A large argument that many workers share.

use std::{fs::File, io::Write, thread, time::Duration};

use anyhow::{Result, ensure};
use nix::sys::memfd::{MFdFlags, memfd_create};
use peers::{
    figures::{median, timed},
    goals::Found,
};
use zygote::{Bytes, Process};

use crate::by_turns;

/// Bytes of the argument.
const SIZE: usize = 64 << 20;

const WORKERS: usize = 8;

/// Looks at both ends and in between: that it is there is what counts.
#[zygote::entry]
fn ends(bytes: Bytes) -> u64 {
    [0, bytes.len() / 2, bytes.len() - 1]
        .map(|at| u64::from(bytes[at]))
        .iter()
        .sum()
}

pub(crate) fn measure(found: &mut Found, length: Duration) -> Result<()> {
    let octets = vec![7; SIZE];
    let process = Process::new()?;
    let share = || {
        let bytes = Bytes::new(&octets)?;
        let tasks = (0..WORKERS).map(|_| ends::task(bytes.clone()));
        let workers: Vec<_> = process.spawn_all(tasks);
        for worker in workers {
            ensure!(worker?.join()? == 21);
        }
        Ok(())
    };
    let write = || {
        let file = memfd_create(c"64 MB", MFdFlags::MFD_CLOEXEC)?;
        Ok(File::from(file).write_all(&octets)?)
    };
    let one = |work: &dyn Fn() -> Result<()>| {
        // The kernel takes memory back after its last user has gone.
        thread::sleep(Duration::from_millis(2));
        Ok(vec![timed(work)?])
    };
    let [ours, by_hand] = by_turns(length, [&mut |_| one(&share), &mut |_| one(&write)])?;
    found.ratio("shared:64mb", median(ours), median(by_hand));
    Ok(())
}
