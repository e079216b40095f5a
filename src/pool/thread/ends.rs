//! Workers end.

use std::{sync::Arc, time::Instant};

use super::{
    State, Thread,
    ending::{Ending, PAUSE, REST},
};
use crate::{
    client::Live,
    error::Error,
    exit::Exit,
    pool::{info::Info, starter::Job},
};

impl Thread {
    /// Parts with a worker that has no call: tells it to end, and listens no more. Its end
    /// wakes nobody, since nobody waits for it, and is looked for after a moment.
    pub(super) fn part(&mut self, state: &State, worker: u64, live: &Live, now: Instant) {
        live.hang_up();
        if let Some(heard) = self.workers.get_mut(&worker) {
            self.shared.epoll.remove(live.socket());
            self.shared.epoll.remove(live.pidfd());
            heard.is_silent = true;
            let first = if state.desk.is_closed() { PAUSE } else { REST };
            heard.ending.get_or_insert_with(|| Ending::new(now, first));
        }
    }

    /// Gives the time of the next look for a report.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let endings = self.workers.values().filter_map(|heard| heard.ending);
        endings.map(|ending| ending.next).min()
    }

    /// Looks for the ends that are due.
    pub(super) fn look_for_ends(&mut self, state: &mut State, now: Instant) {
        let due = self.workers.iter_mut().filter_map(|(worker, heard)| {
            let ending = heard.ending.as_mut().filter(|ending| ending.next <= now)?;
            let exit = look(&heard.live, ending, now);
            if exit.is_none() {
                ending.wait(now);
            }
            Some((*worker, exit?))
        });
        for (worker, exit) in due.collect::<Vec<_>>() {
            self.end(state, worker, exit, now);
        }
    }

    fn end(&mut self, state: &mut State, worker: u64, exit: Exit, now: Instant) {
        let Some(heard) = self.workers.remove(&worker) else {
            return;
        };
        let live = heard.live;
        // What it has said before it ended counts.
        if !heard.is_silent {
            self.take_in(state, worker, &live, now);
            // Another process may hold it, and then it would be ready for ever.
            self.shared.epoll.remove(live.socket());
        }
        state.counts.ended += 1;
        if state.desk.is_stillborn(worker) {
            let error = why(&live, exit, true);
            state.desk.not_started(worker, error, None, now);
        }
        for lost in state.desk.ended(worker, |number| live.is_unstarted(number)) {
            state.counts.lost += 1;
            let error = why(&live, exit, lost.is_unstarted);
            self.settle(lost.order, live.id(), Err(error));
        }
        let info = Info::new(live.id(), heard.place);
        self.add(Job::Stop { info, exit });
        self.shared.tell_changed();
    }
}

/// Looks for the report of how a worker has ended.
fn look(live: &Live, ending: &mut Ending, now: Instant) -> Option<Exit> {
    let unknown = Exit::new(None, None);
    match live.look_for_exit() {
        Ok(Some(exit)) => Some(exit),
        Ok(None) => (live.has_ended() && ending.is_late(now)).then_some(unknown),
        Err(_) => Some(unknown),
    }
}

fn why(live: &Arc<Live>, exit: Exit, is_unstarted: bool) -> Error {
    let error = live.why_ended(exit, "the worker");
    match is_unstarted {
        true => error.unstarted(),
        false => error,
    }
}
