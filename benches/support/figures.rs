//! Percentiles of times, in microseconds, and what is printed of them.

use std::time::Duration;

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// By nearest rank. There is at least one figure.
pub(crate) fn percentile(figures: &mut [f64], percent: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[(figures.len() - 1) * percent / 100]
}

pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    percentile(&mut figures.into_iter().collect::<Vec<_>>(), 50)
}

/// One line about a goal. The goals are set for one CPU.
pub(crate) fn goal(what: &str, measured: f64, limit: f64, unit: &str) {
    let verdict = if measured <= limit {
        "reached"
    } else {
        "MISSED"
    };
    println!("  {what:<58} {measured:>8.2}{unit}  goal {limit:.2}{unit}  {verdict}");
}
