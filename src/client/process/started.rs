//! From a task to a worker: what is sent, and what is waited for.

use std::{os::fd::BorrowedFd, sync::Arc};

use super::{Lease, lend::lend};
use crate::{
    client::{
        peer::{Peer, gone},
        template,
        tree::Tree,
        worker::Worker,
    },
    error::{Error, Result},
    hooks::{self, When},
    parcel::Encoder,
    settings::{Ends, Settings},
    sys::{epoch, fail, poll::Deadline},
    task::{Load, Task},
    wire::{
        frame::{FROM_STOCK, Head, KEEP, Kind, ONCE, TELL_READY, job},
        link::{self, Trouble},
    },
};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Until {
    /// The process exists.
    Exists,
    /// The process is what its settings and hooks make of it.
    Ready,
    /// The process has become another executable.
    Executed,
}

/// How a live worker takes calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Whether it goes on after a panic that had the preloaded value by `&mut`.
    pub(crate) keeps: bool,
    /// Whether it ends after one call.
    pub(crate) once: bool,
}

impl Manner {
    fn flags(self) -> u64 {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        flag(self.keeps, KEEP) | flag(self.once, ONCE)
    }
}

/// What it is told.
#[derive(Clone, Copy)]
pub(super) enum Told<'a> {
    /// To run this, with more descriptors.
    Run(&'a Load, &'a [BorrowedFd<'a>]),
    /// To take calls, which are noted on this page.
    Serve(BorrowedFd<'a>, Manner),
}

impl Told<'_> {
    /// Names the entry in an error.
    fn name(self, error: Error) -> Error {
        match self {
            Self::Run(load, _) => error.with_entry(load.entry.path()),
            Self::Serve(..) => error,
        }
    }
}

/// A process that was sent a task.
#[derive(Debug)]
pub(super) struct Started {
    peer: Arc<Peer>,
    settings: Settings,
    ends: Ends,
    tree: Tree,
    until: Until,
    deadline: Deadline,
}

impl Started {
    pub(super) fn new(
        peer: Arc<Peer>,
        settings: Settings,
        ends: Ends,
        until: Until,
        deadline: Deadline,
    ) -> Self {
        Self {
            peer,
            tree: Tree::of(&settings),
            settings,
            ends,
            until,
            deadline,
        }
    }

    /// Sends the task, without waiting for anything. The process ends if that fails.
    pub(super) fn tell(
        lease: Lease,
        mut settings: Settings,
        told: Told<'_>,
        until: Until,
        deadline: Deadline,
    ) -> Result<Self> {
        let named = |error: Error| told.name(error.unstarted());
        settings.check().map_err(named)?;
        let ends = Ends::make(&mut settings).map_err(named)?;
        let until = match until {
            // No setting or hook makes anything of it, so it sends no word for that.
            Until::Ready if settings.is_empty() && !hooks::has(When::Worker) => Until::Exists,
            until => until,
        };
        let mut started = Self::new(Arc::clone(lease.peer()), settings, ends, until, deadline);
        fail::point("program: before Run");
        started.send(told).map_err(named)?;
        fail::point("program: after Run");
        drop(lease.release());
        Ok(started)
    }

    /// Sends the settings and the task. A spare that died while it waited in stock is
    /// replaced.
    fn send(&mut self, told: Told<'_>) -> Result<()> {
        loop {
            match self.try_to_send(told) {
                Ok(()) => return Ok(()),
                Err(Trouble::Closed { .. }) if self.peer.is_replaceable() => {
                    self.replace()?;
                }
                Err(trouble) => {
                    return Err(self.peer.lost(trouble, "sending a task", self.deadline));
                }
            }
        }
    }

    fn try_to_send(&self, told: Told<'_>) -> Result<(), Trouble> {
        let line = &self.peer.line;
        line.limit_results(self.settings.longest_result());
        send_settings(&self.peer, &self.settings, self.deadline)?;
        let (mut flags, lent) = lend(&self.settings);
        if self.peer.birth.is_spare() {
            flags |= FROM_STOCK;
        }
        if self.until == Until::Ready {
            flags |= TELL_READY;
        }
        let number = u64::from(epoch::pid()) | flags;
        match told {
            Told::Run(load, more) => {
                let (head, fds) = (Head::new(Kind::Run, number), [more, &lent].concat());
                send_load(&self.peer, head, load, &fds, self.deadline)
            }
            Told::Serve(page, manner) => {
                let number = number | manner.flags();
                let (head, fds) = (
                    Head::new(Kind::Serve, number),
                    [&[page], &lent[..]].concat(),
                );
                line.send(head, &[], &fds, self.deadline)
            }
        }
    }

    /// Tells whether the process is as far as somebody would wait for.
    #[cfg(feature = "pool")]
    pub(super) fn is_there(&self) -> bool {
        self.until == Until::Exists && self.peer.known().is_some()
    }

    /// Puts another process in the place of a spare that ran nothing.
    fn replace(&mut self) -> Result<()> {
        let origin = self.peer.origin().cloned().ok_or_else(gone)?;
        self.peer = template::fork_again(&origin, self.deadline)?;
        Ok(())
    }

    /// Waits until the process runs the task, and gives its handle.
    pub(super) fn begin<R, K>(
        self,
        task: &Task<R, K>,
        more: &[BorrowedFd<'_>],
    ) -> Result<Worker<R>> {
        let (peer, ends, tree) = self.settle(Told::Run(task.load(), more))?;
        let (entry, decode) = (task.load().entry.path(), task.decode());
        Ok(Worker::new(peer, entry, decode, ends, tree))
    }

    /// Waits until the process is as far as `until` says.
    pub(super) fn settle(mut self, told: Told<'_>) -> Result<(Arc<Peer>, Ends, Tree)> {
        let begun = self.exist(told).and_then(|()| {
            self.or_end(match self.until {
                Until::Exists => Ok(()),
                Until::Ready => self.peer.ready(self.deadline),
                Until::Executed => self.peer.executed(self.deadline),
            })
        });
        match begun {
            Ok(()) => Ok((self.peer, self.ends, self.tree)),
            // A caller that launches an executable knows no entry.
            Err(error) if self.until == Until::Executed => Err(error),
            Err(error) => Err(told.name(error)),
        }
    }

    /// Kills a process that exists and gets no handle, which must not go on: this
    /// program may have had no room or no memory for a handle.
    fn or_end<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| {
            if !error.is_unstarted() {
                self.peer.kill_by_template();
            }
        })
    }

    /// Waits until the process exists.
    fn exist(&mut self, told: Told<'_>) -> Result<()> {
        if let Some(origin) = self.peer.origin() {
            origin.restock();
        }
        loop {
            let Err(error) = self.peer.hello(self.deadline) else {
                return Ok(());
            };
            if !self.peer.has_vanished() {
                return self.or_end(Err(error));
            }
            self.replace()?;
            self.send(told)?;
        }
    }
}

/// Sends these settings, if there are any.
pub(super) fn send_settings(
    peer: &Peer,
    settings: &Settings,
    deadline: Deadline,
) -> Result<(), Trouble> {
    if settings.is_empty() {
        return Ok(());
    }
    let mut out = Encoder::default();
    settings.encode(&mut out);
    let (head, fds) = (Head::new(Kind::Settings, 0), settings.fds());
    let fds: Vec<_> = fds.collect();
    peer.line.send(head, &[&out.bytes], &fds, deadline)
}

/// Sends an entry or a preload with its arguments, and `more` descriptors.
pub(super) fn send_load(
    peer: &Peer,
    head: Head,
    load: &Load,
    more: &[BorrowedFd<'_>],
    deadline: Deadline,
) -> Result<(), Trouble> {
    let fds: Vec<_> = load.all_fds(more).collect();
    let body: [&[u8]; 2] = [&job::encode(load.entry.id()), &load.bytes];
    link::send_kept(peer.line.open()?, head, &body, &load.memory, &fds, deadline)
}
