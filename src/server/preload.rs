//! Runs a preload in a process that forks others.

use std::mem;

use super::{
    host::{Host, threads},
    job, keeper, output, panics,
    perform::{end_unheard, perform},
    streams,
};
use crate::{
    error::Result,
    parcel::State,
    phase::{self, Phase},
    sys::{
        fail, fd, huge, signal,
        single::{Single, Threads},
    },
    wire::frame::{Frame, HUGE_PAGES, Kind},
};

/// Runs the preload that the frame names and answers. A preload that fails
/// ends the process: what it left behind is not known.
pub(super) fn run(host: &mut Host, mut frame: Frame) {
    if let Err(error) = host.check_idle("preload") {
        return host.fail(&error);
    }
    fail::set_role("template");
    let wants_huge_pages = frame.number & HUGE_PAGES != 0;
    let state = host.state.take();
    let raw = mem::take(&mut host.settings);
    // This is what stands at 0 to 2 before the preload. Afterwards there may be no room
    // to open it.
    let nothing = match fd::standard(0).and_then(|null| null.try_clone_to_owned()) {
        Ok(nothing) => nothing,
        Err(error) => host.give_up(error, "keeping the standard streams failed"),
    };
    phase::enter(Phase::Running);
    let result = streams::take(&mut frame)
        // What they brought is closed here: the preload has its own copies.
        .and_then(move |()| raw.apply(keeper::enter))
        .and_then(|()| perform(|| load(state, frame)));
    phase::enter(Phase::Serving);
    fail::point("template: after preload");
    // The preload may have changed what a template depends on.
    signal::block_all();
    signal::see_children();
    panics::install();
    // The output is written here: before the answer, and so that no fork writes it once
    // more.
    output::write_out();
    end_unheard();
    if let Err(error) = (0..3).try_for_each(|stream| fd::put(stream, &nothing)) {
        host.give_up(error, "letting go of the standard streams failed");
    }
    drop(nothing);
    let checked = result.and_then(|state| {
        let single = Single::check();
        single.map_err(|Threads(names)| threads(&names))?;
        Ok(state)
    });
    match checked {
        Ok(state) => host.state = state,
        Err(error) => host.end(&error),
    }
    host.keep_descriptors(&[]);
    if wants_huge_pages {
        huge::collapse();
    }
    let _ = host.say(Kind::Done);
}

fn load(state: Option<State>, frame: Frame) -> Result<Option<State>> {
    let preload = job::preload(&frame)?;
    let mut job = job::given(frame, state);
    fail::point("template: before preload");
    preload.run(&mut job)?;
    Ok(job.state)
}
