//! A process from its making to its end, without stock, next to less and to
//! more of the same.

use std::{path::Path, time::Duration};

use anyhow::Result;
use peers::{
    ballast::Ballast,
    figures::{Spread, median},
    goals::Found,
    program::Executed,
    survey::SMALL,
    way::Measured,
};

use crate::{Baselines, by_turns, exit, exits, ways::Template};

const IN_FLIGHT: usize = 16;

/// MB of a program of 4 GB.
const HUGE: usize = 4096;

pub(crate) fn measure(
    found: &mut Found,
    baselines: &Baselines,
    length: Duration,
    peer: &Path,
) -> Result<()> {
    let Baselines { bare, tiny, .. } = baselines;
    let ours = Template::without_stock()?;
    let command = Executed(peer.to_owned());
    let small = Ballast::touch(SMALL)?;

    exits(&ours, Duration::ZERO)?;
    let [mine, by_hand] = by_turns(
        length,
        [&mut |length| exits(&ours, length), &mut |length| {
            exits(bare, length)
        }],
    )?;
    found.ratio("exit:bare", median(mine.clone()), median(by_hand));
    found
        .spreads
        .insert("exit: this crate".to_owned(), Spread::of(mine));

    // Sustained: each turn is long against filling and emptying the stock.
    let [mine, by_hand, at_best, at_best_16, std, std_16] = by_turns(
        4 * length,
        [
            &mut |length| Ok(vec![ours.in_flight(IN_FLIGHT, length)?]),
            &mut |length| Ok(vec![bare.in_flight(IN_FLIGHT, length)?]),
            &mut |length| Ok(vec![tiny.in_flight(1, length)?]),
            &mut |length| Ok(vec![tiny.in_flight(IN_FLIGHT, length)?]),
            &mut |length| Ok(vec![command.in_flight(1, length)?]),
            &mut |length| Ok(vec![command.in_flight(IN_FLIGHT, length)?]),
        ],
    )?
    .map(median);
    found.ratio("flight:bare", mine, by_hand);
    found.ratio("flight:tiny", mine, at_best);
    found.ratio("flight:tiny16", mine, at_best_16);
    found.ratio("flight:command", mine, std);
    found.ratio("flight:command16", mine, std_16);

    let before = exit(&ours, length)?;
    drop(small);
    // As large as makes sense for a short look.
    let huge = if length.is_zero() { 64 } else { HUGE };
    let _huge = Ballast::touch(huge)?;
    exits(&ours, Duration::ZERO)?;
    found.ratio("exit:4gb", exit(&ours, length)?, before);
    Ok(())
}
