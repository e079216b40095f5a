//! What runs in the workers.

use std::{
    fs::File,
    hint::black_box,
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use zygote::{
    Receiver, Sender,
    raw::{Arg, Args},
};

/// How many entries and preloads the whole program has: those of this file, the
/// one of `phases`, those of the crate `dep`, and the one of the library itself.
pub(crate) const COUNT: usize = 22 + 1 + 3 + 1;

#[zygote::entry]
pub(crate) fn add(a: u64, b: u64) -> u64 {
    a + b
}

/// Runs an entry that stands inside a function.
pub(crate) fn add_inside(a: u64, b: u64) -> zygote::Result<u64> {
    #[zygote::entry]
    fn inside(a: u64, b: u64) -> u64 {
        a + b
    }
    inside::spawn(a, b)?.join()
}

#[zygote::entry]
pub(crate) fn arguments() -> Vec<std::ffi::OsString> {
    std::env::args_os().collect()
}

/// Copies what it reads, and gives a file of its own.
#[zygote::entry]
pub(crate) fn copy(mut from: PipeReader, mut to: PipeWriter) -> io::Result<File> {
    io::copy(&mut from, &mut to)?;
    File::open("/dev/null")
}

#[zygote::entry]
pub(crate) fn fail(text: String) {
    panic!("it says {text}");
}

#[zygote::entry]
pub(crate) fn leave(code: i32) {
    #[expect(clippy::exit, reason = "what the test is about")]
    std::process::exit(code);
}

#[zygote::entry]
pub(crate) fn abort() {
    std::process::abort();
}

#[zygote::preload]
pub(crate) fn abort_here() {
    std::process::abort();
}

/// Needs as much stack as it is told, and says how much it had.
#[zygote::entry]
pub(crate) fn recurse(bytes: usize) -> usize {
    let here = 0_u8;
    deeper((&raw const here).addr(), bytes)
}

fn deeper(top: usize, bytes: usize) -> usize {
    let frame = black_box([0_u8; 4096]);
    let depth = top - frame.as_ptr().addr();
    if depth >= bytes {
        return depth;
    }
    deeper(top, bytes).max(black_box(&frame)[0].into())
}

/// Deeper than any usual limit. Not without end: where there is no limit, it
/// would take all memory.
#[zygote::entry]
pub(crate) fn overflow() -> usize {
    let here = 0_u8;
    deeper((&raw const here).addr(), 256 << 20)
}

#[zygote::preload]
pub(crate) fn words(text: String) -> Vec<std::rc::Rc<str>> {
    text.split(' ').map(Into::into).collect()
}

#[zygote::preload]
pub(crate) fn sort(words: &mut Vec<std::rc::Rc<str>>) {
    words.sort();
}

#[zygote::entry]
pub(crate) fn word(words: &Vec<std::rc::Rc<str>>, at: usize) -> Option<String> {
    words.get(at).map(ToString::to_string)
}

#[zygote::entry(raw)]
pub(crate) fn echo(mut conn: UnixStream, args: Args) {
    for arg in args {
        let sent = match arg {
            Arg::Bytes(bytes) => conn.write_all(&bytes),
            Arg::Fd(fd) => io::copy(&mut File::from(fd), &mut conn).map(drop),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Adds in a worker of its own, which adds in a worker of its own, …
#[zygote::entry]
pub(crate) fn nested(depth: u64) -> zygote::Result<u64> {
    match depth {
        0 => Ok(0),
        _ => Ok(1 + nested::spawn(depth - 1)?.join()??),
    }
}

/// Where a function and a variable are.
#[zygote::entry]
pub(crate) fn places() -> (usize, usize) {
    let here = 0_u8;
    (places as *const () as usize, (&raw const here).addr())
}

#[zygote::entry]
pub(crate) fn sleep() {
    std::thread::sleep(Duration::from_secs(3600));
}

/// Waits for a byte, then says one.
#[zygote::entry]
pub(crate) fn answer(mut from: PipeReader, mut to: PipeWriter) -> io::Result<()> {
    from.read_exact(&mut [0])?;
    to.write_all(b"!")
}

#[zygote::entry]
pub(crate) fn squares(jobs: Receiver<u64>, results: Sender<(u64, u64)>) -> zygote::Result<()> {
    for n in jobs {
        let n = n?;
        results.send((n, n * n))?;
    }
    Ok(())
}

/// Which constructors have run here, in the file's order; this process's id and
/// its template's.
#[zygote::entry]
pub(crate) fn constructed() -> (Vec<(u32, u32)>, u32, u32) {
    let template = std::os::unix::process::parent_id();
    (constructors::runs().to_vec(), std::process::id(), template)
}

#[zygote::entry]
pub(crate) fn title() -> io::Result<String> {
    std::fs::read_to_string("/proc/self/cmdline")
}

/// A worker is an ordinary process: it may have threads.
#[zygote::entry]
pub(crate) fn threads() -> u32 {
    let all: Vec<_> = (0..4).map(|n| std::thread::spawn(move || n)).collect();
    all.into_iter()
        .filter_map(|thread| thread.join().ok())
        .sum()
}
