//! Preloads whose memory goes into huge pages.

use std::fs;

use zygote::{Process, Result};

use crate::util::{missing, watchdog};

const MIB: usize = 1 << 20;

/// Numbers that fill so many MiB.
#[zygote::preload]
fn numbers(mib: usize) -> Vec<u64> {
    (0..(mib * MIB / 8) as u64).collect()
}

#[zygote::preload]
fn doubled(numbers: &mut Vec<u64>) {
    numbers.iter_mut().for_each(|number| *number *= 2);
}

/// Whether each number is so many times its place.
#[zygote::entry]
fn are_times(numbers: &Vec<u64>, factor: u64) -> bool {
    let mut all = (0..).zip(numbers);
    all.all(|(at, number): (u64, _)| *number == factor * at)
}

#[zygote::entry]
fn overwritten(numbers: &mut Vec<u64>) -> u64 {
    numbers.fill(1);
    numbers.iter().sum()
}

/// How many MiB of a process are in huge pages.
fn huge(process: u32) -> usize {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("AnonHugePages:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() >> 10
}

fn there_are_none() -> bool {
    let size = fs::metadata("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
    missing("huge pages", size.is_ok())
}

#[test]
fn what_a_preload_leaves_is_in_huge_pages_if_asked_for() -> Result<()> {
    let _watchdog = watchdog(20);
    if there_are_none() {
        return Ok(());
    }
    let process = Process::new()?.huge_pages().preload(numbers::task(64))?;
    let moved = huge(process.id()?);
    assert!((32..=80).contains(&moved), "{moved} MiB");
    assert!(are_times::spawn(&process, 1)?.join()?);
    let process = process.preload(doubled::task())?;
    assert!(are_times::spawn(&process, 2)?.join()?);
    Ok(())
}

#[test]
fn a_fork_that_writes_changes_nothing_for_others() -> Result<()> {
    let _watchdog = watchdog(20);
    let process = Process::new()?.huge_pages().preload(numbers::task(8))?;
    assert_eq!(overwritten::spawn(&process)?.join()?, MIB as u64);
    assert!(are_times::spawn(&process, 1)?.join()?);
    Ok(())
}

#[test]
fn a_fork_of_the_handle_asks_for_them_too() -> Result<()> {
    let _watchdog = watchdog(20);
    if there_are_none() {
        return Ok(());
    }
    let process = Process::new()?
        .huge_pages()
        .fork()?
        .preload(numbers::task(16))?;
    let moved = huge(process.id()?);
    assert!(moved >= 8, "{moved} MiB");
    Ok(())
}

#[test]
fn small_memory_stays_as_it_is() -> Result<()> {
    let _watchdog = watchdog(20);
    let process = Process::new()?.huge_pages().preload(numbers::task(0))?;
    assert_eq!(huge(process.id()?), 0);
    assert!(are_times::spawn(&process, 1)?.join()?);
    Ok(())
}
