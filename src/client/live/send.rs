//! Giving calls to a live worker.

use std::{os::fd::BorrowedFd, sync::PoisonError};

use super::Live;
use crate::{
    client::{
        line::{Inbox, Waited},
        sync::lock,
    },
    error::{Error, Result},
    sys::{
        fail,
        poll::{Deadline, Want, poll},
    },
    task::Load,
    wire::{
        frame::{Head, Kind, job},
        link::{self, Trouble},
        page::ROOM,
    },
};

impl Live {
    /// Gives it a call, and gives the call's number. Waits while there is no room, and
    /// takes in answers meanwhile: a worker that cannot answer takes no calls.
    pub(crate) fn send(&self, load: &Load, deadline: Deadline) -> Result<u64> {
        load.check()?;
        self.peer.check_epoch()?;
        let number = self.begin(deadline).ok_or_else(no_room)?;
        let sent = self.send_as(number, load, deadline);
        lock(&self.senders).end();
        self.sent.notify_one();
        sent.map(|()| number).map_err(|error| {
            let error = error.unstarted().with_entry(load.entry.path());
            error.with_pid(self.id())
        })
    }

    /// Waits until no other thread sends.
    fn begin(&self, deadline: Deadline) -> Option<u64> {
        let mut senders = lock(&self.senders);
        loop {
            if let Some(number) = senders.begin() {
                return Some(number);
            }
            if deadline.passed() {
                return None;
            }
            senders = match deadline.remaining() {
                None => self
                    .sent
                    .wait(senders)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(time) => {
                    let woken = self.sent.wait_timeout(senders, time);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn send_as(&self, number: u64, load: &Load, deadline: Deadline) -> Result<()> {
        fail::point("program: before Call");
        self.await_word(number, deadline)?;
        self.page.give(number);
        let line = &self.peer.line;
        line.with_inbox(|inbox| inbox.answers.ask(number));
        let sent = line
            .open()
            .and_then(|socket| self.put(socket, number, load, deadline));
        fail::point("program: after Call");
        match sent {
            // What has become of the worker is found out by who waits for the outcome.
            Ok(()) | Err(Trouble::Closed { .. }) => Ok(()),
            Err(trouble) => {
                line.with_inbox(|inbox| inbox.answers.retract(number));
                Err(match trouble {
                    Trouble::Busy => no_room(),
                    other => other.into_error("sending a call"),
                })
            }
        }
    }

    /// Waits until the page has a word for this call: until the call is answered that
    /// had the word before.
    fn await_word(&self, number: u64, deadline: Deadline) -> Result<()> {
        let is_free = |inbox: &mut Inbox| {
            let oldest = inbox.answers.oldest().unwrap_or(number);
            (number - oldest < ROOM).then_some(())
        };
        let line = &self.peer.line;
        if line.with_inbox(is_free).is_some() {
            return Ok(());
        }
        match line.wait(deadline, Some(self.pidfd()), is_free)? {
            Waited::Got(()) => Ok(()),
            Waited::TimedOut => Err(no_room()),
            Waited::Watched | Waited::Closed(_) => {
                Err(self.exit(deadline)?.map_or_else(no_room, |exit| {
                    self.peer.without_result(exit, "the service")
                }))
            }
        }
    }

    fn put(
        &self,
        socket: BorrowedFd<'_>,
        number: u64,
        load: &Load,
        deadline: Deadline,
    ) -> Result<(), Trouble> {
        let fds: Vec<_> = load.all_fds(&[]).collect();
        let body: [&[u8]; 2] = [&job::encode(load.entry.id()), &load.bytes];
        let head = Head::new(Kind::Call, number);
        let room = || self.await_room(socket, deadline);
        link::send_between(socket, head, &body, &load.memory, &fds, deadline, room)
    }

    /// Waits until there may be room in the socket, or until there never will be.
    fn await_room(&self, socket: BorrowedFd<'_>, deadline: Deadline) -> Result<(), Trouble> {
        let wants = [
            Want::Write(socket),
            Want::Read(socket),
            Want::Read(self.pidfd()),
        ];
        let ready = poll(wants, deadline).map_err(|error| Trouble::Os("poll", error));
        let [_, _, ended] = ready?;
        self.peer.line.take_in();
        match ended {
            true => Err(Trouble::Closed { unread: false }),
            false => Ok(()),
        }
    }
}

fn no_room() -> Error {
    Error::timeout("the service took no call before the deadline: it has not answered others")
}
