//! This crate, measured: as one of the ways, and against its goals.
//!
//! `ours survey WAY PLAN` measures one way as the plan says; `ours goal GROUP
//! LENGTH` makes one run of a group of goals, each figure measured for so many
//! milliseconds. Both print what they found for `peers`. `ours pools NAME` answers its
//! requests.
#![allow(clippy::print_stdout, reason = "what it found is for its caller")]

mod command;
mod crowd;
mod echo;
mod memory;
mod pool;
mod pools;
mod shared;
mod spawn;
mod stall;
mod task;
mod ways;

use std::{env, path::Path, thread, time::Duration};

use anyhow::{Result, bail};
use peers::{
    bare::Template, figures::median, forked, goals::Found, survey::survey, tiny::Tiny, way::Way,
};

zygote::early!();

/// What is there before any memory is touched and any thread is started.
struct Baselines {
    bare: Template,
    tiny: Tiny,
    /// A live process that sends back what it receives.
    trip: std::os::fd::OwnedFd,
}

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let found = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["pools", name] => return pools::answer(name),
        ["survey", name, plan] => {
            let way = ways::by_name(serde_json::from_str(name)?)?;
            serde_json::to_string(&survey(&*way, &serde_json::from_str(plan)?)?)?
        }
        ["goal", group, length, peer] => {
            let baselines = Baselines {
                bare: Template::start()?,
                tiny: Tiny::start()?,
                trip: forked::fork_with(|socket| forked::echo(socket, echo::LARGE))?,
            };
            let length = Duration::from_millis(length.parse()?);
            serde_json::to_string(&goals(group, &baselines, length, Path::new(peer))?)?
        }
        _ => bail!("unknown arguments: {args:?}"),
    };
    println!("{found}");
    Ok(())
}

fn goals(group: &str, baselines: &Baselines, length: Duration, peer: &Path) -> Result<Found> {
    let mut found = Found::default();
    match group {
        "task" => task::measure(&mut found, baselines, length)?,
        "spawn" => spawn::measure(&mut found, baselines, length, peer)?,
        "stall" => stall::measure(&mut found, length)?,
        "crowd" => crowd::measure(&mut found, length)?,
        "echo" => echo::measure(&mut found, baselines, length)?,
        "command" => command::measure(&mut found, length)?,
        "shared" => shared::measure(&mut found, length)?,
        "memory" => memory::measure(&mut found, length, peer)?,
        _ => bail!("unknown group: {group}"),
    }
    Ok(found)
}

/// Turns of each of several things that are compared.
const TURNS: u32 = 5;

/// The times of each, taken by turns, so that what changes in the machine meanwhile
/// changes all.
fn by_turns<const N: usize>(
    length: Duration,
    mut ways: [&mut dyn FnMut(Duration) -> Result<Vec<f64>>; N],
) -> Result<[Vec<f64>; N]> {
    let mut times = [(); N].map(|()| Vec::new());
    for _ in 0..TURNS {
        for (way, times) in ways.iter_mut().zip(&mut times) {
            // What the one before has left behind has time to go.
            thread::sleep(Duration::from_millis(3));
            times.extend(way(length / TURNS)?);
        }
    }
    Ok(times)
}

/// The time from the call to the exit, for so long.
fn exits<W: Way>(way: &W, length: Duration) -> Result<Vec<f64>> {
    use peers::way::Measured as _;
    Ok(way.alone(length)?.exits)
}

/// The median of those times.
fn exit<W: Way>(way: &W, length: Duration) -> Result<f64> {
    Ok(median(exits(way, length)?))
}
