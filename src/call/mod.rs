//! Calls: tasks that a live worker runs, and what an entry can ask about its own.

mod asked;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

pub(crate) use self::asked::Asked;
use crate::{
    error::{Error, Result},
    parcel::Decoder,
    server::calls,
    sys::poll::Deadline,
    task::Task,
};

/// Tells an entry whether its caller has [cancelled](Call::cancel) the call that this
/// process runs. Any thread may ask, as often as it likes: it costs two loads.
///
/// # Examples
///
/// ```
/// use zygote::Process;
///
/// #[zygote::entry]
/// fn count() -> u64 {
///     let mut steps = 1;
///     while !zygote::call::is_cancelled() {
///         std::thread::yield_now();
///         steps += 1;
///     }
///     steps
/// }
///
/// let service = Process::new()?.serve()?;
/// let call = service.call(count::task());
/// while call.pid().is_none() {
///     std::thread::yield_now();
/// }
/// assert!(!call.cancel(), "it has begun, and was told");
/// assert!(call.join()? > 0);
/// # Ok::<(), zygote::Error>(())
/// ```
#[must_use]
pub fn is_cancelled() -> bool {
    calls::is_cancelled()
}

/// One run of a task on a live worker; [`Service::call`](crate::Service::call) makes it.
///
/// Each call has exactly one outcome. When its worker ends, the call that ran fails with
/// how the worker ended, and so do those that had not begun; their errors [are
/// unstarted](Error::is_unstarted).
///
/// A call that is dropped before it began does not begin; one that has begun goes on.
/// [`detach`](Self::detach) lets it run in any case.
///
/// It is also a future, with the feature `tokio` and inside of a tokio runtime that has
/// I/O enabled. Elsewhere awaiting it is an error; use [`join`](Self::join) there.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use zygote::Process;
///
/// #[zygote::entry]
/// fn half(n: u32) -> Option<u32> {
///     n.is_multiple_of(2).then_some(n / 2)
/// }
///
/// let service = Process::new()?.serve()?;
/// let calls = [4, 5].map(|n| service.call(half::task(n)));
/// let results = calls.map(|mut call| call.join_timeout(Duration::from_secs(60)));
/// assert_eq!(results.map(Result::unwrap), [Some(Some(2)), Some(None)]);
/// # Ok::<(), zygote::Error>(())
/// ```
#[must_use = "a call that is dropped before it began is not run; `detach` it"]
pub struct Call<R> {
    asked: Box<dyn Asked>,
    entry: &'static str,
    decode: fn(&mut Decoder) -> Result<R>,
    /// Whether the outcome was given out, or nobody asks for it.
    is_over: bool,
    kills_on_drop: bool,
}

impl<R> Call<R> {
    /// Makes the handle of a call at the one who has it.
    pub(crate) fn new<K>(task: &Task<R, K>, asked: impl Asked + 'static) -> Self {
        Self {
            asked: Box::new(asked),
            entry: task.entry(),
            decode: task.decode(),
            is_over: false,
            kills_on_drop: false,
        }
    }

    /// Waits for the outcome.
    ///
    /// # Errors
    ///
    /// The entry panicked; the worker ended before it had answered; the arguments or the
    /// result could not be encoded or decoded, or the result is longer than the
    /// [limit](crate::Process::result_limit); or the call was cancelled or killed
    /// ([`is_cancelled`](Error::is_cancelled)).
    pub fn join(mut self) -> Result<R> {
        match self.outcome(Deadline::NEVER)? {
            Some(result) => Ok(result),
            None => unreachable!("a wait without a deadline ends with an outcome"),
        }
    }

    /// Waits as [`join`](Self::join) does, but only this long; gives `None` if there is
    /// no outcome by then. You may call it again.
    ///
    /// # Errors
    ///
    /// Fails as `join` does, and after the outcome was given out.
    pub fn join_timeout(&mut self, timeout: Duration) -> Result<Option<R>> {
        self.outcome(Deadline::after(timeout))
    }

