//! What programs write: in one stream, within a limit, and kept when the limit passes.

use std::{
    fs::File,
    io::{Read, Seek},
    time::{Duration, Instant},
};

use zygote::{Command, Process, Stdio};

use crate::util::{Census, alone, until, watchdog};

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

const BOTH: &str = "echo one; echo two >&2; echo three; echo four >&2";

#[test]
fn both_streams_in_one_keep_their_order() {
    let _watchdog = watchdog(20);
    let output = sh(BOTH).stderr_to_stdout().output().unwrap();
    assert_eq!(output.stdout, b"one\ntwo\nthree\nfour\n");
    assert!(output.stderr.is_empty());
    // A setting that a launch cannot carry makes a fork of it.
    let output = sh(BOTH).stderr_to_stdout().nice(0).output().unwrap();
    assert_eq!(output.stdout, b"one\ntwo\nthree\nfour\n");
}

#[test]
fn stderr_goes_wherever_stdout_goes() {
    let _watchdog = watchdog(20);
    let mut file = tempfile::tempfile().unwrap();
    let mut command = sh(BOTH);
    command.stdout(file.try_clone().unwrap()).stderr_to_stdout();
    assert!(command.status().unwrap().success());
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "one\ntwo\nthree\nfour\n");
    let ends = "test $(readlink /proc/$$/fd/1) = $(readlink /proc/$$/fd/2)";
    for stdout in [Stdio::inherit(), Stdio::null()] {
        let mut command = sh(ends);
        assert!(
            command
                .stdout(stdout)
                .stderr_to_stdout()
                .status()
                .unwrap()
                .success()
        );
    }
    // The last that is said of a stream counts.
    let output = sh(BOTH)
        .stderr_to_stdout()
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.stderr, b"two\nfour\n");
}

#[zygote::entry]
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "this is tested")]
fn writes_to_both() {
    println!("out");
    eprintln!("err");
}

#[test]
fn a_worker_has_both_in_one_too() {
    let _watchdog = watchdog(20);
    let process = Process::new()
        .unwrap()
        .stdout(Stdio::piped())
        .stderr_to_stdout();
    for _ in 0..2 {
        let mut worker = process.spawn(writes_to_both::task()).unwrap();
        assert!(worker.take_stderr().is_none());
        let mut text = String::new();
        worker
            .take_stdout()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        // Rust's stdout is written at the latest before the result is sent.
        assert!(text == "out\nerr\n" || text == "err\nout\n", "{text}");
        worker.join().unwrap();
    }
}

#[test]
fn output_within_a_limit_is_what_output_is() {
    let _watchdog = watchdog(20);
    let limit = Duration::from_secs(10);
    let output = sh("head -c 300000 /dev/zero; head -c 200000 /dev/zero >&2; exit 3")
        .output_timeout(limit)
        .unwrap();
    assert_eq!(
        (output.stdout.len(), output.stderr.len()),
        (300_000, 200_000)
    );
    assert_eq!(output.status.code(), Some(3));
    let output = sh("exit 4")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .output_timeout(limit);
    assert_eq!(output.unwrap().status.code(), Some(4));
}

#[test]
fn a_program_that_takes_longer_is_killed() {
    alone(|| {
        let _watchdog = watchdog(20);
        let census = Census::take();
        let started = Instant::now();
        let error = sh("echo begun; exec sleep 77").output_timeout(Duration::from_millis(50));
        let error = error.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert!(
            error.to_string().contains("`sh` did not end within 50ms"),
            "{error}"
        );
        assert!(started.elapsed() < Duration::from_secs(8));
        // Without the pipe's end it would wait for what holds it.
        let error = sh("sleep 2 & exit 0").output_timeout(Duration::from_millis(200));
        assert!(error.unwrap_err().is_timeout());
        census.check();
    });
}

#[test]
fn what_was_written_before_the_limit_is_kept() {
    let _watchdog = watchdog(20);
    let gate = tempfile::NamedTempFile::new().unwrap();
    let script = format!(
        "echo first; while test -e {:?}; do sleep 0.01; done; echo last",
        gate.path()
    );
    let mut child = sh(&script).stdout(Stdio::piped()).spawn().unwrap();
    for _ in 0..3 {
        let output = child
            .wait_with_output_timeout(Duration::from_millis(20))
            .unwrap();
        assert!(output.is_none());
    }
    drop(gate);
    let mut output = None;
    until("the program has ended", || {
        output = child
            .wait_with_output_timeout(Duration::from_millis(100))
            .unwrap();
        output.is_some()
    });
    let output = output.unwrap();
    assert_eq!(output.stdout, b"first\nlast\n");
    assert!(output.status.success());
    let again = child
        .wait_with_output_timeout(Duration::ZERO)
        .unwrap()
        .unwrap();
    assert!(again.stdout.is_empty() && again.status.success());
}

#[test]
fn a_closed_stdout_is_merged_as_nothing() {
    let _watchdog = watchdog(20);
    let nothing = File::open("/dev/null").unwrap();
    let output = sh("echo lost >&2; exit 5")
        .stdout(nothing)
        .stderr_to_stdout()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}
