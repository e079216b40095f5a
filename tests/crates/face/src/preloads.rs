//! Values that stay in a template.

use std::{io, path::PathBuf};

use zygote::Process;

/// Neither serde nor `Send`: it does not travel.
#[derive(Debug)]
struct Index {
    words: Vec<std::rc::Rc<str>>,
}

#[zygote::preload]
fn load(path: PathBuf) -> io::Result<Index> {
    let text = std::fs::read_to_string(path)?;
    let words = text.split_whitespace().map(Into::into).collect();
    Ok(Index { words })
}

/// A layer on top of another.
#[zygote::preload]
fn count(index: &Index) -> usize {
    index.words.len()
}

/// In place.
#[zygote::preload]
fn sort(index: &mut Index) {
    index.words.sort();
}

#[zygote::entry]
fn search(index: &Index, query: String) -> Vec<String> {
    let words = index.words.iter();
    words
        .filter(|word| word.contains(&query))
        .map(ToString::to_string)
        .collect()
}

/// The worker owns its copy.
#[zygote::entry]
fn first(index: &mut Index) -> Option<String> {
    index.words.truncate(1);
    index.words.pop().map(|word| word.to_string())
}

#[zygote::entry]
fn counted(count: &usize) -> usize {
    *count
}

/// Loads once, asks often.
///
/// # Errors
///
/// When anything fails.
pub fn program() -> crate::Result<()> {
    let index: Process<Index> = Process::new()?.preload(load::task("Cargo.toml".into()))?;
    let hits = search::spawn(&index, "zygote".to_owned())?.join()?;
    assert!(hits.contains(&"zygote".to_owned()), "{hits:?}");

    let sorted = index.fork()?.preload(sort::task())?;
    let least = first::spawn(&sorted)?.join()?;
    assert_eq!(first::spawn(&sorted)?.join()?, least);

    let counts: Process<usize> = sorted.fork()?.preload(count::task())?;
    assert!(counted::spawn(&counts)?.join()? > 10);

    let failed = Process::new()?.preload(load::task("no/such/file".into()));
    let error = failed.expect_err("the file is not there");
    assert!(error.to_string().contains("No such file"), "{error}");
    Ok(())
}
