//! Runs the initialisers of a worker.

use std::{io, mem};

use super::perform::{end_unheard, perform};
use crate::{
    codec,
    error::{Error, ErrorKind, Result},
    parcel::{Decoder, Job, State},
    phase::{self, Phase},
    registry::{self, Entry, Id},
};

/// Runs them in their order, up to the first that fails. Each may use and change the
/// preloaded value.
pub(super) fn run(inits: Vec<(Id, Decoder)>, state: &mut Option<State>) -> Result<()> {
    let before = phase::enter(Phase::Running);
    let result = inits.into_iter().try_for_each(|(id, args)| {
        let entry = registry::find(id)?;
        let mut job = Job {
            args,
            state: mem::take(state),
            ..Job::default()
        };
        let result = perform(|| entry.run(&mut job));
        end_unheard();
        *state = job.state.take();
        result
            .and_then(|()| codec::done(job.reply))
            .map_err(|error| error.context(format!("the initialiser `{}`", entry.path())))?
            .map_err(|error| failed(entry, error))
    });
    phase::enter(before);
    result.map_err(Error::unstarted)
}

fn failed(entry: &Entry, error: io::Error) -> Error {
    let text = format!("the initialiser `{}` failed: {error}", entry.path());
    Error::new(ErrorKind::Setting, text).with_source(error)
}
