//! What the thread of a pool does with a live worker. Nothing here waits.

use super::{Live, outcome::decode};
use crate::{
    client::{ending, line::Inbox},
    error::{Error, ErrorKind, Result},
    exit::Exit,
    parcel::Decoder,
};

impl Live {
    /// Takes in what has arrived.
    pub(crate) fn take_in(&self) {
        self.peer.line.take_in();
        ending::look();
    }

    /// Takes the answer to a call, if it has arrived.
    pub(crate) fn take_answer(&self, number: u64) -> Option<Result<Decoder>> {
        let take = |inbox: &mut Inbox| inbox.take_answer(number);
        self.peer.line.with_inbox(take).map(decode)
    }

    /// Gives what it has said that makes no sense, after which it cannot be trusted.
    pub(crate) fn fault(&self) -> Option<Error> {
        let fault = self.peer.line.with_inbox(Inbox::take_fault);
        fault.filter(|error| error.kind() == ErrorKind::Protocol)
    }

    /// Tells whether it has closed its socket, so that there will be no more answers.
    pub(crate) fn is_silent(&self) -> bool {
        self.peer.line.closed().is_some()
    }

    /// Tells how it ended, as far as that is known by now; `None` if it has not ended or
    /// its template has still to report it.
    pub(crate) fn look_for_exit(&self) -> Result<Option<Exit>> {
        self.peer.look_for_exit()
    }
}
