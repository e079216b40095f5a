//! The ways that are not this project's: other crates, std, and by hand.
//!
//! `peer WAY PLAN` measures one way as the plan says (both as `peers` wrote
//! them) and prints the survey; each way has a process of its own, set up as
//! its crate asks. `peer pools NAME` answers requests to measure a pool. `peer answer
//! VALUE` and `peer idle` are the program that ways execute.
#![allow(clippy::print_stdout, reason = "what it found is for its caller")]

mod anyevent;
mod crossmist;
mod jprendes;
mod mem_isolate;
mod pools;
mod procspawn;
mod tokio;

use std::env;

use anyhow::{Result, bail};
use peers::{
    bare::Template,
    program::{self, Executed, Fork},
    survey::survey,
    tiny::Tiny,
    way::{Blocking, Measured, Thread},
    ways::Name,
};

fn main() -> Result<()> {
    // What executes this program again comes first: it says so by the
    // environment, by the name, or by the first argument.
    ::procspawn::init();
    ::crossmist::init();
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [program::ANSWER, value] => program::answer(value),
        [program::IDLE] => program::idle(),
        ["pools", name] => pools::answer(name),
        [name, plan] => {
            let way = way(serde_json::from_str(name)?)?;
            let found = survey(&*way, &serde_json::from_str(plan)?)?;
            println!("{}", serde_json::to_string(&found)?);
            Ok(())
        }
        _ => bail!("unknown arguments: {args:?}"),
    }
}

fn way(name: Name) -> Result<Box<dyn Measured>> {
    Ok(match name {
        Name::Jprendes => Box::new(jprendes::Jprendes::start()),
        Name::Procspawn => Box::new(procspawn::Procspawn),
        Name::Crossmist => Box::new(crossmist::Crossmist),
        Name::MemIsolate => Box::new(Blocking(mem_isolate::call)),
        Name::Command => Box::new(Executed(env::current_exe()?)),
        Name::Tokio => Box::new(tokio::Tokio::start()?),
        Name::AnyEvent => Box::new(anyevent::Perl::start()?),
        Name::Thread => Box::new(Thread),
        Name::Bare => Box::new(Template::start()?),
        Name::Tiny => Box::new(Tiny::start()?),
        Name::Fork => Box::new(Fork),
        Name::Ours | Name::OursNoStock | Name::OursExecuted => bail!("not here: {name:?}"),
    })
}
