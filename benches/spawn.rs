//! What a process costs: from the call to its 8 bytes of result, and to its exit.
//!
//! The figures that the goals are about are those pinned to one CPU.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod support {
    pub(crate) mod ballast;
    pub(crate) mod bare;
    pub(crate) mod figures;
    pub(crate) mod forked;
    pub(crate) mod plan;
    pub(crate) mod program;
    pub(crate) mod way;
}

use std::{
    collections::VecDeque,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use support::{
    ballast::Ballast,
    bare,
    figures::{goal, median, micros, percentile},
    plan::{Plan, allowed_cpus, plan},
    program,
    way::{Command, Fork, Way},
};
use zygote::{Process, Worker};

zygote::early!();

#[zygote::entry]
fn number(value: u64) -> u64 {
    value
}

const IN_FLIGHT: usize = 16;
const IDLE_THREADS: usize = 8;

/// The early template, which `spawn` uses.
struct Early;

impl Way for Early {
    type Made = Worker<u64>;
    fn start(&self, value: u64) -> Result<Worker<u64>> {
        Ok(number::spawn(value)?)
    }
    fn result(&self, made: &mut Worker<u64>) -> Result<u64> {
        made.join_timeout(Duration::MAX)?.context("no result")
    }
    fn exit(&self, made: Worker<u64>) -> Result<()> {
        ensure!(made.wait()?.success());
        Ok(())
    }
}

/// The same as most will write it, `spawn(..)?.join()?`: the exit is not waited for.
struct EarlyJoined;

impl Way for EarlyJoined {
    type Made = Option<Worker<u64>>;
    fn start(&self, value: u64) -> Result<Self::Made> {
        Ok(Some(number::spawn(value)?))
    }
    fn result(&self, made: &mut Self::Made) -> Result<u64> {
        Ok(made.take().context("joined")?.join()?)
    }
    fn exit(&self, _: Self::Made) -> Result<()> {
        Ok(())
    }
}

/// A template that is the program executed again.
struct Executed(Process);

impl Way for Executed {
    type Made = Worker<u64>;
    fn start(&self, value: u64) -> Result<Worker<u64>> {
        Ok(self.0.fork()?.run(number::task(value))?)
    }
    fn result(&self, made: &mut Worker<u64>) -> Result<u64> {
        Early.result(made)
    }
    fn exit(&self, made: Worker<u64>) -> Result<()> {
        Early.exit(made)
    }
}

/// What is measured of a way, in µs: from the call to the result and to the
/// exit, medians and the 99th percentile of one at a time; then the time per
/// process of one at a time and of 16 in flight. That one is the mean of 16
/// processes, of which the median: the machine's other business stays out of it.
const FIGURES: [&str; 5] = ["result", "exit", "exit p99", "each", "each of 16"];
const EXIT: usize = 1;
const ALONE: usize = 3;
const CROWDED: usize = 4;

type Cell = [f64; FIGURES.len()];

/// What a [`Way`] is once nobody asks what it makes.
trait Measured {
    fn measure(&self, length: Duration) -> Result<Cell>;
}

impl<W: Way> Measured for W {
    fn measure(&self, length: Duration) -> Result<Cell> {
        // Whatever the way before left behind has time to go.
        thread::sleep(Duration::from_millis(5));
        one_at_a_time(self, Duration::ZERO)?;
        let (mut results, mut exits) = one_at_a_time(self, length)?;
        let alone = median(exits.chunks(IN_FLIGHT).map(|chunk| {
            let count: f64 = chunk.iter().map(|_| 1.0).sum();
            chunk.iter().sum::<f64>() / count
        }));
        Ok([
            percentile(&mut results, 50),
            percentile(&mut exits, 50),
            percentile(&mut exits, 99),
            alone,
            in_flight(self, length)?,
        ])
    }
}

fn one_at_a_time<W: Way>(way: &W, length: Duration) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut results, mut exits) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    for value in 0.. {
        let start = Instant::now();
        let mut made = way.start(value)?;
        ensure!(way.result(&mut made)? == value);
        results.push(micros(start.elapsed()));
        way.exit(made)?;
        exits.push(micros(start.elapsed()));
        if value >= 4 && begin.elapsed() >= length {
            break;
        }
    }
    Ok((results, exits))
}

/// One thread, which always has 16 unjoined: the time per process.
fn in_flight<W: Way>(way: &W, length: Duration) -> Result<f64> {
    let mut window = VecDeque::new();
    let mut end = |(value, mut made): (u64, W::Made)| {
        ensure!(way.result(&mut made)? == value);
        way.exit(made)
    };
    let mut times = Vec::new();
    let begin = Instant::now();
    for batch in 0.. {
        let start = Instant::now();
        for value in 0..16 {
            if window.len() == IN_FLIGHT {
                window.pop_front().map_or(Ok(()), &mut end)?;
            }
            window.push_back((value, way.start(value)?));
        }
        // The first batch had nothing to wait for.
        if batch > 0 {
            times.push(micros(start.elapsed()) / 16.0);
            if begin.elapsed() >= length {
                break;
            }
        }
    }
    window.into_iter().try_for_each(end)?;
    Ok(median(times))
}

