//! Workers as futures: `worker.await`.
//!
//! Only the wait for the result is asynchronous. `spawn` and `run` block the thread
//! until the worker exists. That usually takes well below 1 ms, and at most the
//! [`start_timeout`](crate::Process::start_timeout), 10 s by default. You can call them
//! directly in an async function, or in `spawn_blocking` if no other task may wait for
//! that long.
//!
//! Nothing limits how many workers run at once. In a server, take a permit of a
//! `tokio::sync::Semaphore` before you spawn, and keep it until you have the result. For
//! a time limit, wrap the worker in `tokio::time::timeout` and set
//! [`kill_on_drop`](crate::Worker::kill_on_drop): otherwise the worker goes on after the
//! limit, although nobody waits for it.

use std::{
    fmt,
    future::{Future, IntoFuture},
    os::fd::AsFd,
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::{
    client::{Watch, Worker},
    error::Result,
    sys::poll::Deadline,
};

/// Waits for a worker's result; see [`Worker::join`].
///
/// Dropping it drops the worker's handle: the worker goes on, unless its handle [kills
/// it on drop](Worker::kill_on_drop).
///
/// # Examples
///
/// ```
/// #[zygote::entry]
/// fn add(a: u32, b: u32) -> u32 {
///     a + b
/// }
///
/// #[tokio::main]
/// async fn main() -> zygote::Result<()> {
///     let workers = [add::spawn(1, 2)?, add::spawn(3, 4)?];
///     let mut sum = 0;
///     for worker in workers {
///         sum += worker.await?;
///     }
///     assert_eq!(sum, 10);
///     Ok(())
/// }
/// ```
#[must_use = "a future does nothing until it is awaited"]
pub struct Join<R> {
    worker: Worker<R>,
    watch: Watch,
}

impl<R> IntoFuture for Worker<R> {
    type Output = Result<R>;
    type IntoFuture = Join<R>;

    /// Gives a future that must be awaited inside a tokio runtime with I/O enabled.
    fn into_future(mut self) -> Join<R> {
        drop(self.take_stdin());
        Join {
            worker: self,
            watch: Watch::default(),
        }
    }
}

impl<R> Join<R> {
    /// Gives the worker that is waited for, for example to signal or kill it in another
    /// branch of `select!`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{future::IntoFuture, time::Duration};
    ///
    /// #[zygote::entry]
    /// fn sleep() {
    ///     std::thread::sleep(Duration::from_secs(3600));
    /// }
    ///
    /// #[tokio::main(flavor = "current_thread")]
    /// async fn main() -> zygote::Result<()> {
    ///     let mut join = sleep::spawn()?.into_future();
    ///     tokio::select! {
    ///         outcome = &mut join => outcome?,
    ///         () = tokio::time::sleep(Duration::from_millis(5)) => join.worker().kill()?,
    ///     }
    ///     assert!(join.await.unwrap_err().is_signal());
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn worker(&self) -> &Worker<R> {
        &self.worker
    }
}

impl<R> Future for Join<R> {
    type Output = Result<R>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R>> {
        // Both are registered before the first look, so that nothing is missed.
        loop {
            let Self { worker, watch } = &mut *self;
            let readiness = watch.poll([worker.socket(), worker.as_fd()], context);
            match worker.outcome(Deadline::NOW) {
                Ok(None) => ready!(readiness)?,
                Ok(Some(result)) => return Poll::Ready(Ok(result)),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

// The worker's parts stay where they are in memory.
impl<R> Unpin for Join<R> {}

impl<R> fmt::Debug for Join<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Join").field(&self.worker).finish()
    }
}
