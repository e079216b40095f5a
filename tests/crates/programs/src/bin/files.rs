//! Parses 2,000 small files, each in a process of its own. Some of them crash the
//! parser: the program names each of these, and has the results of all others, in order.
//!
//! ```text
//! files [HOW-MANY]
//! ```
#![allow(clippy::print_stdout, reason = "it reports what it found")]

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{abort, exit},
    thread,
    time::Duration,
};

use zygote::{Process, Worker};

zygote::early!();

/// How many files are parsed at a time: each takes two descriptors.
const AT_ONCE: usize = 32;

/// How long one file may take.
const LIMIT: Duration = Duration::from_secs(2);

/// What the parser finds in a file.
type Found = Result<usize, String>;

fn main() -> anyhow::Result<()> {
    let many = env::args().nth(1).map_or(Ok(2000), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let paths = write_files(dir.path(), many)?;

    let process = Process::new()?;
    let (mut numbers, mut bad) = (Vec::new(), 0);
    let found = paths.chunks(AT_ONCE).flat_map(|paths| {
        let workers = process.spawn_all(paths.iter().cloned().map(parse::task));
        paths.iter().zip(workers)
    });
    for (path, worker) in found {
        match outcome(worker) {
            Ok(number) => numbers.push(number),
            Err(reason) => {
                bad += 1;
                println!(
                    "{}: {reason}",
                    path.file_name().unwrap_or_default().display()
                );
            }
        }
    }
    let in_order = numbers.is_sorted();
    println!("{} good, {bad} bad, in order: {in_order}", numbers.len());
    Ok(())
}

/// Waits for what a worker found, but not for ever.
fn outcome(worker: zygote::Result<Worker<Found>>) -> Result<usize, String> {
    let found = worker.and_then(|worker| worker.kill_on_drop(true).join_timeout(LIMIT));
    match found {
        Ok(Some(found)) => found,
        Ok(None) => Err("it took too long".to_owned()),
        Err(error) => Err(error.message().to_owned()),
    }
}

/// Writes so many files. Each contains its number, but every hundredth contains a word
/// that makes the parser fail instead, and every five hundredth is empty.
fn write_files(dir: &Path, many: usize) -> io::Result<Vec<PathBuf>> {
    let write = |number: usize| {
        let path = dir.join(format!("{number:04}"));
        let text = match number % 500 {
            0 => String::new(),
            100 => "abort".to_owned(),
            200 => "panic".to_owned(),
            300 => "exit".to_owned(),
            400 => "segv".to_owned(),
            250 if number == 250 => "hang".to_owned(),
            _ => number.to_string(),
        };
        fs::write(&path, text)?;
        Ok(path)
    };
    (1..=many).map(write).collect()
}

/// Parses a file, with the faults that parsers have.
#[expect(clippy::exit, reason = "that is what it does wrong")]
#[zygote::entry]
fn parse(path: PathBuf) -> Found {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    match text.as_str() {
        "abort" => abort(),
        "exit" => exit(7),
        "segv" => overflow(0),
        "hang" => loop {
            thread::park();
        },
        "panic" => panic!("the parser has a bug"),
        text => text.parse().map_err(|_| "it has no number".to_owned()),
    }
}

/// Uses the whole stack.
#[allow(unconditional_recursion, reason = "that is the crash")]
fn overflow(depth: usize) -> Found {
    let block = std::hint::black_box([depth; 1024]);
    Ok(overflow(depth + 1)? + block[0])
}
