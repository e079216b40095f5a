//! What the program does about workers: it keeps a few of them busy, and ends
//! those that take too long or too much.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use image::RgbImage;
use zygote::{Process, Stdio, Worker};

use crate::decode::{Decoded, Fault, SIDE, thumbnail};

/// How often time and memory are looked at.
const TICK: Duration = Duration::from_millis(10);

/// What is allowed.
pub(crate) struct Limits {
    /// How many workers there are at a time.
    pub(crate) workers: usize,
    /// How long each may take.
    pub(crate) time: Duration,
    /// How many bytes of memory each may take.
    pub(crate) memory: u64,
    /// Whether it can do no more than decode.
    #[cfg(feature = "confine")]
    pub(crate) confine: bool,
}

impl Limits {
    /// What a picture is decoded in.
    fn process(&self) -> zygote::Result<Process> {
        // What a dying decoder says would tear the progress bar apart.
        let process = Process::new()?.stderr(Stdio::null());
        #[cfg(feature = "confine")]
        if self.confine {
            // Beyond what is looked at here, in case that is too late. Address
            // space is more than what is in use.
            let confine = zygote::settings::Confine::compute().memory(2 * self.memory);
            return Ok(process.confine(confine.cpu_time(self.time)));
        }
        Ok(process)
    }
}

/// A thumbnail that has the size it claims.
pub(crate) struct Thumbnail {
    pub(crate) original: (u32, u32),
    pub(crate) pixels: RgbImage,
}

/// A picture that is being decoded.
struct Job {
    index: usize,
    worker: Worker<Result<Decoded, String>>,
    started: Instant,
    /// Why the worker was killed, if it was.
    killed: Option<String>,
}

/// Decodes all pictures and says of each what came of it: a thumbnail, or the
/// reason why there is none.
///
/// One thread is enough: nothing here takes long but waiting, and that is done
/// for all workers at once.
pub(crate) fn run(
    pictures: &[PathBuf],
    faults: &BTreeMap<usize, Fault>,
    limits: &Limits,
    mut done: impl FnMut(usize, Result<Thumbnail, String>),
) -> zygote::Result<()> {
    let mut waiting = pictures.iter().enumerate();
    let mut running: Vec<Job> = Vec::new();
    let mut next_look = Instant::now() + TICK;
    loop {
        while running.len() < limits.workers {
            let Some((index, path)) = waiting.next() else {
                break;
            };
            match Job::start(index, path, limits, faults.get(&index).copied()) {
                Ok(job) => running.push(job),
                Err(error) => done(index, Err(error.to_string())),
            }
        }
        if running.is_empty() {
            return Ok(());
        }

        let workers = running.iter().map(|job| &job.worker);
        let left = next_look.saturating_duration_since(Instant::now());
        // From behind: what is taken out moves none that is still to be.
        for ready in zygote::wait_any_timeout(workers, left)?.into_iter().rev() {
            let job = running.swap_remove(ready);
            done(job.index, job.outcome());
        }
        if Instant::now() >= next_look {
            for job in &mut running {
                job.check(limits)?;
            }
            next_look = Instant::now() + TICK;
        }
    }
}

impl Job {
    fn start(
        index: usize,
        path: &Path,
        limits: &Limits,
        fault: Option<Fault>,
    ) -> zygote::Result<Self> {
        let task = thumbnail::task(File::open(path)?, fault);
        Ok(Self {
            index,
            worker: limits.process()?.run(task)?,
            started: Instant::now(),
            killed: None,
        })
    }

    /// Kills the worker if it has gone beyond what is allowed.
    fn check(&mut self, limits: &Limits) -> zygote::Result<()> {
        let reason = if self.killed.is_some() {
            return Ok(());
        } else if self.started.elapsed() > limits.time {
            format!("took more than {} s", limits.time.as_secs())
        } else if resident(self.worker.id()) > limits.memory {
            format!("took more than {} MB of memory", limits.memory >> 20)
        } else {
            return Ok(());
        };
        self.worker.kill()?;
        self.killed = Some(reason);
        Ok(())
    }

    /// What came of it: the decoder's own words, or how the worker ended.
    fn outcome(self) -> Result<Thumbnail, String> {
        let decoded = match self.worker.join() {
            Ok(decoded) => decoded?,
            Err(error) => {
                let ended = || error.exit().map(|exit| format!("the decoder {exit}"));
                let reason = self.killed.or_else(ended);
                return Err(reason.unwrap_or_else(|| error.to_string()));
            }
        };
        let (width, height) = decoded.size;
        let pixels = RgbImage::from_raw(width, height, decoded.rgb)
            .filter(|pixels| pixels.width().max(pixels.height()) <= SIDE)
            .ok_or("the worker sent something else than a thumbnail")?;
        Ok(Thumbnail {
            original: decoded.original,
            pixels,
        })
    }
}

/// The bytes of memory that a process has in use; 0 if it has gone.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| {
        let size = line.strip_prefix("VmRSS:")?.strip_suffix("kB")?;
        size.trim().parse::<u64>().ok()
    });
    kilobytes.map_or(0, |kilobytes| kilobytes << 10)
}
