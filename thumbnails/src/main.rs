//! A directory of pictures in, a directory of thumbnails and one contact sheet
//! out. Every picture is decoded in a process of its own.
//!
//! Decoders are where programs crash: a picture that is corrupt, makes its
//! decoder panic or abort, allocates without end or never comes to an end costs
//! exactly that picture here. It is reported by name, with the reason, and all
//! others are done.
//!
//! ```text
//! cargo run --release -p thumbnails                  # makes its own pictures
//! cargo run --release -p thumbnails -- ~/Pictures --out /tmp/thumbnails
//! cargo run --release -p thumbnails -- ~/Pictures --inject crash --inject hang --inject bomb
//! cargo run --release -p thumbnails --features confine -- --confine --inject intrude
//! ```
//!
//! The exit code is 0 if every picture was done, 1 if some failed, and 2 if the
//! work could not be done at all. Of its own pictures some are broken on
//! purpose, so there it is 0 in spite of them: one makes its decoder crash, one
//! makes it hang, and one makes it eat memory ([`sample`]).
//!
//! Where to look: [`decode`] is all that runs in a worker, [`watch`] is all
//! that the program does about workers: it has a pool of them.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program talks to its user"
)]

mod decode;
mod font;
mod paint;
mod sample;
mod sheet;
mod watch;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Parser;
use image::{ImageFormat, RgbImage};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{decode::Fault, sheet::Sheet, watch::Limits};

// The workers' template is forked before `main`: it holds nothing of what this
// program allocates and opens later, and no picture can see another one.
zygote::early!();

/// Makes thumbnails and a contact sheet, each picture decoded in its own process.
#[derive(Parser)]
struct Options {
    /// Directory of pictures; without it, a sample is made to work on.
    dir: Option<PathBuf>,
    /// Where the thumbnails and the contact sheet go [default: thumbnails, for
    /// the sample target/thumbnails].
    #[arg(long)]
    out: Option<PathBuf>,
    /// How many pictures are decoded at a time [default: one per CPU].
    #[arg(long)]
    workers: Option<NonZeroUsize>,
    /// Seconds that one picture may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,
    /// Memory that one picture may take.
    #[arg(long, value_name = "MB", default_value_t = 512)]
    memory: u64,
    /// Have one of the workers fail this way; may be repeated.
    #[arg(long, value_enum, value_name = "FAULT")]
    inject: Vec<Fault>,
    /// Let the workers decode and do nothing else: open no file, no socket,
    /// start no program. Needs the feature `confine`.
    #[arg(long)]
    confine: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("thumbnails: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> anyhow::Result<ExitCode> {
    ensure!(
        !options.confine || cfg!(feature = "confine"),
        "built without the feature `confine`"
    );
    let (dir, out) = directories(options)?;
    let pictures = list(&dir)?;
    ensure!(!pictures.is_empty(), "no pictures in {}", dir.display());
    let workers = options
        .workers
        .or_else(|| thread::available_parallelism().ok());
    let limits = Limits {
        workers: workers.map_or(1, NonZeroUsize::get),
        time: Duration::from_secs(options.timeout),
        memory: options.memory << 20,
        #[cfg(feature = "confine")]
        confine: options.confine,
    };

    let start = Instant::now();
    let (sheet, failures) = work(&pictures, &faults(options, pictures.len()), &limits, &out)?;
    println!(
        "{} thumbnails with {} workers in {:.2?}, {} pictures failed",
        pictures.len() - failures.len(),
        limits.workers,
        start.elapsed(),
        failures.len(),
    );
    let width = failures.keys().map(|name| name.chars().count()).max();
    for (name, reason) in &failures {
        println!("  {name:0$}  {reason}", width.unwrap_or(0));
    }
    println!("thumbnails:    {}", out.display());
    println!("contact sheet: {}", sheet.display());
    let failed = options.dir.is_some() && !failures.is_empty();
    Ok(ExitCode::from(u8::from(failed)))
}

/// Makes the thumbnails and the contact sheet; gives the sheet's place, and the
/// names of the pictures that failed with the reasons.
fn work(
    pictures: &[PathBuf],
    faults: &BTreeMap<usize, Fault>,
    limits: &Limits,
    out: &Path,
) -> anyhow::Result<(PathBuf, BTreeMap<String, String>)> {
    let progress = ProgressBar::new(pictures.len().try_into()?).with_style(
        ProgressStyle::with_template("{bar:40} {pos} of {len} pictures{msg}")?,
    );
    let mut sheet = Sheet::new(pictures.len());
    let mut failures = BTreeMap::new();
    watch::run(pictures, faults, limits, |index, outcome| {
        let name = name(&pictures[index]);
        let saved = outcome.and_then(|thumbnail| {
            sheet.thumbnail(index, &name, &thumbnail);
            save(&thumbnail.pixels, out, &pictures[index])
        });
        if let Err(reason) = saved {
            // Some decoders' messages have several lines.
            let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
            sheet.failure(index, &name, &reason);
            failures.insert(name, reason);
            progress.set_message(format!(", {} failed", failures.len()));
        }
        progress.inc(1);
    })?;
    progress.finish_and_clear();

    let place = out.join("contact-sheet.png");
    let sheet = sheet.finish(failures.len());
    sheet
        .save(&place)
        .with_context(|| place.display().to_string())?;
    Ok((place, failures))
}

/// Where the pictures are, and where the thumbnails go.
fn directories(options: &Options) -> anyhow::Result<(PathBuf, PathBuf)> {
    let out = match (&options.out, &options.dir) {
        (Some(out), _) => out.clone(),
        (None, Some(_)) => PathBuf::from("thumbnails"),
        (None, None) => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/thumbnails"),
    };
    fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let out = fs::canonicalize(out)?;
    let dir = match &options.dir {
        Some(dir) => fs::canonicalize(dir).with_context(|| dir.display().to_string())?,
        None => {
            let dir = out.join("sample");
            sample::make(&dir).with_context(|| dir.display().to_string())?;
            println!("sample:        {}", dir.display());
            dir
        }
    };
    ensure!(
        dir != out,
        "thumbnails would mix with the pictures in {}",
        dir.display()
    );
    Ok((dir, out))
}

/// The files that look like pictures by their names, sorted.
fn list(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut pictures = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_file() && ImageFormat::from_path(&path).is_ok() {
            pictures.push(path);
        }
    }
    pictures.sort();
    Ok(pictures)
}

/// Which pictures get the injected faults: they are spread evenly.
fn faults(options: &Options, pictures: usize) -> BTreeMap<usize, Fault> {
    let step = pictures / (options.inject.len() + 1);
    let places = (1..).map(|n| (n * step.max(1)).min(pictures - 1));
    places.zip(options.inject.iter().copied()).collect()
}

/// `a.jpg` becomes `a.jpg.png`, so that `a.gif` has a place as well.
fn save(thumbnail: &RgbImage, out: &Path, picture: &Path) -> Result<(), String> {
    let mut name = OsString::from(picture.file_name().unwrap_or_default());
    name.push(".png");
    thumbnail
        .save(out.join(name))
        .map_err(|error| error.to_string())
}

/// A picture's name, fit to be printed.
fn name(picture: &Path) -> String {
    let name = picture.file_name().unwrap_or_default().to_string_lossy();
    name.escape_debug().to_string()
}
