//! What runs in a template and stays there.

use std::{
    fs::File,
    io::{self, Write},
    iter,
    process::{abort, exit, id},
    rc::Rc,
    thread,
    time::Duration,
};

use zygote::{Error, Preload, Process, raw::Arg};

use crate::util::{self, watchdog, within};

/// Neither serde nor `Send`.
struct Words(Rc<[String]>);

#[zygote::preload]
fn words(text: String) -> Words {
    Words(text.split(' ').map(str::to_owned).collect())
}

struct Counted {
    words: Rc<[String]>,
    count: usize,
}

#[zygote::preload]
fn counted(words: &Words) -> Counted {
    Counted {
        words: Rc::clone(&words.0),
        count: words.0.len(),
    }
}

#[zygote::preload]
fn more(counted: &mut Counted, by: usize) {
    counted.count += by;
}

#[zygote::preload]
fn less(counted: &mut Counted, by: usize) -> Result<(), String> {
    let count = counted.count.checked_sub(by);
    counted.count = count.ok_or_else(|| format!("{by} is more than there are"))?;
    Ok(())
}

#[zygote::entry]
fn word(words: &Words, at: usize) -> Option<String> {
    words.0.get(at).cloned()
}

#[zygote::entry]
fn last_and_count(counted: &Counted) -> (String, usize) {
    (
        counted.words[counted.words.len() - 1].clone(),
        counted.count,
    )
}

#[zygote::entry]
fn grow(counted: &mut Counted) -> usize {
    counted.count += 100;
    counted.count
}

#[zygote::entry]
fn sleep() {
    thread::sleep(Duration::from_secs(3600));
}

#[test]
fn preload_value_layer_and_change_in_place() {
    let _limit = watchdog(30);
    let first = Process::new().unwrap();
    let first = first.preload(words::task("to be or".to_owned())).unwrap();
    assert_eq!(
        word::spawn(&first, 1).unwrap().join().unwrap().unwrap(),
        "be"
    );
    let second = first.fork().unwrap().preload(counted::task()).unwrap();
    let ask = |process: &Process<Counted>| {
        let worker = last_and_count::spawn(process).unwrap();
        worker.join().unwrap()
    };
    assert_eq!(ask(&second), ("or".to_owned(), 3));
    let second = second.preload(more::task(10)).unwrap();
    let second = second.preload(less::task(1)).unwrap();
    assert_eq!(ask(&second).1, 12);
    // An earlier layer in another process stays as it is.
    assert_eq!(
        word::spawn(&first, 2).unwrap().join().unwrap().unwrap(),
        "or"
    );
    let error = second.fork().unwrap().preload(less::task(99)).unwrap_err();
    assert!(
        error.to_string().contains("99 is more than there are"),
        "{error}"
    );
    assert_eq!(ask(&second).1, 12);
}

#[test]
fn a_worker_changes_its_own_copy_of_a_preloaded_value() {
    let _limit = watchdog(30);
    let process = Process::new()
        .unwrap()
        .preload(words::task("a b".to_owned()))
        .unwrap();
    let process = process.preload(counted::task()).unwrap();
    for _ in 0..2 {
        assert_eq!(grow::spawn(&process).unwrap().join().unwrap(), 102);
    }
    assert_eq!(
        last_and_count::spawn(&process).unwrap().join().unwrap().1,
        2
    );
}

#[zygote::preload]
fn fails(text: String) -> Result<(), Box<dyn std::error::Error>> {
    Err(text.into())
}

#[zygote::preload]
fn panics(n: u32) {
    assert!(n > 3, "{n} is too small");
}

#[zygote::preload]
fn exits(code: i32) {
    #[expect(clippy::exit, reason = "what the test is about")]
    exit(code);
}

#[zygote::preload]
fn aborts() {
    abort();
}

#[zygote::preload]
fn never() {
    thread::sleep(Duration::from_secs(3600));
}

#[zygote::preload]
fn leaves_a_thread() {
    let (runs, heard) = std::sync::mpsc::channel();
    let named = thread::Builder::new().name("left-behind".to_owned());
    let body = move || {
        runs.send(()).unwrap();
        thread::sleep(Duration::from_secs(3600));
    };
    named.spawn(body).unwrap();
    heard.recv().unwrap();
}

