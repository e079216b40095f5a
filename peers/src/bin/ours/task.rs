//! A task for a process that waits in stock, next to a thread and to a message
//! for a process that lives anyway. All are 1 ms apart: the stock is full, and
//! each finds its CPU as cold as the others.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use peers::{
    figures::{Spread, median, timed},
    forked::{get, put},
    goals::Found,
};

use crate::{Baselines, ways::number};

/// Between one and the next.
const APART: Duration = Duration::from_millis(1);

pub(crate) fn measure(found: &mut Found, baselines: &Baselines, length: Duration) -> Result<()> {
    let mut times = [(); 3].map(|()| Vec::new());
    number::spawn(0)?.join()?;
    let begin = Instant::now();
    while times[0].len() < 3 || begin.elapsed() < 10 * length {
        thread::sleep(APART);
        let mut worker = None;
        times[0].push(timed(|| {
            let mut spawned = number::spawn(7)?;
            ensure!(spawned.join_timeout(Duration::MAX)? == Some(7));
            worker = Some(spawned);
            Ok(())
        })?);
        // The worker's end is not part of it, nor of what comes next.
        if let Some(worker) = worker {
            worker.wait()?;
        }
        thread::sleep(APART);
        times[1].push(timed(|| {
            let thread = thread::spawn(|| number(7));
            ensure!(thread.join().is_ok_and(|value| value == 7));
            Ok(())
        })?);
        thread::sleep(APART);
        times[2].push(timed(|| {
            put(&baselines.trip, &7_u64.to_ne_bytes())?;
            let mut answer = [0; 8];
            ensure!(get(&baselines.trip, &mut answer)? == 8);
            ensure!(u64::from_ne_bytes(answer) == 7);
            Ok(())
        })?);
    }
    let [ours, thread, trip] = times.clone().map(median);
    found.ratio("stock:thread", ours, thread);
    found.ratio("stock:trip", ours, trip);
    for (name, times) in ["this crate, from stock", "thread", "round trip"]
        .iter()
        .zip(times)
    {
        found
            .spreads
            .insert(format!("task: {name}"), Spread::of(times));
    }
    Ok(())
}
