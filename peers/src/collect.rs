//! All that a run of the comparison has found.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail};

use crate::{
    figures::{Spread, median},
    goals::Found,
    run::Programs,
    survey::{Cell, Plan, Survey},
    ways::{Kind, Name, PLOTTED, WAYS},
};

/// Groups of goals: each run of one is a process.
pub const GROUPS: [&str; 9] = [
    "task", "spawn", "stall", "crowd", "echo", "command", "shared", "memory", START,
];

/// The group that no process of this crate's measures.
const START: &str = "startup";

/// How much is done.
#[derive(Clone, Debug)]
pub struct Effort {
    /// How often each way is measured.
    pub rounds: usize,
    /// How often each group of goals is.
    pub runs: usize,
    /// How long each figure of a goal is measured.
    pub length: Duration,
    /// How often each program is started that does nothing.
    pub starts: usize,
    /// The cells of the ways.
    pub cells: Plan,
    /// The sizes of the program for the plot.
    pub sizes: Plan,
    /// What is wanted: all, if it is empty.
    pub only: Vec<String>,
    /// What is not.
    pub without: Vec<String>,
}

impl Effort {
    /// What the documents are made of.
    #[must_use]
    pub fn full(only: Vec<String>) -> Self {
        Self {
            rounds: 5,
            runs: 5,
            length: Duration::from_millis(50),
            starts: 100,
            cells: Plan::cells(Duration::from_millis(40)),
            sizes: Plan::sizes(Duration::from_millis(40)),
            only,
            without: Vec::new(),
        }
    }

    /// Just enough to see that all of it works.
    #[must_use]
    pub fn quick(only: Vec<String>) -> Self {
        Self {
            rounds: 1,
            runs: 1,
            length: Duration::ZERO,
            starts: 2,
            cells: Plan::quick(),
            sizes: Plan::quick(),
            only,
            without: Vec::new(),
        }
    }

    /// All but this part.
    #[must_use]
    pub fn without(mut self, part: &str) -> Self {
        self.without.push(part.to_owned());
        self
    }

    fn wants(&self, part: &str) -> bool {
        let is_in = |parts: &[String]| parts.iter().any(|of| of == part);
        (self.only.is_empty() || is_in(&self.only)) && !is_in(&self.without)
    }
}

/// On some CPUs.
#[derive(Debug, Default)]
pub struct State {
    /// Which.
    pub place: String,
    /// What each way does, or why it cannot.
    pub ways: BTreeMap<Name, Result<Survey, String>>,
    /// The same, each round by itself.
    pub rounds: BTreeMap<Name, Vec<Survey>>,
    /// The same by size of the program; only where it is plotted.
    pub sizes: BTreeMap<Name, Survey>,
    /// Each run of each group.
    pub runs: Vec<Found>,
}

/// Measures all that is wanted, on the CPUs that this process may use now.
///
/// # Errors
///
/// Something of this crate's cannot be measured.
pub fn collect(
    programs: &Programs,
    effort: &Effort,
    place: String,
    say: &mut dyn FnMut(&str),
) -> Result<State> {
    let mut state = State {
        place,
        ..State::default()
    };
    if effort.wants("ways") {
        ways(&mut state, programs, effort, say)?;
    }
    if effort.wants("sizes") {
        for name in PLOTTED {
            say(&format!("sizes: {}", name.title()));
            if let Ok(survey) = programs.survey(name, &effort.sizes) {
                state.sizes.insert(name, survey);
            }
        }
    }
    for run in 1..=effort.runs {
        for group in GROUPS.iter().filter(|group| effort.wants(group)) {
            say(&format!("goals: {group}, {run} of {}", effort.runs));
            state.runs.push(if *group == START {
                programs.startup(effort.starts)?
            } else {
                programs.goals(group, effort.length)?
            });
        }
    }
    Ok(state)
}

fn ways(
    state: &mut State,
    programs: &Programs,
    effort: &Effort,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    for round in 0..effort.rounds {
        // Each round begins with another.
        for at in 0..WAYS.len() {
            let name = WAYS[(at + round * 5) % WAYS.len()];
            if state.ways.contains_key(&name) {
                continue;
            }
            say(&format!(
                "ways, {} of {}: {}",
                round + 1,
                effort.rounds,
                name.title()
            ));
            match programs.survey(name, &effort.cells) {
                Ok(survey) => state.rounds.entry(name).or_default().push(survey),
                Err(error) if name.kind() == Kind::Peer => {
                    state.ways.insert(name, Err(error.to_string()));
                }
                Err(error) => bail!("{}: {error}", name.title()),
            }
        }
    }
    for (name, surveys) in &state.rounds {
        let all = || Ok(merged(surveys));
        state.ways.entry(*name).or_insert_with(all);
    }
    Ok(())
}

/// Of rounds, all of one plan.
fn merged(surveys: &[Survey]) -> Survey {
    let cells = |of: &dyn Fn(&Survey) -> Option<Cell>| {
        let cells: Vec<Cell> = surveys.iter().filter_map(of).collect();
        (!cells.is_empty()).then(|| Cell {
            result: Spread::merged(cells.iter().map(|cell| &cell.result)),
            exit: Spread::merged(cells.iter().map(|cell| &cell.exit)),
        })
    };
    let Some(first) = surveys.first() else {
        return Survey::default();
    };
    Survey {
        sizes: first
            .sizes
            .keys()
            .filter_map(|size| Some((*size, cells(&|survey| survey.sizes.get(size).cloned())?)))
            .collect(),
        threads: cells(&|survey| survey.threads.clone()),
        in_flight: first
            .in_flight
            .keys()
            .map(|many| {
                let rates = surveys
                    .iter()
                    .filter_map(|survey| survey.in_flight.get(many));
                (*many, median(rates.copied()))
            })
            .collect(),
    }
}
