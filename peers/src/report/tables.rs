//! The tables, in Markdown.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    collect::State,
    figures::median,
    goals::{GOALS, Goal, Limit, Where},
    survey::{Cell, LARGE, SMALL, Survey, THREADS},
    ways::{Kind, Name, WAYS},
};

/// The facts about the machine.
#[must_use]
pub fn machine(facts: &[(&str, String)], places: &[&str]) -> String {
    let mut text = String::from("| | |\n|---|---|\n");
    for (what, value) in facts {
        let _ = writeln!(text, "| {what} | {value} |");
    }
    let _ = writeln!(text, "| measured | {} |", places.join("; "));
    text
}

/// The goals, and what became of them on each of these CPUs.
#[must_use]
pub fn goals(states: &[State]) -> String {
    let mut text = String::from("| what | goal |");
    for state in states {
        let _ = write!(text, " {} | |", state.place);
    }
    text += "\n|---|---|";
    text += &"---|---|".repeat(states.len());
    for goal in GOALS {
        let _ = write!(text, "\n| {} | {} |", goal.what, limit(goal));
        for (at, state) in states.iter().enumerate() {
            let is_set = at == 0 || goal.place == Where::Both;
            text += &measured(goal, state, is_set);
        }
    }
    let what = format!(
        "ahead of every peer: exit seen, without stock, {SMALL} MB, {THREADS} threads, {LARGE} MB"
    );
    let _ = write!(text, "\n| {what} | all |");
    for state in states {
        text += &ahead(state);
    }
    text.push('\n');
    text
}

fn limit(goal: &Goal) -> String {
    match goal.limit {
        Limit::Most(most) => format!("≤ {most}{}", goal.unit),
        Limit::Least(least) => format!("≥ {least}{}", goal.unit),
        Limit::None => "–".to_owned(),
    }
}

fn measured(goal: &Goal, state: &State, is_set: bool) -> String {
    let Some(outcome) = goal.outcome(&state.runs) else {
        return " not measured | |".to_owned();
    };
    let verdict = match goal.reached(outcome.quotient) {
        Some(true) if is_set => "reached",
        Some(false) if is_set => "**missed**",
        _ => "",
    };
    if goal.each.is_empty() {
        return format!(" {:.0}{} | {verdict} |", outcome.quotient, goal.unit);
    }
    let [over, under] = outcome.parts.map(short);
    let each = goal.each;
    format!(
        " **{:.2}** ({over} : {under} {each}) | {verdict} |",
        outcome.quotient
    )
}

/// In how many of the cells that a peer fills this crate is ahead, and where it
/// comes next.
fn ahead(state: &State) -> String {
    let mut ratios = Vec::new();
    for name in WAYS.into_iter().filter(|name| name.kind() == Kind::Peer) {
        // Of medians in the same round; the median of the rounds.
        let mut rounds: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let surveys = |name| state.rounds.get(&name).into_iter().flatten();
        for (ours, peer) in surveys(Name::OursNoStock).zip(surveys(name)) {
            for ((ours, cell), (peer, _)) in cells(ours).into_iter().zip(cells(peer)) {
                if let (Some(ours), Some(peer)) = (ours, peer) {
                    let ratio = ours.exit.at(50) / peer.exit.at(50);
                    rounds.entry(cell).or_default().push(ratio);
                }
            }
        }
        let found = rounds.into_iter();
        ratios.extend(found.map(|(cell, of)| (median(of), name, cell)));
    }
    ratios.sort_by(|one, other| other.0.total_cmp(&one.0));
    let count = ratios.iter().filter(|ratio| ratio.0 < 1.0).count();
    let Some((worst, name, cell)) = ratios.first() else {
        return " not measured | |".to_owned();
    };
    let verdict = if count == ratios.len() {
        "reached"
    } else {
        "**missed**"
    };
    format!(
        " {count} of {}; closest: {worst:.2} of {}, {cell} | {verdict} |",
        ratios.len(),
        name.title()
    )
}

/// The cells of the table, each with its name.
fn cells(survey: &Survey) -> [(Option<&Cell>, String); 3] {
    [
        (survey.sizes.get(&SMALL), format!("{SMALL} MB")),
        (
            survey.threads.as_ref(),
            format!("{SMALL} MB, {THREADS} threads"),
        ),
        (survey.sizes.get(&LARGE), format!("{LARGE} MB")),
    ]
}

/// Every way, on these CPUs.
#[must_use]
pub fn ways(state: &State) -> String {
    let mut text = format!(
        "| µs: p50 (p99) | {SMALL} MB: result | exit seen | {SMALL} MB, {THREADS} threads: exit | \
         {LARGE} MB: exit | /s, 1 | /s, 16 |\n|---|---|---|---|---|---|---|\n"
    );
    for name in WAYS {
        let title = if name.kind() == Kind::Ours {
            format!("**{}**", name.title())
        } else {
            name.title().to_owned()
        };
        let cells = match state.ways.get(&name) {
            None => continue,
            Some(Err(why)) => format!("{} | | | | |", why.replace('|', "\\|")),
            Some(Ok(survey)) => row(survey),
        };
        let _ = writeln!(text, "| {title} | {cells} |");
    }
    text
}

fn row(survey: &Survey) -> String {
    let figure = |spread: &crate::figures::Spread| {
        format!("{} ({})", short(spread.at(50)), short(spread.at(99)))
    };
    let [small, threads, large] = cells(survey).map(|(cell, _)| cell);
    let exit = |cell: Option<&Cell>| cell.map_or("–".to_owned(), |cell| figure(&cell.exit));
    let rate = |many| {
        survey
            .in_flight
            .get(&many)
            .copied()
            .map_or("–".to_owned(), short)
    };
    [
        small.map_or("–".to_owned(), |cell| figure(&cell.result)),
        exit(small),
        exit(threads),
        exit(large),
        rate(1),
        rate(16),
    ]
    .join(" | ")
}

/// With as many digits as say something.
pub(crate) fn short(figure: f64) -> String {
    if figure < 20.0 {
        format!("{figure:.1}")
    } else {
        let text = format!("{figure:.0}");
        // A comma at each thousand.
        let mut with_commas = String::new();
        for (at, digit) in text.chars().enumerate() {
            if at > 0 && (text.len() - at) % 3 == 0 {
                with_commas.push(',');
            }
            with_commas.push(digit);
        }
        with_commas
    }
}
