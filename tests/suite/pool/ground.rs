//! What the tests of pools share.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    future::Future,
    io::Write,
    path::PathBuf,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use tempfile::NamedTempFile;
use zygote::{Call, Pool, Process, Result, pool::Builder};

use crate::util::until;

pub(super) const LONG: Duration = Duration::from_secs(20);

/// How a pool gives calls to its workers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) depth: usize,
    /// Whether each call has a process of its own.
    pub(super) is_fresh: bool,
}

pub(super) const SHAPES: [Shape; 4] = [
    Shape::new(1, false),
    Shape::new(16, false),
    Shape::new(1, true),
    Shape::new(16, true),
];

impl Shape {
    const fn new(depth: usize, is_fresh: bool) -> Self {
        Self { depth, is_fresh }
    }

    pub(super) fn of<S: 'static>(self, builder: Builder<S>) -> Builder<S> {
        let builder = builder.depth(self.depth);
        match self.is_fresh {
            true => builder.calls(1),
            false => builder,
        }
    }
}

/// How the outcome of a call is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    Join,
    Timeout,
    Await,
}

pub(super) const BYS: [By; 3] = [By::Join, By::Timeout, By::Await];

impl By {
    pub(super) fn outcome<R>(self, mut call: Call<R>) -> Result<R> {
        match self {
            Self::Join => call.join(),
            Self::Timeout => {
                let outcome = loop {
                    let outcome = call.join_timeout(Duration::from_micros(300)).transpose();
                    if let Some(outcome) = outcome {
                        break outcome;
                    }
                };
                // There is one, and no second one.
                assert!(call.join_timeout(LONG).is_err_and(|it| it.is_invalid()));
                outcome
            }
            Self::Await => block_on(call),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future without a runtime.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    let started = Instant::now();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park_timeout(LONG),
        }
        assert!(started.elapsed() < 4 * LONG, "nobody wakes the future");
    }
}

/// A file in which each execution notes its number: its workers share it.
#[derive(Debug)]
pub(super) struct Log(NamedTempFile);

#[zygote::preload]
fn open(path: PathBuf) -> File {
    OpenOptions::new().append(true).open(path).unwrap()
}

impl Log {
    pub(super) fn new() -> Self {
        Self(NamedTempFile::new().unwrap())
    }

    /// Makes a process whose value is the file.
    pub(super) fn maker(&self) -> impl Fn() -> Result<Process<File>> + Send + use<> {
        let path = self.0.path().to_owned();
        move || Process::new()?.preload(open::task(path.clone()))
    }

    /// Tells how often each number was noted.
    pub(super) fn ran(&self) -> BTreeMap<u32, usize> {
        let mut ran = BTreeMap::new();
        for note in fs::read(self.0.path()).unwrap().chunks_exact(4) {
            let n = u32::from_le_bytes(note.try_into().unwrap());
            *ran.entry(n).or_default() += 1;
        }
        ran
    }
}

/// Notes an execution, in one write.
pub(super) fn note(mut log: &File, n: u32) {
    log.write_all(&n.to_le_bytes()).unwrap();
}

/// Ends a pool, which leaves no thread behind. For a test that is alone.
pub(super) fn end<S>(pool: Pool<S>) {
    pool.shutdown(LONG).unwrap();
    let stats = pool.stats();
    assert_eq!([stats.waiting, stats.running, stats.workers], [0; 3]);
    assert_eq!(stats.started, stats.ended, "{stats:?}");
    drop(pool);
    until("its threads end", || threads().is_empty());
}

/// The threads of pools in this process, by name.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("zygote-")).collect()
}
