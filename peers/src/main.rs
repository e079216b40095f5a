//! Measures everything, and writes the tables and plots.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a program that prints tables"
)]

use std::{
    io::IsTerminal,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use peers::{
    collect::{Effort, State, collect},
    machine, pools,
    report::{plots, put, tables},
    run::{Programs, builds, root},
    ways::Name,
};

/// Does the same work with this crate, with others and by hand, pinned to one
/// CPU and not, prints tables of it, and writes them into docs/performance.md
/// and plots into docs/plots.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    /// Only sees that all of it works: no figure is worth anything. Writes no file.
    #[arg(long)]
    quick: bool,
    /// Only this part (several are possible). Writes no file.
    #[arg(long, value_parser = PARTS)]
    only: Vec<String>,
    /// Only the time of a cold release build, next to tokio's; written into
    /// docs/performance.md.
    #[arg(long)]
    build: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Compares pools of processes: calls a second, pinned to one CPU and not;
    /// written into docs/performance.md.
    Pools {
        /// Only sees that all of it works. Writes no file.
        #[arg(long)]
        quick: bool,
    },
}

const PARTS: [&str; 11] = [
    "ways", "sizes", "task", "spawn", "stall", "crowd", "echo", "command", "shared", "memory",
    "startup",
];

fn main() -> Result<()> {
    let options = Options::parse();
    let document = root().join("docs/performance.md");
    if options.build {
        return build(&document);
    }
    let begin = Instant::now();
    let programs = Programs::build()?;
    let mut say = |what: &str| {
        if std::io::stderr().is_terminal() {
            eprintln!("{:4.0} s  {what}", begin.elapsed().as_secs_f64());
        }
    };
    if let Some(Part::Pools { quick }) = options.part {
        return pools(&programs, quick, &document, &mut say);
    }
    let facts = machine::facts();
    let effort = if options.quick {
        Effort::quick(options.only.clone())
    } else {
        Effort::full(options.only.clone())
    };
    let pinned = machine::pin()?;
    let place = format!("pinned to CPU {}", pinned.cpu());
    let mut states = vec![collect(&programs, &effort, place, &mut say)?];
    drop(pinned);
    // The sizes are plotted once.
    let effort = effort.without("sizes");
    let place = format!("not pinned, {} CPUs", machine::cpus()?);
    states.push(collect(&programs, &effort, place, &mut say)?);

    let tables = tables(&facts, &states);
    println!("{tables}");
    if options.quick {
        check(&states)?;
        return pools(&programs, true, &document, &mut say);
    }
    if options.only.is_empty() {
        let written = plots::all(&root().join("docs/plots"), &states[0])?;
        let mut text = tables;
        for (path, title) in written {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            text += &format!("\n![{title}](plots/{name})\n");
        }
        put(&document, "figures", &text)?;
        println!(
            "{} s, written to {}",
            begin.elapsed().as_secs(),
            document.display()
        );
    }
    Ok(())
}

fn tables(facts: &[(&str, String)], states: &[State]) -> String {
    let places: Vec<_> = states.iter().map(|state| state.place.as_str()).collect();
    let mut text = tables::machine(facts, &places);
    text += "\n## Goals\n\n";
    text += &tables::goals(states);
    for state in states {
        text += &format!("\n## Every way, {}\n\n", state.place);
        text += &tables::ways(state);
    }
    text
}

/// Whether each way is as it should be: those that cannot be are known.
fn check(states: &[State]) -> Result<()> {
    for (name, outcome) in states.iter().flat_map(|state| &state.ways) {
        if let Err(why) = outcome {
            let is_known = match name {
                Name::Crossmist => why.contains("unreachable code"),
                Name::AnyEvent => why.contains("not installed"),
                _ => false,
            };
            ensure!(is_known, "{}: {why}", name.title());
        }
    }
    Ok(())
}

fn pools(
    programs: &Programs,
    is_quick: bool,
    document: &Path,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    let facts = machine::facts();
    let (rounds, length) = if is_quick { (1, 0) } else { (5, 200) };
    let figures = pools::measure(programs, rounds, Duration::from_millis(length), say)?;
    let tables = pools::table::all(&facts, &figures);
    println!("{tables}\n{}", pools::table::missing(&figures));
    figures.iter().try_for_each(pools::Figures::check)?;
    if !is_quick {
        put(document, "pools", &tables)?;
    }
    Ok(())
}

fn build(document: &Path) -> Result<()> {
    let [ours, tokio] = builds()?;
    let ratio = ours / tokio;
    let verdict = if ratio <= 1.0 {
        "reached"
    } else {
        "**missed**"
    };
    let text = format!(
        "| cold release build | goal | measured | |\n|---|---|---|---|\n\
         | this crate with default features : tokio 1.54.1 with `full` | ≤ 1 | \
         **{ratio:.2}** ({ours:.1} : {tokio:.1} s) | {verdict} |\n"
    );
    println!("{text}");
    put(document, "build", &text)
}
