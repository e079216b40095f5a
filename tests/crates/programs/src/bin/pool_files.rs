//! A parallel map over files: lazily, in order, with the descriptors passed.
#![allow(
    dead_code,
    missing_debug_implementations,
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it reports what it found"
)]
use std::{fs::File, io::Read, path::PathBuf};

use zygote::Pool;

zygote::early!();

#[zygote::entry]
fn sum(mut file: File) -> std::io::Result<u64> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes.iter().map(|byte| u64::from(*byte)).sum())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::new(2)?;
    let mut paths: Vec<PathBuf> = std::fs::read_dir("src")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    // Opened as the pool has room: never more than a few descriptors.
    let tasks = paths
        .iter()
        .flat_map(|path| File::open(path).ok())
        .map(sum::task);
    for (path, sum) in paths.iter().zip(pool.map(tasks)) {
        println!("{:>10} {}", sum??, path.display());
    }
    // An endless iterator is no problem.
    let some = (0_u64..).map(|_| sum::task(File::open("/proc/self/status").unwrap()));
    assert_eq!(
        pool.map(some)
            .unordered()
            .take(1000)
            .filter(|it| it.is_ok())
            .count(),
        1000
    );
    Ok(())
}
