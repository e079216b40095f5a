//! Calls go to workers and come back.

use std::{
    os::fd::AsFd,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    PIDFD, State, Thread,
    ending::{Ending, PAUSE},
};
use crate::{
    client::Live,
    error::Error,
    pool::{
        desk::{Order, Why},
        shared::Ticket,
    },
    registry::Role,
    sys::poll::Deadline,
};

impl Thread {
    pub(super) fn give(
        &mut self,
        state: &mut State,
        (worker, live): (u64, &Arc<Live>),
        order: Order<Ticket>,
        now: Instant,
    ) {
        match live.send(&order.call.load, Deadline::NOW) {
            Ok(number) => {
                state.counts.waited.note(now - order.made);
                state.desk.given(worker, order, number, now);
            }
            Err(error) if error.is_timeout() || error.code() == Some(libc::ETOOMANYREFS) => {
                state.desk.not_given(worker, order, now);
            }
            Err(error) => {
                state.desk.refused(order.queue);
                state.counts.failed += 1;
                self.settle(order, 0, Err(error));
            }
        }
    }

    /// Takes in what a worker has said.
    pub(super) fn take_in(
        &mut self,
        state: &mut State,
        worker: u64,
        live: &Arc<Live>,
        now: Instant,
    ) {
        live.take_in();
        self.take_answers(state, worker, live, now);
    }

    /// Takes what has been taken in.
    fn take_answers(&mut self, state: &mut State, worker: u64, live: &Arc<Live>, now: Instant) {
        while let Some((_, number)) = state.desk.first(worker)
            && let Some(answer) = live.take_answer(number)
        {
            let Some(answered) = state.desk.answered(worker, now) else {
                break;
            };
            let is_panic = answer.as_ref().is_err_and(Error::is_panic);
            if let Some(order) = answered.order {
                state.counts.ran.note(now - answered.since);
                match answer.is_ok() {
                    true => state.counts.done += 1,
                    false => state.counts.failed += 1,
                }
                let is_changing = order.call.load.entry.role() == Role::Changing;
                if is_panic && is_changing && !state.desk.rules().keeps_after_panic {
                    // It ends by itself, because nobody can say what its value is.
                    state.desk.leaves(worker, |number| live.withdraw(number));
                }
                self.settle(
                    order,
                    live.id(),
                    answer.map_err(|error| error.with_pid(live.id())),
                );
            }
        }
        if let Some(error) = live.fault() {
            self.distrust(state, (worker, live), &error, now);
        }
    }

    /// Kills a worker that says what makes no sense. The call that it runs is lost.
    fn distrust(
        &mut self,
        state: &mut State,
        (worker, live): (u64, &Arc<Live>),
        error: &Error,
        now: Instant,
    ) {
        let _ = live.kill();
        let withdraw = |number| live.withdraw(number);
        state.desk.silent(worker, withdraw, now);
        let runs = state.desk.first(worker);
        let runs = runs.filter(|(_, number)| !live.withdraw(*number));
        if let Some(order) = runs.and_then(|(_, number)| state.desk.settle(worker, number)) {
            state.counts.lost += 1;
            self.settle(order, live.id(), Err(error.clone().with_pid(live.id())));
        }
    }

    pub(super) fn overdue(
        &mut self,
        state: &mut State,
        (worker, live): (u64, &Arc<Live>),
        number: u64,
        why: Why,
        now: Instant,
    ) {
        // An answer that is there comes first.
        self.take_in(state, worker, live, now);
        if !state.desk.has(worker, number) {
            return;
        }
        if why == Why::Soft {
            live.cancel(number);
            return;
        }
        let runs = state.desk.is_first(worker, number);
        let is_unstarted = live.withdraw(number);
        if runs || !is_unstarted {
            // One that cannot be killed stays until it ends.
            let _ = live.kill();
            state.desk.dying(worker);
        }
        // It has not begun in all that time, so it may run elsewhere.
        if why == Why::TimeLimit && is_unstarted {
            return;
        }
        let Some(order) = state.desk.settle(worker, number) else {
            return;
        };
        state.counts.timed_out += 1;
        let error = match (why, is_unstarted) {
            (Why::Timeout, true) => {
                Error::timeout("the call waited behind others until its timeout").unstarted()
            }
            (Why::Timeout, false) => {
                Error::timeout("the call had no outcome by its timeout, and its worker was killed")
            }
            _ => Error::timeout("the call ran for its time limit, and its worker was killed"),
        };
        self.settle(order, live.id(), Err(error.with_pid(live.id())));
    }

    /// Hears a worker: it says something, or has ended.
    pub(super) fn hear(&mut self, state: &mut State, worker: u64, what: u64, now: Instant) {
        let Some(heard) = self.workers.get(&worker) else {
            return;
        };
        let live = Arc::clone(&heard.live);
        if !heard.is_silent {
            self.take_answers(state, worker, &live, now);
        }
        let Some(heard) = self.workers.get_mut(&worker) else {
            return;
        };
        if live.is_silent() && !std::mem::replace(&mut heard.is_silent, true) {
            self.shared.epoll.remove(live.socket());
            let withdraw = |number| live.withdraw(number);
            state.desk.silent(worker, withdraw, now);
        }
        if what == PIDFD {
            self.shared.epoll.remove(live.pidfd().as_fd());
            let is_unstarted = |number| live.is_unstarted(number);
            state.desk.gone(worker, is_unstarted);
            // Somebody waits for how it ended only if it has ended too early.
            let is_early = state.desk.first(worker).is_some();
            let first = if is_early { Duration::ZERO } else { PAUSE };
            heard.ending.get_or_insert_with(|| Ending::new(now, first));
        }
    }
}
