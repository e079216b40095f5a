//! The plots.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{
    collect::State,
    figures::{Spread, share},
    plot::{Line, Vertical, Words, write},
    survey::SMALL,
    ways::{Name, PLOTTED},
};

/// Without what Markdown needs.
fn title(name: Name) -> String {
    name.title().replace('`', "")
}

/// Writes all of them into a directory, and says which, each with its title.
/// All are of what was found on the same CPUs.
///
/// # Errors
///
/// One cannot be written.
pub fn all(directory: &Path, state: &State) -> Result<Vec<(PathBuf, String)>> {
    fs::create_dir_all(directory)?;
    let mut written = Vec::new();
    let mut plot = |name: &str, words: Words<'_>, vertical, lines: Vec<Line>| {
        if lines.is_empty() {
            return anyhow::Ok(());
        }
        let title = format!("{} ({})", words.title, state.place);
        let path = directory.join(name);
        let titled = Words {
            title: &title,
            ..words
        };
        write(&path, titled, vertical, &lines)?;
        written.push((path, title));
        Ok(())
    };
    plot(
        "size.svg",
        Words {
            title: "A process: made, its u64 received, its exit seen",
            x: "MB that the program has touched",
            y: "µs, median",
        },
        Vertical::Logarithmic,
        by_size(state),
    )?;
    plot(
        "task.svg",
        Words {
            title: "A task given, its u64 received, 1 ms after the one before",
            x: "µs",
            y: "share that is done",
        },
        Vertical::Share,
        tasks(state),
    )?;
    plot(
        "exit.svg",
        Words {
            title: "A process: made, its u64 received, its exit seen, from 10 MB",
            x: "µs",
            y: "share that is done",
        },
        Vertical::Share,
        exits(state),
    )?;
    plot(
        "in_flight.svg",
        Words {
            title: "Processes a second",
            x: "at the same time",
            y: "processes a second",
        },
        Vertical::Logarithmic,
        in_flight(state),
    )?;
    plot(
        "memory.svg",
        Words {
            title: "Memory of each idle worker",
            x: "workers",
            y: "KiB",
        },
        Vertical::Logarithmic,
        memory(state),
    )?;
    Ok(written)
}

/// A line for each way that has one.
fn lines(points: impl Fn(Name) -> Option<Vec<(f64, f64)>>) -> Vec<Line> {
    PLOTTED
        .iter()
        .enumerate()
        .filter_map(|(colour, name)| {
            Some(Line {
                name: title(*name),
                points: points(*name)?,
                colour,
                dashed: false,
            })
        })
        .collect()
}

fn by_size(state: &State) -> Vec<Line> {
    lines(|name| {
        let sizes = &state.sizes.get(&name)?.sizes;
        Some(
            sizes
                .iter()
                .map(|(size, cell)| (share(*size), cell.exit.at(50)))
                .collect(),
        )
    })
}

fn exits(state: &State) -> Vec<Line> {
    lines(|name| {
        let survey = state.ways.get(&name)?.as_ref().ok()?;
        Some(survey.sizes.get(&SMALL)?.exit.curve().collect())
    })
}

fn in_flight(state: &State) -> Vec<Line> {
    lines(|name| {
        let survey = state.ways.get(&name)?.as_ref().ok()?;
        let rates = survey.in_flight.iter();
        Some(rates.map(|(many, rate)| (share(*many), *rate)).collect())
    })
}

fn tasks(state: &State) -> Vec<Line> {
    ["this crate, from stock", "thread", "round trip"]
        .iter()
        .enumerate()
        .filter_map(|(at, name)| {
            let key = format!("task: {name}");
            let spreads: Vec<&Spread> = state
                .runs
                .iter()
                .filter_map(|run| run.spreads.get(&key))
                .collect();
            (!spreads.is_empty()).then(|| Line {
                name: (*name).to_owned(),
                points: Spread::merged(spreads).curve().collect(),
                colour: [0, 2, 3][at],
                dashed: false,
            })
        })
        .collect()
}

fn memory(state: &State) -> Vec<Line> {
    let Some(run) = state.runs.iter().find(|run| !run.memory.is_empty()) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for (at, (way, figures)) in run.memory.iter().enumerate() {
        let line = |what: &str, dashed, of: fn(&(usize, f64, f64)) -> f64| Line {
            name: format!("{way}: {what}"),
            points: figures
                .iter()
                .map(|each| (share(each.0), of(each)))
                .collect(),
            colour: [2, 3, 0][at % 3],
            dashed,
        };
        lines.push(line("Pss", false, |each| each.1));
        lines.push(line("private dirty", true, |each| each.2));
    }
    lines
}
