//! The head of a frame and the bodies that are not a task or a result. Pure.

mod bodies;
pub(crate) mod failure;
mod head;
mod kind;
mod number;
mod report;

use std::os::fd::OwnedFd;

pub(crate) use self::{
    bodies::{ids, job},
    head::Head,
    kind::Kind,
    number::{FROM_STOCK, HUGE_PAGES, KEEP, NEW_OWNER, ONCE, SAME_OWNER, TELL_READY, streams},
    report::{Fate, Report},
};

/// A frame that arrived whole.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
}
