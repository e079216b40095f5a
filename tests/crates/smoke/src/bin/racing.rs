//! Many threads use one template, in every way a worker may be waited for: for
//! the thread sanitizer, which must see the library in the program, and no
//! thread of its own in a template. Therefore without an early one.
//!
//! Runs for as many seconds as the argument says, and then says how many
//! workers there were.

use std::{
    env,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use constructors as _;
use zygote::{Error, Worker};

const THREADS: u64 = 8;

#[zygote::entry]
fn echo(number: u64) -> u64 {
    number
}

/// One worker, and its end.
fn one(number: u64) -> Result<(), Error> {
    let mut worker = echo::spawn(number)?;
    match number % 5 {
        0 => drop(worker),
        1 => worker.kill()?,
        2 => {
            let worker = &worker;
            thread::scope(|scope| {
                let other = scope.spawn(|| worker.wait().map(drop));
                worker.wait()?;
                other.join().unwrap_or(Ok(()))
            })?;
        }
        3 => drop(worker.kill_on_drop(true)),
        _ => {
            let sum = loop {
                if let Some(sum) = worker.join_timeout(Duration::from_millis(1))? {
                    break sum;
                }
            };
            assert_eq!(sum, number);
        }
    }
    // Whatever the others do: this one's answer is its own.
    assert_eq!(echo::spawn(number).and_then(Worker::join)?, number);
    Ok(())
}

fn main() -> Result<(), Error> {
    let seconds = env::args().nth(1).and_then(|text| text.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(5));
    let count = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let count = Arc::clone(&count);
            thread::spawn(move || {
                while Instant::now() < end {
                    one(count.fetch_add(1, Ordering::Relaxed))?;
                }
                Ok::<(), Error>(())
            })
        })
        .collect();
    for thread in threads {
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    }
    let count = 2 * count.load(Ordering::Relaxed);
    let _ = writeln!(io::stdout(), "{count} workers of {THREADS} threads");
    Ok(())
}
