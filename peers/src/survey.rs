//! All there is to know of one way: its latency in each situation of the
//! program, and its throughput.

use std::{collections::BTreeMap, thread, time::Duration};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{figures::Spread, way::Measured};

/// Idle threads in the cell that has them.
pub const THREADS: usize = 8;

/// The program of most cells has touched so many MB.
pub const SMALL: usize = 10;

/// The program of the cell of a large program.
pub const LARGE: usize = 1024;

/// What to measure of a way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// MB that the program has touched, from the least up.
    pub sizes: Vec<usize>,
    /// With so many at the same time.
    pub in_flight: Vec<usize>,
    /// How long each figure is measured.
    pub length: Duration,
}

impl Plan {
    /// The cells of the table.
    #[must_use]
    pub fn cells(length: Duration) -> Self {
        Self {
            sizes: vec![SMALL, LARGE],
            in_flight: vec![1, 2, 4, 8, 16, 32],
            length,
        }
    }

    /// More sizes, and nothing else.
    #[must_use]
    pub fn sizes(length: Duration) -> Self {
        Self {
            sizes: vec![SMALL, 64, 512, 4096],
            in_flight: Vec::new(),
            length,
        }
    }

    /// Just to see that it works.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            sizes: vec![SMALL, 64],
            in_flight: vec![4],
            length: Duration::ZERO,
        }
    }
}

/// In µs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cell {
    /// From the call to the value.
    pub result: Spread,
    /// From the call to the exit.
    pub exit: Spread,
}

/// What was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Survey {
    /// By MB touched.
    pub sizes: BTreeMap<usize, Cell>,
    /// With idle threads, in a small program; if the way can have them.
    pub threads: Option<Cell>,
    /// Processes a second by how many at the same time.
    pub in_flight: BTreeMap<usize, f64>,
}

/// Measures all of the plan.
///
/// # Errors
///
/// Those of the way.
pub fn survey(way: &dyn Measured, plan: &Plan) -> Result<Survey> {
    let mut found = Survey::default();
    for megabytes in &plan.sizes {
        let _touched = way.touch(*megabytes)?;
        found.sizes.insert(*megabytes, cell(way, plan.length)?);
    }
    if plan.in_flight.is_empty() {
        return Ok(found);
    }
    let _touched = way.touch(SMALL)?;
    for many in &plan.in_flight {
        let each = way.in_flight(*many, plan.length)?;
        found.in_flight.insert(*many, each);
    }
    if way.idle_threads(THREADS)? {
        found.threads = Some(cell(way, plan.length)?);
    }
    Ok(found)
}

fn cell(way: &dyn Measured, length: Duration) -> Result<Cell> {
    // Whatever was before has time to go.
    thread::sleep(Duration::from_millis(5));
    way.alone(Duration::ZERO)?;
    let alone = way.alone(length)?;
    Ok(Cell {
        result: Spread::of(alone.results),
        exit: Spread::of(alone.exits),
    })
}
