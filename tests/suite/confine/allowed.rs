//! What a confined worker is for. All of it under the strict form, too, where
//! any call that is not on the list would kill it.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, Write, read_to_string},
    os::unix::{fs::MetadataExt, net::UnixStream},
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant, SystemTime},
};

use zygote::{Process, Receiver, Sender, Stdio, channel, settings::Confine};

use super::confined;
use crate::util::watchdog;

/// Each must work in both forms.
fn forms() -> [Process; 2] {
    let form = || Confine::compute().memory(1 << 30);
    [confined(form()), confined(form().strict())]
}

#[zygote::entry]
fn compute_much(seed: u64) -> u64 {
    // All at the same time: each has an arena of the C library's allocator, which
    // reserves far more address space than it uses.
    let all = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let all = Arc::clone(&all);
            thread::Builder::new()
                .name(format!("part {n}"))
                .spawn(move || {
                    let numbers: Vec<u64> = (0..100_000).collect();
                    all.wait();
                    numbers.iter().fold(seed + n, |sum, n| sum.wrapping_add(*n))
                })
                .unwrap()
        })
        .collect();
    let sum: u64 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    let mut large = vec![1_u8; 256 << 20];
    large.extend_from_slice(&[1; 1 << 20]);
    large.shrink_to_fit();
    let map: HashMap<usize, u64> = (0..1_000).map(|n| (n, seed)).collect();
    let before = (Instant::now(), SystemTime::now());
    thread::sleep(Duration::from_millis(2));
    assert!(before.0.elapsed() >= Duration::from_millis(2));
    assert!(before.1.elapsed().is_ok());
    assert!(thread::available_parallelism().is_ok_and(|n| n.get() > 0));
    assert_eq!(large.len(), 257 << 20);
    sum + map[&999]
}

#[test]
fn it_computes() {
    let _limit = watchdog(60);
    // Asking for the CPUs looks into /proc as well, which strictly is deadly.
    let [soft, _] = forms();
    let part: u64 = (0..100_000).sum();
    assert_eq!(
        soft.run(compute_much::task(1)).unwrap().join().unwrap(),
        8 * part + 36 + 1
    );
}

#[zygote::entry]
fn use_file(mut file: File) -> std::io::Result<(u64, String)> {
    let status = file.metadata()?;
    assert!(status.is_file() && status.modified()?.elapsed().is_ok());
    assert_eq!(status.nlink(), 0);
    let length = status.len();
    let text = read_to_string(&file)?;
    file.rewind()?;
    file.write_all(b"WRITTEN")?;
    file.try_clone()?.sync_all()?;
    writeln!(std::io::stdout(), "to stdout")?;
    writeln!(std::io::stderr(), "to stderr")?;
    Ok((length, text))
}

#[test]
fn files_and_streams_that_were_given_work() {
    for process in forms() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"what is in it").unwrap();
        file.rewind().unwrap();
        let process = process.stdout(Stdio::piped()).stderr(Stdio::piped());
        let task = use_file::task(file.try_clone().unwrap());
        let mut worker = process.run(task).unwrap();
        let (stdout, stderr) = (worker.take_stdout().unwrap(), worker.take_stderr().unwrap());
        assert_eq!(read_to_string(stdout).unwrap(), "to stdout\n");
        assert_eq!(read_to_string(stderr).unwrap(), "to stderr\n");
        let (length, text) = worker.join().unwrap().unwrap();
        assert_eq!((length, &*text), (13, "what is in it"));
        file.rewind().unwrap();
        assert_eq!(read_to_string(file).unwrap(), "WRITTEN in it");
    }
}

#[zygote::entry]
fn many(length: usize) -> Vec<u8> {
    vec![7; length]
}

#[test]
fn a_large_result_arrives() {
    let _limit = watchdog(60);
    for process in forms() {
        let worker = process.run(many::task(100_000_000)).unwrap();
        let result = worker.join().unwrap();
        assert_eq!(result.len(), 100_000_000);
        assert!(result.iter().step_by(4096).all(|byte| *byte == 7));
    }
}

#[test]
fn a_result_above_the_limit_is_no_result() {
    let process = confined(Confine::compute().memory(16 << 20));
    let worker = process.fork().unwrap().run(many::task(64 << 20)).unwrap();
    assert!(
        worker.join().unwrap_err().is_signal(),
        "out of memory is an abort"
    );
    let worker = process.run(many::task(1 << 20)).unwrap();
    assert_eq!(worker.join().unwrap().len(), 1 << 20);
}

#[zygote::entry]
fn fill_memory_file(length: usize) -> Option<i32> {
    let chunk = [0; 4096];
    let fd = nix::sys::memfd::memfd_create(c"x", nix::sys::memfd::MFdFlags::empty()).unwrap();
    let mut file = File::from(fd);
    let written = (0..length / chunk.len()).try_for_each(|_| file.write_all(&chunk));
    written.err()?.raw_os_error()
}

#[test]
fn no_memory_file_is_longer_than_the_limit() {
    let process = confined(Confine::compute().memory(16 << 20));
    let task = fill_memory_file::task(17 << 20);
    let worker = process.run(task.clone()).unwrap();
    assert_eq!(worker.join().unwrap(), Some(libc::EFBIG));
    let worker = Process::new().unwrap().run(task).unwrap();
    assert_eq!(worker.join().unwrap(), None);
}

#[zygote::entry]
fn panic_with(text: String) {
    panic!("{text}");
}

#[zygote::entry]
fn abort() {
    std::process::abort();
}

#[test]
fn panics_and_aborts_are_told() {
    for process in forms() {
        let process = process.stderr(Stdio::null()).env("RUST_BACKTRACE", "0");
        let worker = process
            .fork()
            .unwrap()
            .run(panic_with::task("why".into()))
            .unwrap();
        let error = worker.join().unwrap_err();
        assert!(
            error.is_panic() && error.to_string().contains("why"),
            "{error:?}"
        );
        let error = process.run(abort::task()).unwrap().join().unwrap_err();
        assert_eq!(error.exit().unwrap().to_string(), "was killed by SIGABRT");
    }
    // With a backtrace, whose look into /proc fails.
    let process = confined(Confine::compute()).stderr(Stdio::null());
    let process = process.env("RUST_BACKTRACE", "full");
    let worker = process.run(panic_with::task("why".into())).unwrap();
    assert!(worker.join().unwrap_err().is_panic());
}

#[zygote::entry]
fn echo(from: Receiver<Vec<u8>>, to: Sender<Vec<u8>>, mut stream: UnixStream) -> u8 {
    while let Ok(mut bytes) = from.recv() {
        bytes.reverse();
        to.send(bytes).unwrap();
    }
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    stream.write_all(&byte).unwrap();
    byte[0]
}

#[test]
fn channels_and_sockets_that_were_given_work() {
    let _limit = watchdog(60);
    for process in forms() {
        let (to, from) = channel().unwrap();
        let (back_to, back) = channel().unwrap();
        let (mut near, far) = UnixStream::pair().unwrap();
        let worker = process.run(echo::task(from, back_to, far)).unwrap();
        // In a message, and beside one in a memory file.
        for length in [10, 1_000_000] {
            let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
            to.send(bytes.clone()).unwrap();
            let mut got = back.recv().unwrap();
            got.reverse();
            assert!(got == bytes, "{length} bytes differ");
        }
        drop(to);
        near.write_all(b"x").unwrap();
        assert_eq!(worker.join().unwrap(), b'x');
        assert_eq!(read_to_string(near).unwrap(), "x");
    }
}
