//! What the kernel can do at best: a process that has touched nothing forks,
//! the copy leaves at once, and is waited for.
#![allow(unsafe_code, reason = "fork")]

use std::{
    convert::Infallible,
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::Result;
use nix::{
    sys::wait::waitpid,
    unistd::{ForkResult, Pid, fork},
};

use crate::{
    figures::micros,
    forked::{fork_with, get, leave, put},
    way::{Alone, Measured},
};

/// The tiny process. It measures itself: there is nobody between it and the
/// kernel.
#[derive(Debug)]
pub struct Tiny(OwnedFd);

/// One message's worth of times.
const BATCH: usize = 64;

impl Tiny {
    /// Forks it. Called before any thread exists and any memory is touched.
    ///
    /// # Errors
    ///
    /// It cannot be forked.
    pub fn start() -> io::Result<Self> {
        fork_with(serve).map(Self)
    }

    /// The times of [`BATCH`] processes, in µs, with so many at the same time.
    fn batch(&self, many: usize) -> io::Result<Vec<f64>> {
        put(&self.0, &many.to_ne_bytes())?;
        let mut times = [0; BATCH * 8];
        let length = get(&self.0, &mut times)?;
        Ok(times[..length]
            .as_chunks()
            .0
            .iter()
            .map(|time| f64::from_ne_bytes(*time))
            .collect())
    }
}

impl Measured for Tiny {
    fn alone(&self, length: Duration) -> Result<Alone> {
        let mut exits = Vec::new();
        let begin = Instant::now();
        while exits.is_empty() || begin.elapsed() < length {
            exits.extend(self.batch(1)?);
        }
        Ok(Alone {
            results: exits.clone(),
            exits,
        })
    }

    fn in_flight(&self, many: usize, length: Duration) -> Result<f64> {
        let mut times = Vec::new();
        let begin = Instant::now();
        while times.is_empty() || begin.elapsed() < length {
            times.extend(self.batch(many)?);
        }
        Ok(1e6 / crate::figures::median(times))
    }
}

fn serve(socket: &OwnedFd) -> io::Result<Infallible> {
    let mut request = [0; 8];
    loop {
        get(socket, &mut request)?;
        let many = usize::from_ne_bytes(request);
        let mut answer = Vec::with_capacity(BATCH * 8);
        while answer.len() < BATCH * 8 {
            let start = Instant::now();
            let mut children = [None; BATCH];
            for child in children.iter_mut().take(many) {
                *child = Some(child_that_leaves()?);
            }
            for child in children.into_iter().flatten() {
                waitpid(child, None)?;
            }
            let each = micros(start.elapsed()) / crate::figures::share(many);
            answer.extend(each.to_ne_bytes());
        }
        put(socket, &answer)?;
    }
}

fn child_that_leaves() -> io::Result<Pid> {
    // SAFETY: the process has one thread; its copy makes one system call.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => leave(0),
    }
}
