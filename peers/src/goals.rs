//! What is to be reached, and whether it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::figures::{Spread, median};

/// What one run of a group of measurements found.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// By a goal's key: what is divided, and by what.
    pub ratios: BTreeMap<String, [f64; 2]>,
    /// Distributions for the plots, by what they are of.
    pub spreads: BTreeMap<String, Spread>,
    /// Memory by way: number of workers, Pss and private dirty KiB of each.
    pub memory: BTreeMap<String, Vec<(usize, f64, f64)>>,
}

impl Found {
    /// Notes a figure that stands for itself.
    pub fn figure(&mut self, key: &str, figure: f64) {
        self.ratio(key, figure, 1.0);
    }

    /// Notes one figure and what it is divided by.
    pub fn ratio(&mut self, key: &str, over: f64, under: f64) {
        self.ratios.insert(key.to_owned(), [over, under]);
    }
}

/// Where the figure has to be.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// At most.
    Most(f64),
    /// At least.
    Least(f64),
    /// It is there to compare with.
    None,
}

/// On which CPUs the goal is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Pinned to one, and not.
    Both,
    /// Pinned: elsewhere it is printed only.
    Pinned,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// What a [`Found`] calls it.
    pub key: &'static str,
    /// In words: what is divided by what.
    pub what: &'static str,
    /// Of the quotient.
    pub limit: Limit,
    /// Of the quotient: nothing for a ratio.
    pub unit: &'static str,
    /// Of what is divided: µs, or processes a second.
    pub each: &'static str,
    /// Where it is set.
    pub place: Where,
}

const fn most(key: &'static str, limit: f64, what: &'static str) -> Goal {
    Goal {
        key,
        what,
        limit: Limit::Most(limit),
        unit: "",
        each: "µs",
        place: Where::Both,
    }
}

const fn least(key: &'static str, limit: f64, what: &'static str) -> Goal {
    Goal {
        limit: Limit::Least(limit),
        each: "/s",
        ..most(key, 0.0, what)
    }
}

const fn amount(key: &'static str, limit: f64, unit: &'static str, what: &'static str) -> Goal {
    Goal {
        unit,
        each: "",
        ..most(key, limit, what)
    }
}

/// All, in the order of the table.
pub const GOALS: &[Goal] = &[
    most(
        "stock:thread",
        0.9,
        "task given → `u64` back from a process in stock, its worker exiting after : \
         `std::thread::spawn(..).join()` of the same function; both 1 ms apart",
    ),
    Goal {
        place: Where::Pinned,
        ..most(
            "stock:trip",
            3.0,
            "the same : one bare SEQPACKET round trip to a live process, also 1 ms apart",
        )
    },
    most(
        "exit:bare",
        1.3,
        "spawn + `u64` + exit seen, without stock : bare template by hand",
    ),
    least(
        "flight:bare",
        0.9,
        "the same, 16 in flight from one thread : bare template, 16 in flight",
    ),
    least(
        "flight:tiny",
        1.5,
        "… : fork + `_exit` + wait in a tiny process, one after the other",
    ),
    least(
        "flight:command",
        4.0,
        "… : `std::process::Command` of the program, one after the other",
    ),
    Goal {
        limit: Limit::None,
        ..least(
            "flight:tiny16",
            0.0,
            "… : fork + `_exit` + wait in a tiny process, 16 at the same time",
        )
    },
    Goal {
        limit: Limit::None,
        ..least(
            "flight:command16",
            0.0,
            "… : `std::process::Command` of the program, 16 at the same time",
        )
    },
    most(
        "exit:4gb",
        1.05,
        "spawn + `u64` + exit without stock, 4 GB touched in the program : 10 MB",
    ),
    most(
        "stall:ours",
        1.2,
        "256 pages written by the program's own thread, p99, with 200 such spawns a second : \
         without (about 1)",
    ),
    Goal {
        limit: Limit::None,
        ..most(
            "stall:fork",
            0.0,
            "the same, with as many forks of the program : without",
        )
    },
    most(
        "crowd:alone",
        1.25,
        "spawn + `u64` + exit without stock, beside 5,000 live workers : beside none",
    ),
    most(
        "crowd:flight",
        1.5,
        "the same, time of each of 16 in flight",
    ),
    most(
        "echo:u64",
        1.15,
        "`u64` to a live worker and back by `zygote::channel` : raw SEQPACKET",
    ),
    most("echo:64k", 1.3, "64 KiB `Vec<u8>` and back : raw"),
    most(
        "command:plain",
        1.0,
        "`/bin/true` by this crate's `Command`, started and its exit seen : by std's, which has \
         `posix_spawn`",
    ),
    most(
        "command:step",
        0.05,
        "the same from 1 GB with a `before_exec` step : std's, which forks",
    ),
    most(
        "command:uid",
        0.05,
        "the same from 1 GB with a user : std's",
    ),
    most(
        "shared:64mb",
        1.3,
        "64 MB as argument of 8 workers : writing 64 MB into one memfd",
    ),
    amount(
        "memory:worker",
        100.0,
        " KiB",
        "private dirty memory of an idle worker",
    ),
    Goal {
        limit: Limit::None,
        ..amount("memory:pss", 0.0, " KiB", "Pss of an idle worker, of 128")
    },
    amount(
        "memory:template",
        300.0,
        " KiB",
        "private memory of a template that has no workers",
    ),
    amount(
        "startup:time",
        150.0,
        " µs",
        "start-up that `early!()` adds to an empty program",
    ),
    Goal {
        limit: Limit::None,
        ..amount(
            "startup:linked",
            0.0,
            " µs",
            "… that this crate adds, linked and not used",
        )
    },
    Goal {
        limit: Limit::None,
        ..amount(
            "startup:forked",
            0.0,
            " µs",
            "… that one `fork` by hand before `main` adds, whose child waits",
        )
    },
    amount(
        "startup:memory",
        64.0,
        " KiB",
        "dirty memory that `early!()` adds to the program, private or shared with its template",
    ),
];

/// A goal's figure: medians over the runs.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Of the quotients.
    pub quotient: f64,
    /// Of what is divided, and of what it is divided by.
    pub parts: [f64; 2],
}

impl Goal {
    /// Over the runs that have it.
    #[must_use]
    pub fn outcome<'a>(&self, runs: impl IntoIterator<Item = &'a Found>) -> Option<Outcome> {
        let parts: Vec<[f64; 2]> = runs
            .into_iter()
            .filter_map(|found| found.ratios.get(self.key).copied())
            .collect();
        if parts.is_empty() {
            return None;
        }
        Some(Outcome {
            quotient: median(parts.iter().map(|[over, under]| over / under)),
            parts: [0, 1].map(|at| median(parts.iter().map(|pair| pair[at]))),
        })
    }

    /// Whether it is reached, if there is one.
    #[must_use]
    pub fn reached(&self, quotient: f64) -> Option<bool> {
        match self.limit {
            Limit::Most(most) => Some(quotient <= most),
            Limit::Least(least) => Some(quotient >= least),
            Limit::None => None,
        }
    }
}
