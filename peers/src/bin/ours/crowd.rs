//! Spawning beside thousands of workers that live.

use std::{
    fs::File,
    io::{self, Read},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use peers::{goals::Found, way::Measured};
use zygote::Worker;

use crate::{exit, ways::Template};

/// Workers of the crowd.
const CROWD: usize = 5_000;

const IN_FLIGHT: usize = 16;

/// Lives until the other end is closed.
#[zygote::entry]
pub(crate) fn idle(mut end: File) -> io::Result<usize> {
    end.read(&mut [0])
}

pub(crate) fn measure(found: &mut Found, length: Duration) -> Result<()> {
    let crowd = if length.is_zero() { 20 } else { CROWD };
    // A socket and a pidfd for each.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    ensure!(
        most > 2 * crowd as u64 + 100,
        "{most} descriptors are not enough for {crowd} workers"
    );

    let ours = Template::without_stock()?;
    exit(&ours, Duration::ZERO)?;
    let before = [exit(&ours, length)?, ours.in_flight(IN_FLIGHT, length)?];
    let (workers, end) = idle_workers(&ours, crowd)?;
    exit(&ours, Duration::ZERO)?;
    let beside = [exit(&ours, length)?, ours.in_flight(IN_FLIGHT, length)?];
    dismiss(workers, end)?;
    found.ratio("crowd:alone", beside[0], before[0]);
    // Of times: processes a second turned over.
    found.ratio("crowd:flight", 1e6 / beside[1], 1e6 / before[1]);
    Ok(())
}

/// So many, and what they wait for the end of.
pub(crate) fn idle_workers(
    template: &Template,
    many: usize,
) -> Result<(Vec<Worker<io::Result<usize>>>, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    let workers = (0..many)
        .map(|_| {
            let end = File::from(std::os::fd::OwnedFd::from(reader.try_clone()?));
            Ok(template.0.fork()?.run(idle::task(end))?)
        })
        .collect::<Result<_>>()
        .with_context(|| format!("making {many} workers"))?;
    Ok((workers, writer))
}

/// Ends them, and waits for all.
pub(crate) fn dismiss(workers: Vec<Worker<io::Result<usize>>>, end: io::PipeWriter) -> Result<()> {
    drop(end);
    for worker in workers {
        worker.join()??;
    }
    Ok(())
}
