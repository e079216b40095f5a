//! The functions that an expansion calls, one for each step.

use std::{fmt, os::unix::net::UnixStream};

use super::Codec;
use crate::{
    error::{Error, ErrorKind, Result},
    parcel::{Decoder, Encoder, Job},
    registry::Entry,
    sys::fork,
};

/// Puts one value; `what` names it in the error.
pub fn put<T>(codec: &impl Codec<T>, what: &str, value: T, out: &mut Encoder) -> Result<()> {
    codec
        .encode_this_way(value, out)
        .map_err(|error| error.context(format!("{what} could not be encoded")))
}

/// Takes one value; `what` names it in the error.
pub fn take<T>(codec: &impl Codec<T>, what: &str, input: &mut Decoder) -> Result<T> {
    codec
        .decode_this_way(input)
        .map_err(|error| error.context(format!("{what} could not be decoded")))
}

/// Gives the first error of several steps. All of them were taken, so that the
/// descriptors that were put in can be got back from the task.
pub fn all<const N: usize>(done: [Result<()>; N]) -> Result<()> {
    done.into_iter().collect()
}

/// Takes the arguments of an entry, before any of its code runs.
pub fn arguments<T>(
    entry: &Entry,
    job: &mut Job,
    take: impl FnOnce(&mut Decoder) -> Result<T>,
) -> Result<T> {
    let input = job.args();
    let taken = take(input).and_then(|taken| input.finish().map(|()| taken));
    // A type may fork while it is decoded; the entry still runs only once.
    fork::end_copy(0);
    taken.map_err(|error| error.unstarted().with_entry(entry.path()))
}

/// Gives the preloaded value that an entry refers to.
pub fn state<'a, T: 'static>(entry: &Entry, job: &'a mut Job) -> Result<&'a mut T> {
    job.state()
        .map_err(|error| error.unstarted().with_entry(entry.path()))
}

/// Takes the result of an entry.
pub fn returned<T>(codec: &impl Codec<T>, input: &mut Decoder) -> Result<T> {
    let value = take(codec, "the result", input)?;
    input.finish()?;
    Ok(value)
}

/// Takes what a preload returned.
pub fn loaded<T, E: fmt::Display>(result: Result<T, E>) -> Result<T> {
    // The alternate form of an `anyhow::Error` has the causes.
    result.map_err(|error| Error::new(ErrorKind::Preload, format!("{error:#}")))
}

/// Takes the socket of a raw entry.
pub fn connection(entry: &Entry, job: &mut Job) -> Result<UnixStream> {
    arguments(entry, job, |input| input.take_fd().map(UnixStream::from))
}