fn failure<T>(preload: Preload<T>) -> Error {
    let process = Process::new().unwrap();
    let pid = process.id().unwrap();
    let entry = preload.entry();
    let result = within(Duration::from_secs(2), || process.preload(preload));
    let error = result.map(drop).unwrap_err();
    assert_eq!(error.entry(), Some(entry));
    util::until("the process ends", || util::stat(pid).is_none());
    error
}

#[test]
fn preload_failures_reach_the_caller() {
    let _limit = watchdog(60);
    let error = failure(fails::task("no such index".to_owned()));
    assert!(error.to_string().contains("no such index"), "{error}");

    let error = failure(panics::task(2));
    assert!(error.is_panic(), "{error:?}");
    assert!(error.to_string().contains("2 is too small"), "{error}");
    assert!(error.to_string().contains("suite/preload.rs:"), "{error}");

    let error = failure(exits::task(3));
    assert!(error.is_exit(), "{error:?}");
    assert_eq!(error.exit().unwrap().status().unwrap().code(), Some(3));
    assert!(error.to_string().contains("code 3"), "{error}");

    let error = failure(aborts::task());
    assert!(error.is_signal(), "{error:?}");
    assert!(error.to_string().contains("SIGABRT"), "{error}");

    let error = failure(leaves_a_thread::task());
    assert!(error.is_invalid(), "{error:?}");
    assert!(error.to_string().contains("left-behind"), "{error}");
}

#[test]
fn a_preload_has_a_deadline() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let pid = process.id().unwrap();
    let process = process.start_timeout(Duration::from_millis(100));
    let error = within(Duration::from_secs(2), || process.preload(never::task()));
    let error = error.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    util::until("it was killed", || util::stat(pid).is_none());
}

#[test]
fn a_process_with_live_workers_refuses_a_preload() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let worker = process.fork().unwrap().run(sleep::task()).unwrap();
    let error = process.preload(words::task(String::new())).unwrap_err();
    assert!(error.is_invalid(), "{error:?}");
    assert!(error.to_string().contains("fork it first"), "{error}");
    worker.kill().unwrap();
    worker.wait().unwrap();
}

#[zygote::preload]
fn take() -> Vec<Vec<u8>> {
    let bytes = |arg| match arg {
        Arg::Bytes(bytes) => bytes,
        Arg::Fd(_) => b"(a descriptor)".to_vec(),
    };
    zygote::raw::take_args().map(bytes).collect()
}

#[zygote::entry]
fn taken_and_left(taken: &Vec<Vec<u8>>) -> (Vec<Vec<u8>>, usize) {
    (taken.clone(), zygote::raw::take_args().len())
}

#[test]
fn a_preload_can_take_and_clear_raw_arguments() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let process = process.send_arg("one").send_arg("two");
    let process = process.send_fd(tempfile::tempfile().unwrap());
    let process = process.preload(take::task()).unwrap();
    let taken = ["one", "two", "(a descriptor)"].map(|text| text.as_bytes().to_vec());
    let ask = |process: &_| taken_and_left::spawn(process).unwrap().join().unwrap();
    assert_eq!(ask(&process), (taken.to_vec(), 0));
    let process = process.send_arg("later");
    assert_eq!(ask(&process), (taken.to_vec(), 1));
}

/// Reads a pipe to its end, which comes when its other end is closed here.
fn drained() -> String {
    let args: Vec<Arg> = zygote::raw::take_args().collect();
    let [Arg::Fd(from), Arg::Fd(to)] = <[Arg; 2]>::try_from(args).unwrap() else {
        panic!("these are no descriptors");
    };
    drop(to);
    io::read_to_string(File::from(from)).unwrap()
}

#[zygote::preload]
fn drains() -> String {
    drained()
}

#[zygote::entry]
fn drains_too(first: &String) -> (String, String) {
    (first.clone(), drained())
}

