//! Services: live workers that answer calls.

mod asked;

use std::{
    fmt,
    marker::PhantomData,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::Arc,
    time::Duration,
};

use self::asked::Given;
use crate::{
    call::Call,
    client::{Live, Manner, Process},
    error::Result,
    exit::Exit,
    settings::Ends,
    sys::poll::Deadline,
    task::{RunsIn, Task},
};

/// One live worker that answers calls and keeps its state.
///
/// It runs calls one after the other, in the order in which they are made. The
/// preloaded value of its process stays from call to call, with what entries that take
/// `&mut S` have made of it. So does everything else of the process: variables, the
/// directory, descriptors, threads.
///
/// It is not replaced when it ends. A crash costs the call that ran; the calls after it
/// had not begun, and their errors [are unstarted](crate::Error::is_unstarted). After a
/// panic it goes on, unless the entry takes `&mut S`: then nobody can say what the value
/// is, and the worker ends.
///
/// It adds no thread to your program: the thread that waits reads. Any number of threads
/// may make calls. Dropping it never waits: the calls that were made are run, and then
/// the worker ends. (More answers than its socket holds wait until you take them, or drop
/// the handles of the calls.) When the program ends, however it ends, so does the worker. In a copy
/// of the program (`fork`) the handle, and those of its calls, are an error at once.
///
/// As a descriptor it is the worker's pidfd: readable once the worker has ended.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
/// use zygote::Process;
///
/// type Counts = BTreeMap<String, u32>;
///
/// #[zygote::preload]
/// fn empty() -> Counts {
///     Counts::new()
/// }
///
/// #[zygote::entry]
/// fn add(counts: &mut Counts, word: String) -> u32 {
///     let count = counts.entry(word).or_default();
///     *count += 1;
///     *count
/// }
///
/// #[zygote::entry]
/// fn words(counts: &Counts) -> usize {
///     counts.len()
/// }
///
/// let service = Process::new()?.preload(empty::task())?.serve()?;
/// for word in ["to", "be", "or", "not", "to"] {
///     service.call(add::task(word.into())).detach();
/// }
/// assert_eq!(service.call(add::task("be".into())).join()?, 2);
/// assert_eq!(service.call(words::task()).join()?, 4);
/// # Ok::<(), zygote::Error>(())
/// ```
#[must_use = "a service that is dropped ends after its calls"]
pub struct Service<S = ()> {
    live: Arc<Live>,
    ends: Ends,
    state: PhantomData<fn() -> S>,
}

impl<S> Process<S> {
    /// Makes this process a live worker that answers calls. Settings and the hooks of the
    /// program are applied now, as for a worker that runs one task.
    ///
    /// Returns when the worker is what its settings make of it.
    ///
    /// # Errors
    ///
    /// Fails as [`run`](Self::run) does.
    ///
    /// # Examples
    ///
    /// ```
    /// #[zygote::entry]
    /// fn id() -> u32 {
    ///     std::process::id()
    /// }
    ///
    /// let service = zygote::Process::new()?.serve()?;
    /// let ids = [(); 2].map(|()| service.call(id::task()));
    /// assert_eq!(ids.map(|id| id.join().unwrap()), [service.id(); 2]);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn serve(self) -> Result<Service<S>> {
        let (live, ends) = self.begin_to_serve(Manner::default())?.finish()?;
        Ok(Service {
            live: Arc::new(live),
            ends,
            state: PhantomData,
        })
    }
}

impl<S> Service<S> {
    /// Gives it a task to run after those that it has. What goes wrong is the error of
    /// the call.
    ///
    /// Waits while there is no room for more calls: 256 that are not answered, or some
    /// 200 KiB of arguments. Meanwhile it takes in answers, so that the two sides do not
    /// wait for each other. In a future use [`call_timeout`](Self::call_timeout), which
    /// need not wait.
    pub fn call<R, K: RunsIn<S>>(&self, task: Task<R, K>) -> Call<R> {
        let number = self.live.send(task.load(), Deadline::NEVER);
        Call::new(&task, Given::new(Arc::clone(&self.live), number))
    }

    /// Does what [`call`](Self::call) does, but waits for room only this long.
    ///
    /// # Errors
    ///
    /// There was no room ([`is_timeout`](crate::Error::is_timeout)), the arguments could
    /// not be encoded, or the worker has ended. In every case no code of the entry has
    /// run.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use zygote::Process;
    ///
    /// #[zygote::entry]
    /// fn nap() {
    ///     std::thread::sleep(Duration::from_millis(200));
    /// }
    ///
    /// let service = Process::new()?.serve()?;
    /// let mut calls = Vec::new();
    /// let error = loop {
    ///     match service.call_timeout(nap::task(), Duration::ZERO) {
    ///         Ok(call) => calls.push(call),
    ///         Err(error) => break error,
    ///     }
    /// };
    /// assert!(error.is_timeout() && error.is_unstarted());
    /// assert!(calls.len() > 100);
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn call_timeout<R, K: RunsIn<S>>(
        &self,
        task: Task<R, K>,
        timeout: Duration,
    ) -> Result<Call<R>> {
        let number = self.live.send(task.load(), Deadline::after(timeout))?;
        Ok(Call::new(
            &task,
            Given::new(Arc::clone(&self.live), Ok(number)),
        ))
    }

    /// Gives the worker's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.live.id()
    }

    /// Tells whether the worker has ended. In a copy of the program it gives true.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.live.has_ended()
    }

    /// Kills the worker, with what it has started as far as settings hold that together
    /// ([`Worker::kill_tree`](crate::Worker::kill_tree)). It is no error if it has ended.
    ///
    /// # Errors
    ///
    /// The kernel refuses, for example because the worker has changed its user; or the
    /// handle is from before a fork.
    pub fn kill(&self) -> Result<()> {
        self.live.kill()
    }

    /// Has the worker end when it has run the calls that were made, and waits for that.
    /// When `grace` is over, the worker is killed; then this waits one second at most.
    /// The handles of answered calls still give their results.
    ///
    /// # Errors
    ///
    /// The worker did not end although it was killed
    /// ([`is_timeout`](crate::Error::is_timeout)); or the handle is from before a fork.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use zygote::Process;
    ///
    /// #[zygote::entry]
    /// fn greet(name: String) -> String {
    ///     format!("Hello {name}")
    /// }
    ///
    /// let service = Process::new()?.serve()?;
    /// let call = service.call(greet::task("you".into()));
    /// let exit = service.stop(Duration::from_secs(60))?;
    /// assert!(exit.success());
    /// assert_eq!(call.join()?, "Hello you");
    /// # Ok::<(), zygote::Error>(())
    /// ```
    pub fn stop(self, grace: Duration) -> Result<Exit> {
        self.live.stop(grace)
    }

    /// Takes the program's end of a [piped](crate::Stdio::piped) stdin, once.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.ends.stdin.take()
    }

    /// Takes the program's end of a piped stdout, once. A worker that writes more than a
    /// pipe holds waits until somebody reads.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.ends.stdout.take()
    }

    /// Takes the end of stderr, as [`take_stdout`](Self::take_stdout) takes that of
    /// stdout.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.ends.stderr.take()
    }
}

impl<S> AsFd for Service<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.live.pidfd()
    }
}

impl<S> AsRawFd for Service<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.live.pidfd().as_raw_fd()
    }
}

impl<S> Drop for Service<S> {
    fn drop(&mut self) {
        self.live.hang_up();
    }
}

impl<S> fmt::Debug for Service<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
