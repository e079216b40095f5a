//! What a way to make a process is, and how each is measured.

use std::{
    any::Any,
    collections::VecDeque,
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::{
    ballast::Ballast,
    figures::{median, micros, share},
};

/// One way to make a process.
pub trait Way: Debug {
    /// What there is of one until its exit has been seen.
    type Made;

    /// Begins one, which is to give back this value.
    ///
    /// # Errors
    ///
    /// There is no process.
    fn start(&self, value: u64) -> Result<Self::Made>;

    /// Waits for the value.
    ///
    /// # Errors
    ///
    /// It does not come.
    fn result(&self, made: &mut Self::Made) -> Result<u64>;

    /// Returns when the process has ended and is reaped.
    ///
    /// # Errors
    ///
    /// It ended badly.
    fn exit(&self, made: Self::Made) -> Result<()>;
}

/// Times in µs, from the call on: one after the other.
#[derive(Clone, Debug, Default)]
pub struct Alone {
    /// Until the value is back.
    pub results: Vec<f64>,
    /// Until the exit has been seen.
    pub exits: Vec<f64>,
}

/// What can be measured: a [`Way`], or somebody else who measures itself.
pub trait Measured {
    /// Has the process that makes the others touch memory, until the result is
    /// dropped.
    ///
    /// # Errors
    ///
    /// There is not as much.
    fn touch(&self, megabytes: usize) -> Result<Box<dyn Any>> {
        Ok(Box::new(Ballast::touch(megabytes)?))
    }

    /// Gives that process idle threads, until it ends; says whether it has them.
    ///
    /// # Errors
    ///
    /// They cannot be started.
    fn idle_threads(&self, many: usize) -> Result<bool> {
        for _ in 0..many {
            thread::Builder::new().spawn(|| {
                loop {
                    thread::park();
                }
            })?;
        }
        Ok(true)
    }

    /// One after the other, for so long.
    ///
    /// # Errors
    ///
    /// Those of the way.
    fn alone(&self, length: Duration) -> Result<Alone>;

    /// So many at the same time, for so long: processes a second.
    ///
    /// # Errors
    ///
    /// Those of the way.
    fn in_flight(&self, many: usize, length: Duration) -> Result<f64>;
}

/// The fewest processes of one figure.
const FEWEST: usize = 4;

/// Processes of which the mean time is one figure: other business of the
/// machine stays out of the median of such.
const BATCH: usize = 16;

impl<W: Way> Measured for W {
    fn alone(&self, length: Duration) -> Result<Alone> {
        let mut alone = Alone::default();
        let begin = Instant::now();
        for value in 0.. {
            let start = Instant::now();
            let mut made = self.start(value)?;
            ensure!(self.result(&mut made)? == value, "{self:?}: another value");
            alone.results.push(micros(start.elapsed()));
            self.exit(made)?;
            alone.exits.push(micros(start.elapsed()));
            if alone.exits.len() >= FEWEST && begin.elapsed() >= length {
                break;
            }
        }
        Ok(alone)
    }

    /// One thread, which always has so many that it has not seen the end of.
    fn in_flight(&self, many: usize, length: Duration) -> Result<f64> {
        let mut window = VecDeque::new();
        let end = |(value, mut made): (u64, W::Made)| {
            ensure!(self.result(&mut made)? == value, "{self:?}: another value");
            self.exit(made)
        };
        let mut times = Vec::new();
        let mut next = |times: Option<&mut Vec<f64>>| {
            let start = Instant::now();
            for value in 0..BATCH as u64 {
                if window.len() == many {
                    window.pop_front().map_or(Ok(()), end)?;
                }
                window.push_back((value, self.start(value)?));
            }
            if let Some(times) = times {
                times.push(micros(start.elapsed()) / share(BATCH));
            }
            anyhow::Ok(())
        };
        // The first had nothing to wait for, or a stock to use up.
        for _ in 0..2 * many.div_ceil(BATCH) {
            next(None)?;
        }
        let begin = Instant::now();
        while times.is_empty() || begin.elapsed() < length {
            next(Some(&mut times))?;
        }
        window.into_iter().try_for_each(end)?;
        Ok(1e6 / median(times))
    }
}

/// A way that is one call, which returns when all is over. Several at the same
/// time are several threads.
#[derive(Debug)]
pub struct Blocking(pub fn(u64) -> Result<u64>);

impl Measured for Blocking {
    fn alone(&self, length: Duration) -> Result<Alone> {
        let mut times = Vec::new();
        let begin = Instant::now();
        while times.len() < FEWEST || begin.elapsed() < length {
            let start = Instant::now();
            ensure!((self.0)(7)? == 7, "another value");
            times.push(micros(start.elapsed()));
        }
        Ok(Alone {
            results: times.clone(),
            exits: times,
        })
    }

    fn in_flight(&self, many: usize, length: Duration) -> Result<f64> {
        let begin = Instant::now();
        let counts = thread::scope(|scope| {
            let threads: Vec<_> = (0..many)
                .map(|_| scope.spawn(|| self.alone(length).map(|alone| alone.exits.len())))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a panic"))?)
                .sum::<Result<usize>>()
        })?;
        Ok(share(counts) / begin.elapsed().as_secs_f64())
    }
}

/// Not a process: a thread that is started and joined.
#[derive(Debug)]
pub struct Thread;

impl Way for Thread {
    type Made = Option<thread::JoinHandle<u64>>;

    fn start(&self, value: u64) -> Result<Self::Made> {
        Ok(Some(thread::spawn(move || value)))
    }

    fn result(&self, made: &mut Self::Made) -> Result<u64> {
        let thread = made.take().ok_or_else(|| anyhow::anyhow!("joined"))?;
        thread.join().map_err(|_| anyhow::anyhow!("a panic"))
    }

    fn exit(&self, _: Self::Made) -> Result<()> {
        Ok(())
    }
}
