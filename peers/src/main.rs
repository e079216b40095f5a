//! Measures everything, and writes the tables and plots.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a program that prints tables"
)]

use std::{io::IsTerminal, path::Path, time::Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use peers::{
    collect::{Effort, State, collect},
    machine,
    report::{plots, put, tables},
    run::{Programs, builds, root},
    ways::Name,
};

/// Does the same work with this crate, with others and by hand, pinned to one
/// CPU and not, prints tables of it, and writes them into docs/performance.md
/// and plots into docs/plots.
#[derive(Parser)]
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
    let facts = machine::facts();
    let effort = if options.quick {
        Effort::quick(options.only.clone())
    } else {
        Effort::full(options.only.clone())
    };
    let mut say = |what: &str| {
        if std::io::stderr().is_terminal() {
            eprintln!("{:4.0} s  {what}", begin.elapsed().as_secs_f64());
        }
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
        return check(&states);
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
    let mut text = tables::machine(facts, states);
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
