//! From a task to a worker: what is sent, and what is waited for.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::Duration,
};

use super::{Process, lend::lend};
use crate::{
    client::{
        launcher,
        peer::{Answer, Hello, Peer, Waited, gone},
        template,
        tree::Tree,
        worker::Worker,
    },
    error::{Error, Kind as ErrorKind, Result},
    hooks::{self, When},
    parcel::Encoder,
    settings::{Ends, Settings},
    sys::{epoch, fail, poll::Deadline},
    task::{Load, Task},
    wire::{
        frame::{FROM_STOCK, Head, Kind, call},
        link::{self, Trouble},
    },
};

/// A process that was sent a task.
pub(super) struct Started {
    peer: Arc<Peer>,
    settings: Settings,
    /// In the number of `Run`.
    flag: u64,
    ends: Ends,
    tree: Tree,
}

impl<S> Process<S> {
    /// Sends the task, without waiting for anything. With settings or hooks,
    /// `flag` is put into the number of `Run`.
    pub(super) fn start(
        self,
        load: &Load,
        more: &[BorrowedFd<'_>],
        flag: u64,
        deadline: Deadline,
    ) -> Result<Started> {
        let Self {
            lease,
            mut settings,
            ..
        } = self;
        let named = |error: Error| error.unstarted().with_entry(load.entry.path());
        load.check()?;
        let peer = lease.peer();
        peer.check_epoch().map_err(named)?;
        peer.discard_stock();
        if peer.has_live_children() {
            let text = "a process that has live workers cannot run an entry: fork it first";
            return Err(named(Error::invalid(text)));
        }
        let lease = lease.worker(deadline).map_err(named)?;
        let peer = lease.peer();
        let ends = Ends::make(&mut settings).map_err(named)?;
        let is_prepared = !settings.is_empty() || hooks::has(When::Worker);
        let mut started = Started {
            peer: Arc::clone(peer),
            flag: if is_prepared { flag } else { 0 },
            ends,
            tree: Tree::of(&settings),
            settings,
        };
        fail::point("program: before Run");
        started.tell(load, more, deadline).map_err(named)?;
        fail::point("program: after Run");
        drop(lease.release());
        Ok(started)
    }
}

impl Process {
    /// Starts a program with these settings, which are plain, without a process
    /// that was forked for it. Returns when it has been executed.
    pub(crate) fn launch(
        mut settings: Settings,
        patience: Option<Duration>,
        task: &Task<()>,
        more: &[BorrowedFd<'_>],
    ) -> Result<Worker<()>> {
        let deadline = Deadline::after(patience.unwrap_or(template::PATIENCE));
        let load = task.load();
        load.check()?;
        let ends = Ends::make(&mut settings)?;
        let mut out = Encoder::default();
        settings.encode(&mut out);
        out.bytes.extend_from_slice(&load.bytes);
        let fds: Vec<_> = settings.fds().chain(load.all_fds(more)).collect();
        let start = |launcher: &Arc<Peer>| launcher.start_program(&out.bytes, &fds, deadline);
        let peer = launcher::with(start)?;
        let origin = peer.origin().cloned();
        let started = Started {
            peer,
            flag: 0,
            ends,
            tree: Tree::of(&settings),
            settings,
        };
        // It says that it is there, then closes its socket: one word to wait for.
        started.peer.await_end(deadline);
        let result = started.begin_program(task, more, deadline);
        if result.as_ref().is_err_and(Error::is_timeout) {
            // It may stand before a file system that does not answer.
            origin.inspect(launcher::give_up);
        }
        result
    }
}

impl Started {
    /// Sends the settings, if there are any, and the task. A spare that died
    /// while it waited in stock is replaced.
    fn tell(&mut self, load: &Load, more: &[BorrowedFd<'_>], deadline: Deadline) -> Result<()> {
        loop {
            match self.try_to_tell(load, more, deadline) {
                Ok(()) => return Ok(()),
                Err(Trouble::Closed { .. }) if self.peer.is_replaceable() => {
                    self.replace(deadline)?;
                }
                Err(trouble) => return Err(lost(&self.peer, trouble, "sending a task", deadline)),
            }
        }
    }

    fn try_to_tell(
        &self,
        load: &Load,
        more: &[BorrowedFd<'_>],
        deadline: Deadline,
    ) -> Result<(), Trouble> {
        let mut flags = self.flag;
        if self.peer.is_from_stock() {
            flags |= FROM_STOCK;
        }
        send_task(&self.peer, &self.settings, flags, load, more, deadline)
    }

    /// Another one takes the place of a spare that ran nothing.
    fn replace(&mut self, deadline: Deadline) -> Result<()> {
        let origin = self.peer.origin().cloned().ok_or_else(gone)?;
        self.peer = template::fork_again(&origin, deadline)?;
        Ok(())
    }

    /// Waits until the process exists and is what its settings say.
    pub(super) fn begin<R, K>(
        mut self,
        task: &Task<R, K>,
        more: &[BorrowedFd<'_>],
        deadline: Deadline,
    ) -> Result<Worker<R>> {
        let (load, entry) = (task.load(), task.load().entry.path());
        let named = |error: Error| error.with_entry(entry);
        self.exist(load, more, deadline).map_err(named)?;
        if self.flag != 0 {
            let ready = self.peer.ready(deadline);
            self.or_end(ready).map_err(named)?;
        }
        Ok(self.into_worker(task))
    }

    /// Waits until the process has executed another program.
    pub(super) fn begin_program(
        mut self,
        task: &Task<()>,
        more: &[BorrowedFd<'_>],
        deadline: Deadline,
    ) -> Result<Worker<()>> {
        self.exist(task.load(), more, deadline)?;
        self.or_end(self.peer.executed(deadline))?;
        Ok(self.into_worker(task))
    }

    /// What exists and gets no handle must not go on: this program may have had
    /// no room or no memory for one.
    fn or_end<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| {
            if !error.is_unstarted() {
                self.peer.kill_by_template();
            }
        })
    }

    fn into_worker<R, K>(self, task: &Task<R, K>) -> Worker<R> {
        let (entry, decode) = (task.load().entry.path(), task.decode());
        Worker::new(self.peer, entry, decode, self.ends, self.tree)
    }

    /// Waits until the process exists.
    fn exist(&mut self, load: &Load, more: &[BorrowedFd<'_>], deadline: Deadline) -> Result<()> {
        if let Some(origin) = self.peer.origin() {
            origin.restock();
        }
        loop {
            let Err(error) = self.peer.hello(deadline) else {
                return Ok(());
            };
            if self.peer.has_vanished() {
                self.replace(deadline)?;
                self.tell(load, more, deadline)?;
                continue;
            }
            return self.or_end(Err(error));
        }
    }
}

/// Sends the settings, if there are any, and the task. The flags are those in the
/// number of `Run`.
fn send_task(
    peer: &Peer,
    settings: &Settings,
    flags: u64,
    load: &Load,
    more: &[BorrowedFd<'_>],
    deadline: Deadline,
) -> Result<(), Trouble> {
    if !settings.is_empty() {
        let mut out = Encoder::default();
        settings.encode(&mut out);
        let (head, fds) = (Head::new(Kind::Settings, 0), settings.fds());
        peer.send(head, &[&out.bytes], &fds.collect::<Vec<_>>(), deadline)?;
    }
    let (streams, lent) = lend(settings);
    let head = Head::new(Kind::Run, u64::from(epoch::pid()) | flags | streams);
    send_load(peer, head, load, &[more, &lent].concat(), deadline)
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
    let body: [&[u8]; 2] = [&call::encode(load.entry.id()), &load.bytes];
    link::send_kept(
        peer.open_socket()?,
        head,
        &body,
        &load.memory,
        &fds,
        deadline,
    )
}

/// Why a process could not be told something. Why it is not there is what its
/// first words, or their absence, or its last word say.
pub(super) fn lost(peer: &Peer, trouble: Trouble, tried: &str, deadline: Deadline) -> Error {
    match trouble {
        Trouble::Closed { .. } => match peer.hello(deadline) {
            Ok(hello) => last_word(peer, hello).unwrap_or_else(|| {
                let text = format!("{tried}: the process is gone");
                Error::new(ErrorKind::TemplateGone, text)
            }),
            Err(error) => error,
        },
        other => other.into_error(tried),
    }
    .unstarted()
}

/// Why a process that was there has ended, if it or its template has said so.
fn last_word(peer: &Peer, hello: &Hello) -> Option<Error> {
    let now = Deadline::after(Duration::ZERO);
    match peer.answer(now, hello.pidfd.as_fd()) {
        Ok(Waited::Got(Answer::Failed(failure))) => Some(failure),
        _ => None,
    }
}
