//! The tables, in Markdown.

use std::fmt::Write as _;

use crate::report::tables::{machine, short};

use super::{
    compare::Figures,
    load::{Kind, LOADS, Load},
    who::{ALL, Who},
};

/// All of it, below the facts about the machine.
#[must_use]
pub fn all(facts: &[(&str, String)], figures: &[Figures]) -> String {
    let places: Vec<_> = figures.iter().map(|each| each.place.as_str()).collect();
    let mut text = machine(facts, &places);
    let _ = write!(text, "\n{}", goals(figures));
    for each in figures {
        let _ = write!(text, "\nCalls a second, {}:\n\n{}", each.place, cells(each));
    }
    text
}

/// Every cell on these CPUs: calls a second, and the µs of each.
fn cells(figures: &Figures) -> String {
    let mut text = String::from("| calls /s (µs each) |");
    for load in LOADS {
        let _ = write!(text, " {} |", load.title());
    }
    text += "\n|---|";
    text += &"---|".repeat(LOADS.len());
    text.push('\n');
    for who in ALL {
        let (title, row) = match figures.missing.get(&who) {
            Some(why) => (who.title(), left_out(why)),
            None => (title(figures, who), row(figures, who)),
        };
        let _ = writeln!(text, "| {title} | {row} |");
    }
    text
}

fn title(figures: &Figures, who: Who) -> &str {
    figures.titles.get(&who).map_or(who.title(), String::as_str)
}

fn left_out(why: &str) -> String {
    let others = " |".repeat(LOADS.len() - 1);
    format!("**left out**: {}{others}", why.replace('|', "\\|"))
}

fn row(figures: &Figures, who: Who) -> String {
    LOADS.map(|load| cell(figures, who, load)).join(" | ")
}

fn cell(figures: &Figures, who: Who, load: Load) -> String {
    match (figures.rate(who, load), figures.cells.get(&(who, load))) {
        (Some(rate), _) => format!("{} ({})", short(rate), short(1e6 / rate)),
        (None, Some(Err(why))) => format!("fails: {}", why.replace('|', "\\|")),
        _ => "–".to_owned(),
    }
}

/// Lines that say loudly who was left out, and why.
#[must_use]
pub fn missing(figures: &[Figures]) -> String {
    let mut text = String::new();
    for figures in figures {
        for (who, why) in &figures.missing {
            let _ = writeln!(text, "LEFT OUT, {}: {}: {why}", figures.place, who.title());
        }
    }
    text
}

/// A goal: who is to have how many times the calls a second of whom.
struct Goal {
    what: &'static str,
    over: Who,
    under: Who,
    least: Option<f64>,
    counts: fn(Load) -> bool,
}

const GOALS: [Goal; 8] = [
    Goal {
        what: "the pool : `procspawn::Pool`, in every cell",
        over: Who::Pool,
        under: Who::Procspawn,
        least: Some(2.0),
        counts: |_| true,
    },
    Goal {
        what: "the pool : Python's, in every cell",
        over: Who::Pool,
        under: Who::Python,
        least: Some(5.0),
        counts: |_| true,
    },
    Goal {
        what: "`calls(1)` : a loop of `spawn` and `join`, 1 in flight",
        over: Who::Pool,
        under: Who::Spawn,
        least: Some(0.95),
        counts: |load| load.many == 1,
    },
    Goal {
        what: "the same, 16 in flight",
        over: Who::Pool,
        under: Who::Spawn,
        least: None,
        counts: |load| load.many > 1,
    },
    Goal {
        what: "the pool : Perl's `AnyEvent::Fork::Pool`, in every cell",
        over: Who::Pool,
        under: Who::PerlPool,
        least: None,
        counts: |_| true,
    },
    Goal {
        what: "both with 16 calls given in advance",
        over: Who::DeepPool,
        under: Who::DeepPerlPool,
        least: None,
        counts: |_| true,
    },
    Goal {
        what: "the pool : one message and back by hand, `u64`",
        over: Who::Pool,
        under: Who::Raw,
        least: None,
        counts: |load| load.kind == Kind::Number,
    },
    Goal {
        what: "the service : one message and back by hand, `u64`",
        over: Who::Services,
        under: Who::Raw,
        least: None,
        counts: |load| load.kind == Kind::Number,
    },
];

/// The goals, and what became of them on each of these CPUs.
fn goals(all: &[Figures]) -> String {
    let mut text = String::from("| calls a second | goal |");
    for figures in all {
        let _ = write!(text, " {} | |", figures.place);
    }
    text += "\n|---|---|";
    text += &"---|---|".repeat(all.len());
    text.push('\n');
    for goal in &GOALS {
        let least = goal
            .least
            .map_or("–".to_owned(), |least| format!("≥ {least}"));
        let _ = write!(text, "| {} | {least} |", goal.what);
        for figures in all {
            let _ = write!(text, " {} |", outcome(goal, figures));
        }
        text.push('\n');
    }
    text
}

/// In how many of those cells the ratio is enough, and the others; or the least.
fn outcome(goal: &Goal, figures: &Figures) -> String {
    let loads = LOADS.into_iter().filter(|load| (goal.counts)(*load));
    let ratio = |load| figures.ratio((goal.over, load), (goal.under, load));
    let mut ratios: Vec<_> = loads
        .filter_map(|load| Some((ratio(load)?, load)))
        .collect();
    ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
    let Some(least) = ratios.first() else {
        return "not measured |".to_owned();
    };
    let one = |(ratio, load): &(f64, Load)| format!("**{ratio:.2}** ({})", load.title());
    let Some(limit) = goal.least else {
        return format!("{} |", one(least));
    };
    let below: Vec<_> = ratios.iter().filter(|(ratio, _)| *ratio < limit).collect();
    if below.is_empty() {
        return format!("{} | reached", one(least));
    }
    let enough = ratios.len() - below.len();
    let below: Vec<_> = below.into_iter().map(one).collect();
    let all = ratios.len();
    format!("{enough} of {all}; not {} | **missed**", below.join(", "))
}
