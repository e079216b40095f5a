//! Percentiles of times in µs, and what is kept of many of them.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// In µs.
#[must_use]
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// How long it takes, in µs.
///
/// # Errors
///
/// Those of the work.
pub fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(micros(start.elapsed()))
}

/// By nearest rank; `NaN` when there is none.
pub fn percentile(figures: &mut [f64], percent: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().saturating_sub(1);
    figures
        .get(last * percent / 100)
        .copied()
        .unwrap_or(f64::NAN)
}

/// The one in the middle; `NaN` when there is none.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    percentile(&mut figures.into_iter().collect::<Vec<_>>(), 50)
}

/// How many values a [`Spread`] keeps: enough for a curve.
const KEPT: usize = 400;

/// Many figures, as values at equal steps from the least to the greatest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Spread(Vec<f64>);

impl Spread {
    /// Of all these.
    #[must_use]
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        if figures.len() > KEPT {
            let last = figures.len() - 1;
            figures = (0..=KEPT).map(|at| figures[last * at / KEPT]).collect();
        }
        Self(figures)
    }

    /// Of the figures of several spreads, of about as many figures each.
    #[must_use]
    pub fn merged<'a>(spreads: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::of(
            spreads
                .into_iter()
                .flat_map(|spread| spread.0.iter().copied())
                .collect(),
        )
    }

    /// At this percentage.
    #[must_use]
    pub fn at(&self, percent: usize) -> f64 {
        percentile(&mut self.0.clone(), percent)
    }

    /// Each value, and the share of figures that is not above it.
    pub fn curve(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let count = share(self.0.len());
        self.0
            .iter()
            .enumerate()
            .map(move |(at, value)| (*value, share(at + 1) / count))
    }
}

/// A number of things as a figure.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "they are few")]
pub fn share(count: usize) -> f64 {
    count as f64
}