    /// Tells whether the outcome is known. Then [`join`](Self::join) does not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_over || self.asked.is_finished()
    }

    /// Gives the id of the process that runs it, or `None` if it has not begun.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.asked.pid()
    }

    /// Takes the call back. One that has not begun never begins, and its outcome is an
    /// error ([`is_cancelled`](Error::is_cancelled)): then this gives true. One that has
    /// begun is told, see [`is_cancelled`], and goes on until it looks: then this gives
    /// false.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use zygote::Process;
    ///
    /// #[zygote::entry]
    /// fn nap(ms: u64) {
    ///     std::thread::sleep(Duration::from_millis(ms));
    /// }
    ///
    /// let service = Process::new()?.serve()?;
    /// let [first, second] = [300, 0].map(|ms| service.call(nap::task(ms)));
    /// assert!(second.cancel());
    /// let error = second.join().unwrap_err();
    /// assert!(error.is_cancelled() && error.is_unstarted());
    /// first.join()?;
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn cancel(&self) -> bool {
        let is_withdrawn = !self.is_over && self.asked.withdraw();
        if !is_withdrawn {
            self.asked.cancel();
        }
        is_withdrawn
    }

    /// [Cancels](Self::cancel) the call. If it runs, its worker is killed, with what the
    /// worker has started as far as settings hold that together
    /// ([`Worker::kill_tree`](crate::Worker::kill_tree)). Later calls on the same service
    /// fail then; they [are unstarted](Error::is_unstarted).
    ///
    /// # Errors
    ///
    /// The kernel refuses, for example because the worker has changed its user; or the
    /// handle is from before a fork.
    ///
    /// # Examples
    ///
    /// ```
    /// use zygote::Process;
    ///
    /// #[zygote::entry]
    /// fn hang() {
    ///     std::thread::sleep(std::time::Duration::from_secs(3600));
    /// }
    ///
    /// let service = Process::new()?.serve()?;
    /// let call = service.call(hang::task());
    /// call.kill()?;
    /// assert!(call.join().unwrap_err().is_cancelled());
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn kill(&self) -> Result<()> {
        if self.is_finished() || self.cancel() {
            return self.asked.check();
        }
        self.asked.kill()
    }

    /// Says whether dropping the handle [kills](Self::kill) the call even if it has
    /// begun. By default it goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use zygote::Process;
    ///
    /// #[zygote::entry]
    /// fn hang() {
    ///     std::thread::sleep(Duration::from_secs(3600));
    /// }
    ///
    /// let service = Process::new()?.serve()?;
    /// let call = service.call(hang::task()).kill_on_drop(true);
    /// while call.pid().is_none() {
    ///     std::thread::yield_now();
    /// }
    /// drop(call);
    /// let exit = service.stop(Duration::from_secs(60))?;
    /// assert!(!exit.success());
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn kill_on_drop(mut self, kills: bool) -> Self {
        self.kills_on_drop = kills;
        self
    }

    /// Lets the call run without a handle. Its outcome is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{sync::atomic::{AtomicU32, Ordering::Relaxed}, time::Duration};
    /// use zygote::Process;
    ///
    /// static CALLS: AtomicU32 = AtomicU32::new(0);
    ///
    /// #[zygote::entry]
    /// fn count() -> u32 {
    ///     CALLS.fetch_add(1, Relaxed) + 1
    /// }
    ///
    /// let service = Process::new()?.serve()?;
    /// service.call(count::task()).detach();
    /// assert_eq!(service.call(count::task()).join()?, 2);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn detach(mut self) {
        self.end();
    }

    fn outcome(&mut self, deadline: Deadline) -> Result<Option<R>> {
        self.check_open()?;
        let reply = self.asked.outcome(deadline);
        reply.transpose().map(|reply| self.take(reply)).transpose()
    }

    fn check_open(&self) -> Result<()> {
        match self.is_over {
            true => Err(Error::invalid("the call's outcome was given out already")),
            false => Ok(()),
        }
    }

    /// Decodes the outcome, of which there is one.
    fn take(&mut self, reply: Result<Decoder>) -> Result<R> {
        let pid = self.pid();
        self.end();
        let result = reply.and_then(|mut reply| (self.decode)(&mut reply));
        result.map_err(|error| {
            let error = error.with_entry(self.entry);
            match error.pid().or(pid) {
                Some(pid) => error.with_pid(pid),
                None => error,
            }
        })
    }

    /// Notes that nobody asks for the outcome any more.
    fn end(&mut self) {
        self.is_over = true;
        self.asked.forget();
    }
}

impl<R> Drop for Call<R> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if self.kills_on_drop {
            // Nobody is left who could be told.
            let _ = self.kill();
        } else {
            self.asked.withdraw();
        }
        self.end();
    }
}

impl<R> Future for Call<R> {
    type Output = Result<R>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R>> {
        self.check_open()?;
        let entry = self.entry;
        let reply = self.asked.poll(context);
        let reply = reply.map_err(|error| error.with_entry(entry))?;
        reply.map(|reply| self.take(reply))
    }
}

impl<R> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("entry", &self.entry)
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}
