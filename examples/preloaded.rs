//! A large table, built once in a template and shared by every worker.
//!
//! 50 workers read the whole of a 200 MB table. Each of them maps it, so the
//! resident sizes add up to 10 GB; the proportional sizes, where a page shared
//! by n processes counts 1/n, add up to little more than one table.
//!
//! ```text
//! cargo run --release --example preloaded
//! ```
#![expect(clippy::print_stdout, reason = "the example talks to whoever runs it")]

use std::{
    fs, io,
    ops::AddAssign,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Parser;
use zygote::{Process, Receiver, Sender};

// No `early!()`: the template that carries the table is a process of its own in
// any case, and where it comes from makes no difference to what it shares.

/// Shows that workers share what their template has loaded.
#[derive(Parser)]
struct Options {
    /// Size of the table in MB.
    #[arg(long, default_value_t = 200)]
    megabytes: usize,
    /// How many workers read it.
    #[arg(long, default_value_t = 50)]
    workers: usize,
    /// Keep the workers until a line is read from stdin.
    #[arg(long)]
    pause: bool,
}

/// What the template keeps. It need be neither `Send` nor serde.
struct Table(Vec<u64>);

fn main() -> anyhow::Result<()> {
    let options = Options::parse();

    let start = Instant::now();
    let template: Process<Table> = Process::new()?.preload(build::task(options.megabytes))?;
    println!(
        "table of {} MB built in {:.1?}",
        options.megabytes,
        start.elapsed()
    );

    let (report, reports) = zygote::channel::<u64>()?;
    let (release, released) = zygote::channel::<()>()?;
    let start = Instant::now();
    let workers = (0..options.workers)
        .map(|_| read::spawn(&template, report.try_clone()?, released.try_clone()?))
        .collect::<zygote::Result<Vec<_>>>()?;
    let mut sums = Vec::new();
    for _ in &workers {
        sums.push(reports.recv_timeout(Duration::from_secs(60))?);
    }
    println!(
        "read by {} workers in {:.1?}\n",
        workers.len(),
        start.elapsed()
    );
    ensure!(
        sums.windows(2).all(|pair| pair[0] == pair[1]),
        "the workers differ: {sums:?}"
    );

    // All of them are alive now: what they share is shared at the same time.
    println!(
        "{:>8} {:>12} {:>12} {:>14}",
        "worker", "Rss kB", "Pss kB", "private kB"
    );
    let mut total = Memory::default();
    for worker in &workers {
        let memory = Memory::of(worker.id())?;
        memory.print(&worker.id().to_string());
        total += memory;
    }
    total.print("total");
    println!(
        "\n{} copies of the table would take {} MB; the workers take {} MB",
        workers.len(),
        workers.len() * options.megabytes,
        total.pss / 1024
    );
    if options.pause {
        println!("press Enter to let the workers go");
        io::stdin().read_line(&mut String::new())?;
    }

    // With the last sender gone, every `recv` of the other end returns.
    drop(release);
    for worker in workers {
        worker.join()?;
    }
    Ok(())
}

/// Runs once, in the template.
#[zygote::preload]
fn build(megabytes: usize) -> Table {
    let mut state = 1_u64;
    let next = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    Table(std::iter::repeat_with(next).take(megabytes << 17).collect())
}

/// Runs in a worker: reads every page, reports, and lives until released.
#[zygote::entry]
fn read(table: &Table, report: Sender<u64>, released: Receiver<()>) {
    let sum = table.0.iter().fold(0, |sum: u64, &n| sum.wrapping_add(n));
    report.send(sum).expect("the program should be there");
    // Nothing is ever sent: this ends when the program drops its end.
    released.recv().ok();
}

/// What `/proc/PID/smaps_rollup` says of a process, in kB.
#[derive(Default)]
struct Memory {
    rss: u64,
    pss: u64,
    private: u64,
}

impl Memory {
    fn of(pid: u32) -> anyhow::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let field = |name: &str| {
            text.lines()
                .find_map(|line| {
                    line.strip_prefix(name)?
                        .strip_suffix("kB")?
                        .trim()
                        .parse()
                        .ok()
                })
                .with_context(|| format!("smaps_rollup has no {name}"))
        };
        Ok(Self {
            rss: field("Rss:")?,
            pss: field("Pss:")?,
            private: field("Private_Dirty:")?,
        })
    }

    fn print(&self, name: &str) {
        println!(
            "{name:>8} {:>12} {:>12} {:>14}",
            self.rss, self.pss, self.private
        );
    }
}

impl AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        self.rss += other.rss;
        self.pss += other.pss;
        self.private += other.private;
    }
}