#[test]
fn a_raw_descriptor_has_one_copy_where_it_arrives() {
    let _limit = watchdog(30);
    let piped = |text: &str| {
        let (from, mut to) = io::pipe().unwrap();
        to.write_all(text.as_bytes()).unwrap();
        (from, to)
    };
    let (from, to) = piped("one");
    let process = Process::new().unwrap().send_fd(from).send_fd(to);
    let process = process.preload(drains::task()).unwrap();
    let (from, to) = piped("two");
    let process = process.send_fd(from).send_fd(to);
    let heard = process.run(drains_too::task()).unwrap().join().unwrap();
    assert_eq!(heard, ("one".to_owned(), "two".to_owned()));
}

/// Takes nothing.
#[zygote::preload]
fn leave() {}

#[zygote::entry]
fn all() -> Vec<String> {
    let text = |arg| match arg {
        Arg::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
        Arg::Fd(fd) => io::read_to_string(File::from(fd)).unwrap(),
    };
    zygote::raw::take_args().map(text).collect()
}

#[test]
fn forks_have_the_raw_arguments_that_a_preload_left() {
    let _limit = watchdog(30);
    let (from, mut to) = io::pipe().unwrap();
    to.write_all(b"two").unwrap();
    drop(to);
    let process = Process::new().unwrap().send_arg("one").send_fd(from);
    let process = process.preload(leave::task()).unwrap().send_arg("three");
    let other = process.fork().unwrap().send_arg("four");
    let heard = process.spawn(all::task()).unwrap().join().unwrap();
    assert_eq!(heard, ["one", "two", "three"]);
    // The pipe is one and the same, and has been read.
    let heard = other.run(all::task()).unwrap().join().unwrap();
    assert_eq!(heard, ["one", "", "three", "four"]);
}

/// Much, and touched.
#[zygote::preload]
fn much(length: usize) -> Vec<u8> {
    vec![7; length]
}

/// Reads of each page; private and shared KiB of this process then.
#[zygote::entry]
fn reads_all(bytes: &Vec<u8>) -> (usize, [u64; 2]) {
    let read = bytes.iter().step_by(4096).filter(|byte| **byte == 7);
    let read = read.count();
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let kib = |name| -> u64 {
        let text = util::field(&rollup, name);
        text.trim_end_matches(" kB").parse().unwrap()
    };
    let private = kib("Private_Dirty") + kib("Private_Clean");
    (read, [private, kib("Shared_Dirty")])
}

#[test]
fn what_was_preloaded_is_shared_by_all_and_copied_for_none() {
    const LENGTH: usize = 32 << 20;
    let _limit = watchdog(60);
    let process = Process::new().unwrap().preload(much::task(LENGTH)).unwrap();
    let pid = process.id().unwrap();
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        // Without the pages of files, which come when code runs for the first time.
        let text = util::field(&status, "RssAnon");
        text.trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = resident();
    assert!(before > 32 << 10, "{before} KiB");
    for _ in 0..50 {
        let (read, [private, shared]) = reads_all::spawn(&process).unwrap().join().unwrap();
        assert_eq!(read, LENGTH / 4096);
        assert!(private < 4 << 10, "{private} KiB of its own");
        assert!(shared >= 32 << 10, "{shared} KiB shared");
    }
    let after = resident();
    assert!(after < before + 256, "{before} KiB, then {after} KiB");
}

/// Takes every descriptor that there may be.
#[zygote::preload]
fn exhaust() -> Vec<File> {
    util::limit_fds(id(), 64);
    iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[zygote::entry]
fn kept(files: &Vec<File>) -> usize {
    files.len()
}

#[test]
fn a_preload_that_leaves_no_descriptor_says_what_to_raise() {
    let _limit = watchdog(30);
    for _ in 0..3 {
        let process = Process::new().unwrap().preload(exhaust::task()).unwrap();
        for _ in 0..2 {
            let error = kept::spawn(&process).unwrap_err();
            let (code, text) = (io::Error::from(error.clone()), error.to_string());
            assert!(error.is_unstarted(), "{error:?}");
            assert_eq!(code.raw_os_error(), Some(libc::EMFILE), "{error:?}");
            assert!(text.contains("RLIMIT_NOFILE"), "{text}");
        }
    }
    let other = Process::new().unwrap().preload(words::task("a".into()));
    let got = word::spawn(&other.unwrap(), 0).unwrap().join();
    assert_eq!(got.unwrap().as_deref(), Some("a"));
}
