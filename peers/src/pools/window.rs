//! Calls in flight, and how many of them end in a second.

use std::{
    collections::VecDeque,
    io::{self, BufRead, Write},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::time::{ClockId, clock_gettime};

use super::load::{BYTES, Load, WORK};

/// What a call is given and gives back. Each carries a number, so that no other
/// call's is taken for it.
pub trait Value {
    /// A new one.
    fn first(number: u64) -> Self;

    /// One that came back, made into the next.
    #[must_use]
    fn next(self, number: u64) -> Self;

    /// Tells whether it is whole, and that number's.
    fn is(&self, number: u64) -> bool;
}

impl Value for u64 {
    fn first(number: u64) -> Self {
        number
    }

    fn next(self, number: u64) -> Self {
        number
    }

    fn is(&self, number: u64) -> bool {
        *self == number
    }
}

impl Value for Vec<u8> {
    fn first(number: u64) -> Self {
        vec![7; BYTES].next(number)
    }

    fn next(mut self, number: u64) -> Self {
        self[..8].copy_from_slice(&number.to_ne_bytes());
        self
    }

    fn is(&self, number: u64) -> bool {
        self.len() == BYTES && self[..8] == number.to_ne_bytes() && self[BYTES - 1] == 7
    }
}

/// Measures one thread that always has so many calls in flight, and waits for the
/// oldest: calls a second.
///
/// # Errors
///
/// Those of the calls, or one gave back another value.
pub fn flight<V: Value, C>(
    many: usize,
    length: Duration,
    mut call: impl FnMut(V) -> Result<C>,
    mut join: impl FnMut(C) -> Result<V>,
) -> Result<f64> {
    let mut window = VecDeque::with_capacity(many);
    let mut join = |(number, made)| {
        let value = join(made)?;
        ensure!(value.is(number), "another value than {number}");
        anyhow::Ok(value)
    };
    for number in 0..many as u64 {
        window.push_back((number, call(V::first(number))?));
    }
    let mut number = many as u64;
    // Runs until so many are done, and for so long; gives how many were.
    let mut run = |fewest: usize, length: Duration| {
        let (mut done, begin) = (0_u32, Instant::now());
        while (done as usize) < fewest || begin.elapsed() < length {
            let value = join(window.pop_front().context("none in flight")?)?;
            window.push_back((number, call(value.next(number))?));
            number += 1;
            done += 1;
        }
        anyhow::Ok(f64::from(done) / begin.elapsed().as_secs_f64())
    };
    // The first had nothing to wait for, and found everything cold.
    run(2 * many, length / 8)?;
    let rate = run(many, length)?;
    for made in window {
        join(made)?;
    }
    Ok(rate)
}

/// Uses the processor for so long.
///
/// # Errors
///
/// There is no such clock.
pub fn work() -> Result<()> {
    let used = || Ok::<_, nix::Error>(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into());
    let end: Duration = used().map(|used: Duration| used + WORK)?;
    while used()? < end {}
    Ok(())
}

/// Says who this is, then answers requests until there are no more.
///
/// # Errors
///
/// There is no output.
pub fn serve(title: &str, mut measure: impl FnMut(Load, Duration) -> Result<f64>) -> Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{title}")?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (load, seconds) = line.rsplit_once(' ').context("one word")?;
        let length = Duration::from_secs_f64(seconds.parse()?);
        match measure(load.parse()?, length) {
            Ok(rate) => writeln!(out, "{rate}")?,
            Err(error) => writeln!(out, "! {error:#}")?,
        }
    }
    Ok(())
}
