//! What the workers of a pool are forks of.

use std::{fmt, time::Duration};

use crate::{
    client::{Manner, Process, Starting},
    error::{Error, Result},
};

type Make<S> = Box<dyn Fn() -> Result<Process<S>> + Send>;

/// What the workers of a pool are forks of: a [`Process`], or a closure that makes one.
///
/// A pool that has the closure outlives its process: when that is gone, the closure
/// makes another one. The closure runs in your program, first where you build the pool,
/// and later on the pool's thread `zygote-start`.
///
/// # Examples
///
/// ```
/// use zygote::{Pool, Process};
///
/// #[zygote::preload]
/// fn numbers(count: u32) -> Vec<u32> {
///     (0..count).collect()
/// }
///
/// #[zygote::entry]
/// fn sum(numbers: &Vec<u32>) -> u32 {
///     numbers.iter().sum()
/// }
///
/// let pool = Pool::builder(|| Process::new()?.preload(numbers::task(5))).build()?;
/// assert_eq!(pool.call(sum::task()).join()?, 10);
///
/// let process = Process::new()?.preload(numbers::task(3))?;
/// let pool = Pool::builder(process).build()?;
/// assert_eq!(pool.call(sum::task()).join()?, 3);
/// # Ok::<(), zygote::Error>(())
/// ```
pub struct Template<S> {
    process: Option<Process<S>>,
    make: Option<Make<S>>,
    /// How long the start of a worker may take, unless the process says so.
    boot: Option<Duration>,
}

impl<S> Template<S> {
    pub(super) fn boot(&mut self, time: Duration) {
        self.boot = Some(time);
    }

    fn begin(&self, mut fork: Process<S>, manner: Manner) -> Result<Starting> {
        if let Some(time) = self.boot {
            fork = fork.start_timeout(time);
        }
        fork.begin_to_serve(manner)
    }
}

impl<S> From<Process<S>> for Template<S> {
    fn from(process: Process<S>) -> Self {
        Self {
            process: Some(process),
            make: None,
            boot: None,
        }
    }
}

impl<S, F> From<F> for Template<S>
where
    F: Fn() -> Result<Process<S>> + Send + 'static,
{
    fn from(make: F) -> Self {
        Self {
            process: None,
            make: Some(Box::new(make)),
            boot: None,
        }
    }
}

impl<S> fmt::Debug for Template<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("process", &self.process)
            .field("makes_others", &self.make.is_some())
            .finish()
    }
}

/// Something whose forks are workers, whatever value they hold.
pub(super) trait Forks: Send + fmt::Debug {
    /// Makes the process if there is none.
    fn prepare(&mut self) -> Result<()>;

    /// Tells a fork of it to take calls. Does not wait for the fork.
    fn fork(&mut self, manner: Manner) -> Result<Starting>;

    /// Does the same with a fork that is there already; `None` if there is none. Does not
    /// wait.
    fn spare(&self, manner: Manner) -> Option<Result<Starting>>;

    /// Notes that the process is gone. Tells whether there can be another one.
    fn gone(&mut self) -> bool;
}

impl<S: 'static> Forks for Template<S> {
    fn prepare(&mut self) -> Result<()> {
        if self.process.is_none() {
            let make = self.make.as_ref().ok_or_else(gone)?;
            let process = make()?;
            // It waits until the process exists.
            process.id()?;
            self.process = Some(process);
        }
        Ok(())
    }

    fn fork(&mut self, manner: Manner) -> Result<Starting> {
        self.prepare()?;
        let process = self.process.as_ref().ok_or_else(gone)?;
        self.begin(process.fork()?, manner)
    }

    fn spare(&self, manner: Manner) -> Option<Result<Starting>> {
        let spare = self.process.as_ref()?.spare()?;
        Some(self.begin(spare, manner))
    }

    fn gone(&mut self) -> bool {
        self.process = None;
        self.make.is_some()
    }
}

/// Says that the process is gone and there cannot be another one, and what to do.
pub(super) fn gone() -> Error {
    Error::template_gone(
        "the process of which the pool's workers are forks is gone: give `Pool::builder` a \
         closure that makes it, so that it can be made again, or `reload` the pool",
    )
}
