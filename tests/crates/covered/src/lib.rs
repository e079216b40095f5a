//! Lines that run in workers and templates only. Those that end in `// N×` must
//! be counted so often in one run.

#![allow(missing_docs, clippy::exit, clippy::unwrap_used, reason = "a test")]

use std::process::id;

use zygote::Process;

#[zygote::entry]
fn result(n: u32) -> u32 {
    let pid = id(); // 4×
    assert!(n > 0);
    pid
}

#[zygote::entry]
fn error(n: u32) -> Result<u32, String> {
    let text = n.to_string(); // 1×
    Err(text)
}

#[zygote::entry]
fn panic(n: u32) {
    let text = n.to_string(); // 2×
    std::panic::resume_unwind(Box::new(text));
}

#[zygote::entry]
fn nested() -> u32 {
    let before = id(); // 1×
    let inner = inner::spawn().unwrap().join().unwrap(); // 1×
    assert_ne!(before, inner);
    before // 1×
}

#[zygote::entry]
fn inner() -> u32 {
    id() // 1×
}

/// Leaves by C's `exit`, which runs the exit handlers.
#[zygote::entry]
fn exit(code: i32) {
    let code = code + 1; // 1×
    std::process::exit(code);
}

/// Ends in a way that nobody sees coming.
#[zygote::entry]
fn abort(n: u32) {
    let _ = n.to_string(); // 0×
    std::process::abort();
}

#[zygote::preload]
fn load(n: u32) -> Vec<u32> {
    (0..n).collect() // 1×
}

#[zygote::preload]
fn more(numbers: &mut Vec<u32>) {
    numbers.push(7); // 1×
}

#[zygote::preload]
fn fail(n: u32) -> Result<u32, String> {
    Err(n.to_string()) // 1×
}

#[zygote::entry]
fn sum(numbers: &Vec<u32>) -> u32 {
    numbers.iter().sum() // 2×
}

/// One run; gives the ids of workers that wrote.
pub fn run() -> Vec<u32> {
    let own = id(); // 1×
    let copy = Process::fork_current().unwrap();
    let worker = copy.run(result::task(own)).unwrap();
    let mut pids = vec![worker.join().unwrap()];
    for n in 1..4 {
        pids.push(result::spawn(n).unwrap().join().unwrap()); // 3×
    }
    error::spawn(1).unwrap().join().unwrap().unwrap_err();
    for n in 0..2 {
        assert!(panic::spawn(n).unwrap().join().unwrap_err().is_panic()); // 2×
    }
    pids.push(nested::spawn().unwrap().join().unwrap());
    let worker = exit::spawn(2).unwrap();
    let exit = worker.wait().unwrap();
    assert_eq!(exit.status().unwrap().code(), Some(3));
    assert!(abort::spawn(1).unwrap().join().unwrap_err().is_signal());
    let process = Process::new().unwrap().preload(load::task(3)).unwrap();
    assert_eq!(sum::spawn(&process).unwrap().join().unwrap(), 3);
    let process = process.preload(more::task()).unwrap();
    assert_eq!(sum::spawn(&process).unwrap().join().unwrap(), 10);
    pids.push(process.id().unwrap());
    let error = Process::new().unwrap().preload(fail::task(1)).unwrap_err();
    assert!(error.to_string().contains("fail"), "{error}");
    pids // 1×
}
