//! Runs the programs that have a pool, and checks from outside what they say, that they
//! end within seconds, and that they end well.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a program may take, on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs it to its end, and gives what it wrote.
fn run(program: &str) -> String {
    let mut command = Command::new(program);
    command.env("RUST_BACKTRACE", "0").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let (start, mut child) = (Instant::now(), command.spawn().unwrap());
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{program} has not ended");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{program}: {}: {text}",
        output.status
    );
    text
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn thumbnails_tells_good_pictures_from_bad_ones() {
    let text = run(env!("CARGO_BIN_EXE_pool_thumbnails"));
    says(
        &text,
        &["Some(112): 64 wide", "Some(33): crashed", "SIGABRT"],
    );
    says(
        &text,
        &[
            "Some(126): hung",
            "Some(63): panicked",
            "None: refused: the file is empty",
        ],
    );
}

#[test]
fn web_answers_though_its_workers_crash_and_hang() {
    let text = run(env!("CARGO_BIN_EXE_pool_web"));
    says(
        &text,
        &[
            "hello: HTTP/1.1 200 OK | <h1>hello</h1>",
            "crash: HTTP/1.1 500",
        ],
    );
    says(
        &text,
        &[
            "hang: HTTP/1.1 504",
            "again: HTTP/1.1 200 OK | <h1>again</h1>",
            "1090 bytes",
        ],
    );
}

#[test]
fn files_sums_each_in_order() {
    let text = run(env!("CARGO_BIN_EXE_pool_files"));
    assert!(
        text.lines().count() > 0 && text.lines().all(|line| line.contains("src/")),
        "{text}"
    );
}

#[test]
fn model_keeps_the_state_of_each_user() {
    let text = run(env!("CARGO_BIN_EXE_pool_model"));
    says(&text, &["16777216 weights", "anna: ", "(0 hits", "2 hits"]);
}

#[test]
fn ci_tells_what_became_of_each_job() {
    let text = run(env!("CARGO_BIN_EXE_pool_ci"));
    says(
        &text,
        &[
            "quick: done by true",
            "last: done by true",
            "slow: too slow",
            "stop me: stopped",
        ],
    );
    says(&text, &["quick: step 1", "slept 10"]);
}

#[test]
fn inside_shows_neither_processes_nor_errors_of_them() {
    let text = run(env!("CARGO_BIN_EXE_pool_inside"));
    says(&text, &["Ok(17)", "Err(Syntax(", "Ok(18)"]);
}
