//! All cells of all pools, by turns.

use std::{collections::BTreeMap, thread, time::Duration};

use anyhow::{Result, bail, ensure};

use crate::{figures::median, machine, run::Programs, ways::Kind as Role};

use super::{
    asked::Asked,
    load::{Kind, LOADS, Load},
    who::{ALL, Who},
};

/// What was found on some CPUs.
#[derive(Debug, Default)]
pub struct Figures {
    /// Which CPUs.
    pub place: String,
    /// Who they say they are, with their versions.
    pub titles: BTreeMap<Who, String>,
    /// Why some could not be asked at all.
    pub missing: BTreeMap<Who, String>,
    /// Calls a second, by round; or why there are none.
    pub cells: BTreeMap<(Who, Load), Result<Vec<f64>, String>>,
}

impl Figures {
    /// The calls a second of one cell.
    #[must_use]
    pub fn rate(&self, who: Who, load: Load) -> Option<f64> {
        let rounds = self.rounds(who, load)?;
        Some(median(rounds.iter().copied()))
    }

    /// The median of what the rounds say: the one divided by the other.
    #[must_use]
    pub fn ratio(&self, over: (Who, Load), under: (Who, Load)) -> Option<f64> {
        let [over, under] = [self.rounds(over.0, over.1)?, self.rounds(under.0, under.1)?];
        Some(median(
            over.iter().zip(under).map(|(over, under)| over / under),
        ))
    }

    fn rounds(&self, who: Who, load: Load) -> Option<&Vec<f64>> {
        self.cells.get(&(who, load))?.as_ref().ok()
    }

    /// Sees that nothing failed but what may.
    ///
    /// # Errors
    ///
    /// What failed.
    pub fn check(&self) -> Result<()> {
        for (who, why) in &self.missing {
            ensure!(who.may_be_missing(), "{}: {why}", who.title());
        }
        for ((who, load), outcome) in &self.cells {
            if let Err(why) = outcome {
                // Old versions of Python hang when they replace workers.
                let may_fail = *who == Who::Python && load.kind == Kind::Fresh;
                ensure!(may_fail, "{}, {}: {why}", who.title(), load.title());
            }
        }
        Ok(())
    }
}

/// Measures all of it pinned to one CPU and not pinned, in so many rounds of such a
/// length.
///
/// # Errors
///
/// Something of this crate's cannot be measured.
pub fn measure(
    programs: &Programs,
    rounds: usize,
    length: Duration,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<Figures>> {
    let pinned = machine::pin()?;
    let place = format!("pinned to CPU {}", pinned.cpu());
    let first = compare(programs, place, rounds, length, say)?;
    drop(pinned);
    let place = format!("not pinned, {} CPUs", machine::cpus()?);
    let second = compare(programs, place, rounds, length, say)?;
    Ok(vec![first, second])
}

/// Measures each cell of each, on the CPUs that this process may use now.
fn compare(
    programs: &Programs,
    place: String,
    rounds: usize,
    length: Duration,
    say: &mut dyn FnMut(&str),
) -> Result<Figures> {
    let mut figures = Figures {
        place,
        ..Figures::default()
    };
    let mut asked = BTreeMap::new();
    for who in ALL {
        match Asked::start(&mut programs.pools(who)) {
            Ok(program) => {
                figures.titles.insert(who, program.title.clone());
                asked.insert(who, program);
            }
            Err(error) if who.role() == Role::Ours => bail!("{}: {error:#}", who.title()),
            Err(error) => {
                figures.missing.insert(who, format!("{error:#}"));
            }
        }
    }
    for round in 0..rounds {
        for load in LOADS {
            say(&format!(
                "pools, {} of {rounds}: {}",
                round + 1,
                load.title()
            ));
            // Each round begins with another.
            for at in 0..ALL.len() {
                let who = ALL[(at + round * 4) % ALL.len()];
                if who.does(load) {
                    turn(&mut figures, &mut asked, programs, (who, load), length)?;
                }
            }
        }
    }
    Ok(figures)
}

/// One round of one cell. What has failed once is not asked again.
fn turn(
    figures: &mut Figures,
    asked: &mut BTreeMap<Who, Asked>,
    programs: &Programs,
    (who, load): (Who, Load),
    length: Duration,
) -> Result<()> {
    let Some(program) = asked.get_mut(&who) else {
        return Ok(());
    };
    let cell = figures.cells.entry((who, load));
    let Ok(rounds) = cell.or_insert(Ok(Vec::new())) else {
        return Ok(());
    };
    // What the one before has left behind has time to go.
    thread::sleep(Duration::from_millis(5));
    match program.rate(load, length) {
        Ok(rate) => rounds.push(rate),
        Err(error) if who.role() == Role::Ours => {
            bail!("{}, {}: {error:#}", who.title(), load.title())
        }
        Err(error) => {
            figures.cells.insert((who, load), Err(format!("{error:#}")));
            // Whatever state it is in, the other cells get a new one.
            asked.insert(who, Asked::start(&mut programs.pools(who))?);
        }
    }
    Ok(())
}
