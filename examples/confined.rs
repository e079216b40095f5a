//! Counts the words of a text, and those of the files that it includes by lines
//! `include PATH`; in a worker that may open nothing: it counts what it was
//! given, and an `include` gets nowhere. With `--read DIRECTORY` what is below
//! that may be included.
//!
//! ```text
//! echo 'include /etc/passwd' > /tmp/text
//! cargo run --features confine --example confined -- /tmp/text
//! cargo run --features confine --example confined -- /tmp/text --read /etc
//! ```
#![expect(clippy::print_stdout, reason = "the example talks to whoever runs it")]

use std::{
    fs::{self, File},
    io::{self, read_to_string},
    path::PathBuf,
};

use clap::Parser;
use zygote::{Process, settings::Confine};

zygote::early!();

/// Counts the words of a text in a confined worker.
#[derive(Parser)]
struct Options {
    text: PathBuf,
    /// What lines `include PATH` may name.
    #[arg(long, value_name = "DIRECTORY")]
    read: Option<PathBuf>,
}

/// Believes whatever its input says.
#[zygote::entry]
fn count(text: File) -> io::Result<Vec<(String, Result<usize, String>)>> {
    let words = |text: &str| text.split_whitespace().count();
    let text = read_to_string(text)?;
    let mut counts = vec![("the text".to_owned(), Ok(words(&text)))];
    for path in text
        .lines()
        .filter_map(|line| line.strip_prefix("include "))
    {
        let included = fs::read_to_string(path).map_err(|error| error.to_string());
        counts.push((path.to_owned(), included.map(|text| words(&text))));
    }
    Ok(counts)
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut confine = Confine::compute().memory(64 << 20);
    if let Some(directory) = &options.read {
        confine = confine.read(directory);
    }
    let text = File::open(&options.text)?;
    let worker = Process::new()?.confine(confine).run(count::task(text))?;
    for (name, count) in worker.join()?? {
        match count {
            Ok(count) => println!("{name}: {count} words"),
            Err(error) => println!("{name}: {error}"),
        }
    }
    Ok(())
}
