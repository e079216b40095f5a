//! What the workers of the pools here run.

use std::{
    fs::File,
    future::Future,
    io::{self, Read, Seek, Write},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use zygote::{Call, Error, Pool, Process, pool::Builder};

use crate::util::until;

pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[zygote::entry]
pub(crate) fn echo(n: u64) -> u64 {
    n
}

#[zygote::entry]
pub(crate) fn pid() -> u32 {
    std::process::id()
}

#[zygote::entry]
pub(crate) fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

#[zygote::entry]
pub(crate) fn nap(millis: u64) -> u32 {
    thread::sleep(ms(millis));
    std::process::id()
}

#[zygote::entry]
pub(crate) fn dies() {
    std::process::abort();
}

/// Notes that it ran, in one write, after this time.
#[zygote::entry]
pub(crate) fn noted(mut log: File, n: u32, millis: u64) -> u32 {
    log.write_all(&[u8::try_from(n).unwrap()]).unwrap();
    thread::sleep(ms(millis));
    n
}

/// Tells whether it was told to end, within this time.
#[zygote::entry]
pub(crate) fn until_cancelled(millis: u64) -> bool {
    (0..millis).any(|_| {
        thread::sleep(ms(1));
        zygote::call::is_cancelled()
    })
}

pub(crate) fn builder(workers: usize) -> Builder {
    Pool::builder(Process::new).workers(workers..=workers)
}

/// Waits until a worker has begun the call.
#[track_caller]
pub(crate) fn begun<R>(call: &Call<R>) -> u32 {
    until("the call begins", || call.pid().is_some());
    call.pid().unwrap()
}

/// Makes a call that runs until it is killed.
pub(crate) fn hangs(pool: &Pool) -> Call<u32> {
    let call = pool.call(nap::task(3_600_000));
    begun(&call);
    call
}

pub(crate) fn log() -> File {
    tempfile::tempfile().unwrap()
}

/// What has run, by the numbers that `noted` wrote.
pub(crate) fn ran(log: &File) -> Vec<u8> {
    let mut log = log.try_clone().unwrap();
    log.rewind().unwrap();
    let mut ran = Vec::new();
    log.read_to_end(&mut ran).unwrap();
    log.seek(io::SeekFrom::End(0)).unwrap();
    ran
}

/// Whether no code of the entry has run, and a limit of time was the reason.
pub(crate) fn is_late_and_unstarted(error: &Error) -> bool {
    error.is_timeout() && error.is_unstarted()
}

/// Counts how often it is woken.
#[derive(Debug, Default)]
pub(crate) struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Bell {
    pub(crate) fn rung(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// Polls a future once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F, bell: &Arc<Bell>) -> Option<F::Output> {
    let waker = Waker::from(Arc::clone(bell));
    match Pin::new(future).poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Awaits it, without a runtime.
pub(crate) fn await_it<F: Future + Unpin>(mut future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}
