//! What spawning does to the program's other threads: one of them writes its
//! memory, 1 MiB at a time, while another makes processes.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use peers::{
    ballast::Ballast,
    figures::{percentile, timed},
    goals::Found,
    program::Fork,
    way::Way,
};

use crate::ways::Template;

/// MB that the thread writes, round and round.
const MEMORY: usize = 256;

/// Pages written at a time.
const PAGES: usize = 256;

/// From one process to the next.
const APART: Duration = Duration::from_millis(5);

pub(crate) fn measure(found: &mut Found, length: Duration) -> Result<()> {
    let length = 5 * length;
    let without = stall(length, || Ok(()))?;
    let ours = Template::without_stock()?;
    let spawning = stall(length, || one(&ours))?;
    let forking = stall(length, || one(&Fork))?;
    found.ratio("stall:ours", spawning, without);
    found.ratio("stall:fork", forking, without);
    Ok(())
}

fn one(way: &impl Way) -> Result<()> {
    let mut made = way.start(7)?;
    way.result(&mut made)?;
    way.exit(made)
}

/// The 99th percentile of the time of one write, in µs.
fn stall(length: Duration, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let memory = Ballast::touch(MEMORY)?;
            let mut times = Vec::new();
            while times.len() < 100 || !done.load(Ordering::Relaxed) {
                let first = times.len() * PAGES;
                times.push(timed(|| {
                    memory.write(first, PAGES);
                    Ok(())
                })?);
            }
            anyhow::Ok(percentile(&mut times, 99))
        });
        let begin = Instant::now();
        let worked = loop {
            let next = Instant::now() + APART;
            let worked = work();
            if worked.is_err() || begin.elapsed() >= length {
                break worked;
            }
            thread::sleep(next.saturating_duration_since(Instant::now()));
        };
        done.store(true, Ordering::Relaxed);
        let stall = writer.join().map_err(|_| anyhow!("the writer panicked"))?;
        worked.and(stall)
    })
}