fn measure(bare: bare::Template, thorough: bool) -> Result<()> {
    for _ in 0..IDLE_THREADS {
        thread::spawn(|| {
            loop {
                thread::park();
            }
        });
    }
    let ways: [(&str, Box<dyn Measured>); 6] = [
        ("bare template", Box::new(bare)),
        ("zygote, early", Box::new(Early)),
        ("zygote, early, join only", Box::new(EarlyJoined)),
        ("zygote, executed", Box::new(Executed(Process::fresh()?))),
        ("fork of the program", Box::new(Fork)),
        ("Command of the program", Box::new(Command)),
    ];
    let (rounds, sizes, length) = if thorough {
        (9, [10, 1024], Duration::from_millis(80))
    } else {
        (1, [10, 64], Duration::ZERO)
    };
    let mut cells = [(); 2].map(|()| vec![Vec::new(); ways.len()]);
    for round in 0..rounds {
        for (size, cells) in sizes.iter().zip(&mut cells) {
            let _ballast = Ballast::touch(*size)?;
            // Each round begins with another way.
            for way in (0..ways.len()).map(|step| (step + round) % ways.len()) {
                cells[way].push(ways[way].1.measure(length)?);
            }
        }
    }

    println!(
        "\nspawn on CPUs {}: µs, medians of {rounds} rounds",
        allowed_cpus()?
    );
    for (size, cells) in sizes.iter().zip(&cells) {
        let columns = FIGURES.map(|figure| format!("{figure:>12}")).concat();
        println!(
            "\n  {:<26}{columns}{:>8}",
            format!("{size} MB touched"),
            "/s"
        );
        for ((name, _), rounds) in ways.iter().zip(cells) {
            let mut figures = [0.0; FIGURES.len()];
            for (at, figure) in figures.iter_mut().enumerate() {
                *figure = median(rounds.iter().map(|cell| cell[at]));
            }
            let columns = figures.map(|figure| format!("{figure:>12.1}")).concat();
            println!("  {name:<26}{columns}{:>8.0}", 1e6 / figures[CROWDED]);
        }
    }
    if !thorough {
        return Ok(());
    }
    println!();
    // Ratios are taken within a round; what counts is their median.
    let ratio = |(over, of): (&[Cell], usize), (under, to): (&[Cell], usize)| {
        median(
            over.iter()
                .zip(under)
                .map(|(over, under)| over[of] / under[to]),
        )
    };
    let [small, large] = &cells;
    for (size, cells) in sizes.iter().zip(&cells) {
        for (name, way) in [("early", 1), ("executed", 3)] {
            let [bare, ours] = [&cells[0], &cells[way]];
            let alone = ratio((ours, EXIT), (bare, EXIT));
            goal(&format!("{name} / bare, exit, {size} MB"), alone, 1.5, "");
            let crowded = ratio((ours, CROWDED), (bare, CROWDED));
            goal(
                &format!("{name} / bare, each of 16, {size} MB"),
                crowded,
                1.5,
                "",
            );
            let both = ratio((ours, CROWDED), (ours, ALONE));
            goal(
                &format!("{name}, each of 16 / each alone, {size} MB"),
                both,
                1.0,
                "",
            );
        }
    }
    for (name, way) in [("early", 1), ("executed", 3)] {
        let grown = ratio((&large[way], EXIT), (&small[way], EXIT));
        goal(
            &format!("{name}, {} MB / {} MB, exit", sizes[1], sizes[0]),
            grown,
            1.1,
            "",
        );
    }
    Ok(())
}

/// For `.ci/syscalls.sh`: so many workers, one after the other, and who is who.
fn count(template: &str, workers: u64) -> Result<()> {
    let executed = if template == "executed" {
        Some(Executed(Process::fresh()?))
    } else {
        None
    };
    for value in 0..workers {
        let worker = executed
            .as_ref()
            .map_or_else(|| Early.start(value), |way| way.start(value))?;
        ensure!(worker.join()? == value);
    }
    println!("{}", std::process::id());
    Ok(())
}

fn main() -> Result<()> {
    match plan()? {
        Plan::Measure(thorough) => measure(bare::Template::start()?, thorough),
        Plan::Other(args) => match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["--answer", value] => Ok(program::answer(value.parse()?)?),
            ["--count", template, workers] => count(template, workers.parse()?),
            _ => anyhow::bail!("unknown arguments: {args:?}"),
        },
        Plan::Done => Ok(()),
    }
}
