//! What the program does about workers: it has a pool of them, which ends those that
//! take too long or too much.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use image::RgbImage;
use zygote::{Error, Pool, Process, Stdio};

use crate::decode::{Decoded, Fault, SIDE, thumbnail};

/// How often memory is looked at.
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
    /// Makes a pool in which each picture has a process of its own.
    fn pool(&self) -> zygote::Result<Pool> {
        Pool::builder(self.process()?)
            .workers(0..=self.workers)
            .calls(1)
            .time_limit(self.time)
            .build()
    }

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

    /// Says why there is no thumbnail.
    fn reason(&self, error: &Error) -> String {
        if error.is_timeout() {
            return format!("took more than {} s", self.time.as_secs());
        }
        let ended = error.exit().map(|exit| format!("the decoder {exit}"));
        ended.unwrap_or_else(|| error.to_string())
    }
}

/// A thumbnail that has the size it claims.
pub(crate) struct Thumbnail {
    pub(crate) original: (u32, u32),
    pub(crate) pixels: RgbImage,
}

/// Decodes all pictures and says of each what came of it: a thumbnail, or the
/// reason why there is none.
pub(crate) fn run(
    pictures: &[PathBuf],
    faults: &BTreeMap<usize, Fault>,
    limits: &Limits,
    mut done: impl FnMut(usize, Result<Thumbnail, String>),
) -> zygote::Result<()> {
    let pool = limits.pool()?;
    let next = Mutex::new(pictures.iter().enumerate());
    let next = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        // Each of them waits for one worker.
        for _ in 0..limits.workers {
            let (next, pool, tell) = (&next, &pool, tell.clone());
            scope.spawn(move || {
                while let Some((index, path)) = next() {
                    let fault = faults.get(&index).copied();
                    // The other end is there until the last of them has ended.
                    let _ = tell.send((index, decode(pool, limits, path, fault)));
                }
            });
        }
        drop(tell);
        for (index, outcome) in told {
            done(index, outcome);
        }
    });
    pool.shutdown(limits.time)
}

/// Has a picture decoded: gives the decoder's own words, or how the worker ended.
fn decode(
    pool: &Pool,
    limits: &Limits,
    path: &Path,
    fault: Option<Fault>,
) -> Result<Thumbnail, String> {
    let picture = File::open(path).map_err(|error| error.to_string())?;
    let mut call = pool.call(thumbnail::task(picture, fault));
    let decoded: Decoded = loop {
        match call.join_timeout(TICK) {
            Ok(Some(decoded)) => break decoded?,
            Ok(None) if call.pid().map_or(0, resident) > limits.memory => {
                drop(call.kill_on_drop(true));
                return Err(format!(
                    "took more than {} MB of memory",
                    limits.memory >> 20
                ));
            }
            Ok(None) => {}
            Err(error) => return Err(limits.reason(&error)),
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

/// The bytes of memory that a process has in use; 0 if it has gone.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| {
        let size = line.strip_prefix("VmRSS:")?.strip_suffix("kB")?;
        size.trim().parse::<u64>().ok()
    });
    kilobytes.map_or(0, |kilobytes| kilobytes << 10)
}
