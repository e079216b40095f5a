//! Arguments and results arrive whole, whatever they are.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Seek, Write},
    net::{TcpListener, TcpStream},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::PathBuf,
    process::id,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use zygote::{Error, Fd, Process, Worker};

use crate::util::{self, Census, alone, watchdog};

#[zygote::entry]
fn bytes_back(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

#[zygote::entry]
fn text_back(text: String, numbers: Vec<u32>) -> (Vec<u32>, String) {
    (numbers, text)
}

/// Something without a short period.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

#[test]
fn large_arguments_and_results_arrive_whole() {
    let _limit = watchdog(120);
    let around = 64 << 10;
    for length in [0, 1, around - 600, around, around + 1000, 300_000, 64 << 20] {
        let sent = pattern(length);
        let mut back = bytes_back::spawn(sent.clone()).unwrap().join().unwrap();
        back.reverse();
        // Not `assert_eq`, which would print them.
        assert!(back == sent, "{length} bytes came as {}", back.len());
    }
    let text: String = pattern(300_000)
        .iter()
        .map(|byte| char::from(byte % 64 + 48))
        .collect();
    let numbers: Vec<u32> = (0..80_000).collect();
    let back = text_back::spawn(text.clone(), numbers.clone())
        .unwrap()
        .join()
        .unwrap();
    assert!(back == (numbers, text));
}

#[zygote::entry]
fn maybe(bytes: Option<Vec<u8>>) -> Option<Vec<u8>> {
    bytes.map(|bytes| [bytes, vec![0]].concat())
}

#[zygote::entry]
fn fallible(bytes: Vec<u8>, fail: bool) -> Result<Vec<u8>, String> {
    if fail {
        Err("as asked".to_owned())
    } else {
        Ok(bytes)
    }
}

#[test]
fn bytes_travel_in_an_option_and_a_result() {
    let _limit = watchdog(30);
    assert_eq!(maybe::spawn(None).unwrap().join().unwrap(), None);
    let some = maybe::spawn(Some(vec![7, 255])).unwrap().join().unwrap();
    assert_eq!(some, Some(vec![7, 255, 0]));
    let ok = fallible::spawn(vec![1, 2], false).unwrap().join().unwrap();
    assert_eq!(ok, Ok(vec![1, 2]));
    let err = fallible::spawn(vec![1, 2], true).unwrap().join().unwrap();
    assert_eq!(err, Err("as asked".to_owned()));
}

#[zygote::entry]
fn makes(path: PathBuf, name: OsString) -> io::Result<usize> {
    File::create(path.join(&name))?;
    Ok(name.len())
}

#[zygote::entry]
fn path_back(path: PathBuf) -> PathBuf {
    path
}

#[test]
fn paths_that_are_not_utf_8_arrive() {
    let _limit = watchdog(30);
    let here = tempfile::tempdir().unwrap();
    let name = OsStr::from_bytes(b"\xff\xfe\x01name").to_owned();
    let made = makes::spawn(here.path().to_owned(), name.clone());
    assert_eq!(made.unwrap().join().unwrap().unwrap(), 7);
    assert!(here.path().join(&name).exists());
    let back = path_back::spawn(PathBuf::from(&name))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(back.as_os_str(), name);
}

#[derive(Serialize, Deserialize)]
struct Job {
    name: String,
    files: BTreeMap<String, Fd<File>>,
    next: Option<Box<Job>>,
}

/// Takes one descriptor at each depth out and gives them back, the job's name
/// written into each.
#[zygote::entry]
fn nested(job: Job) -> (usize, Vec<Fd<File>>) {
    let (mut depth, mut all, mut next) = (0, Vec::new(), Some(Box::new(job)));
    while let Some(job) = next {
        depth += 1;
        for (key, file) in job.files {
            let mut file = file.into_inner();
            write!(file, "{} {key}", job.name).unwrap();
            all.push(file.into());
        }
        next = job.next;
    }
    (depth, all)
}

#[test]
fn descriptors_travel_inside_of_values() {
    let _limit = watchdog(30);
    let file = || Fd::from(tempfile::tempfile().unwrap());
    let inner = Job {
        name: "inner".to_owned(),
        files: [("c".to_owned(), file())].into(),
        next: None,
    };
    let job = Job {
        name: "outer".to_owned(),
        files: [("a".to_owned(), file()), ("b".to_owned(), file())].into(),
        next: Some(Box::new(inner)),
    };
    let (depth, files) = nested::spawn(job).unwrap().join().unwrap();
    let text = |file: Fd<File>| {
        let (mut file, mut text) = (file.into_inner(), String::new());
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    };
    let texts: Vec<String> = files.into_iter().map(text).collect();
    assert_eq!(depth, 2);
    assert_eq!(texts, ["outer a", "outer b", "inner c"]);
}

/// Gives the inodes, then the files in the opposite order.
#[zygote::entry]
fn turn_round(files: Vec<Fd<File>>) -> (Vec<u64>, Vec<Fd<File>>) {
    let inode = |file: &Fd<File>| file.metadata().unwrap().ino();
    let inodes = files.iter().map(inode).collect();
    (inodes, files.into_iter().rev().collect())
}

#[test]
fn hundreds_of_descriptors_arrive_whole() {
    let _limit = watchdog(60);
    alone(|| {
        // Those sent, their duplicates on the way, and those that come back.
        util::limit_fds(id(), 4096);
        util::limit_fds(util::template(), 4096);
        let process = Process::new().unwrap().stock(0);
        util::limit_fds(process.id().unwrap(), 4096);
        let before = Census::take();
        for count in [250, 251, 252, 253, 254, 255, 600, 1000] {
            let files: Vec<File> = (0..count).map(|_| tempfile::tempfile().unwrap()).collect();
            let inodes: Vec<u64> = files
                .iter()
                .map(|it| it.metadata().unwrap().ino())
                .collect();
            let task = turn_round::task(files.into_iter().map(Fd::from).collect());
            let worker = process.fork().unwrap().run(task).unwrap();
            let (seen, back) = worker.join().unwrap();
            assert!(seen == inodes, "{count}");
            let back: Vec<u64> = back
                .iter()
                .rev()
                .map(|it| it.metadata().unwrap().ino())
                .collect();
            assert!(back == inodes, "{count}");
        }
        before.check();
        drop(process);
    });
}

#[zygote::entry]
fn io_error(code: i32) -> io::Result<u8> {
    Err(io::Error::from_raw_os_error(code))
}

#[zygote::entry]
fn io_error_of_its_own() -> io::Result<u8> {
    Err(io::Error::new(io::ErrorKind::InvalidData, "not in order"))
}

#[zygote::entry]
fn boxed() -> Result<u8, Box<dyn error::Error + Send + Sync>> {
    Err("a boxed one".into())
}

#[zygote::entry]
fn own() -> zygote::Result<u8> {
    io_error_of_its_own::spawn()?.join()??;
    panics::spawn()?.join()?;
    Ok(0)
}

#[zygote::entry]
fn panics() {
    panic!("deep below");
}

#[zygote::entry]
fn own_panic() -> zygote::Result<()> {
    panics::spawn()?.join()
}

#[test]
fn errors_of_other_crates_are_rebuilt() {
    let _limit = watchdog(60);
    let error = io_error::spawn(libc::ENOENT)
        .unwrap()
        .join()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    let error = io_error_of_its_own::spawn()
        .unwrap()
        .join()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(error.to_string(), "not in order");
    let error = boxed::spawn().unwrap().join().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "a boxed one");
    let error: Error = own_panic::spawn().unwrap().join().unwrap().unwrap_err();
    assert!(error.is_panic(), "{error:?}");
    assert!(error.to_string().contains("deep below"), "{error}");
    let error: Error = own::spawn().unwrap().join().unwrap().unwrap_err();
    let source = error::Error::source(&error).map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("not in order"), "{error:?}");
}

#[zygote::entry]
fn forever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

#[test]
fn an_entry_may_never_return() {
    let _limit = watchdog(30);
    let mut worker: Worker<Infallible> = forever::spawn().unwrap();
    assert!(
        worker
            .join_timeout(Duration::from_millis(5))
            .unwrap()
            .is_none()
    );
    worker.kill().unwrap();
    assert!(worker.join().unwrap_err().is_signal());
}

#[tokio::main(flavor = "current_thread")]
#[zygote::entry]
async fn asynchronous(stream: TcpStream) -> io::Result<String> {
    use ::tokio::time::sleep;
    stream.set_nonblocking(true)?;
    let stream = ::tokio::net::TcpStream::from_std(stream)?;
    sleep(Duration::from_millis(1)).await;
    stream.readable().await?;
    let mut bytes = [0; 64];
    let count = stream.try_read(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
}

#[test]
fn an_entry_may_be_async_by_tokio_main() {
    let _limit = watchdog(30);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let worker = asynchronous::spawn(listener.accept().unwrap().0).unwrap();
    client.write_all(b"to the runtime").unwrap();
    assert_eq!(worker.join().unwrap().unwrap(), "to the runtime");
}
