//! What the handles on a pool and its threads share.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{
    desk::{Desk, Limits, Order, Rules},
    rooms::{Rooms, Turn},
    slot::Slot,
    starter::{Job, Starter},
    stats::{Counts, Stats},
    template::Forks,
};
use crate::{
    client::Live,
    error::{Error, Result},
    parcel::Decoder,
    sys::{epoch, epoll::Epoll, poll::Deadline},
    task::Load,
};

/// How long workers that were killed may take to end.
const LAST: Duration = Duration::from_secs(1);

/// What the caller and the pool have in common of a call.
#[derive(Debug, Default)]
pub(super) struct Cell {
    pub(super) outcome: Slot<Result<Decoder>>,
    /// The worker that has run it; 0 is none.
    pub(super) pid: AtomicU32,
}

/// A call at the desk. The task is kept for as long as it may have to run.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) cell: Arc<Cell>,
    pub(super) load: Arc<Load>,
}

impl Order<Ticket> {
    /// Gives the caller the outcome. It was run by this worker, if by any.
    pub(super) fn settle(self, pid: u32, outcome: Result<Decoder>) {
        let outcome = match self.has_begun {
            true => outcome.map_err(Error::begun_before),
            false => outcome,
        };
        self.call.cell.pid.store(pid, Relaxed);
        self.call.cell.outcome.put(outcome);
    }
}

/// What is behind the lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) desk: Desk<Ticket, Arc<Live>>,
    pub(super) rooms: Rooms,
    pub(super) counts: Counts,
    /// The process that the second thread has still to be told of.
    pub(super) renewed: Option<Job>,
    /// Whether the thread looks at all this before it sleeps.
    pub(super) is_awake: bool,
    /// Why the thread has ended, if it has.
    pub(super) end: Option<Result<()>>,
}

/// A pool.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Signalled when workers have started or have not, and when the thread ends.
    changed: Condvar,
    pub(super) epoll: Epoll,
    pub(super) starter: Starter,
    /// The process that the pool was made in.
    epoch: u64,
}

/// Whether a call may be put into a queue that is full.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Entry {
    Always,
    IfRoom,
    /// It has room that it has waited for.
    Promised,
}

impl Shared {
    pub(super) fn new(rules: Rules, waiting: usize, starter: Starter) -> Result<Self> {
        let epoll = Epoll::new().map_err(|error| {
            Error::descriptor("epoll_create1 or eventfd for a pool failed", error)
        })?;
        Ok(Self {
            state: Mutex::new(State {
                desk: Desk::new(rules),
                rooms: Rooms::new(waiting),
                counts: Counts::default(),
                renewed: None,
                is_awake: true,
                end: None,
            }),
            changed: Condvar::new(),
            epoll,
            starter,
            epoch: epoch::current(),
        })
    }

    pub(super) fn is_current(&self) -> bool {
        self.epoch == epoch::current()
    }

    /// Refuses in a copy of the process that the pool was made in, whose thread is not
    /// there. It comes before every lock, which may have been copied locked.
    pub(super) fn check(&self) -> Result<()> {
        match self.is_current() {
            true => Ok(()),
            false => Err(Error::invalid(
                "the pool was made before this process was forked, and its thread and workers \
                 belong to the process it was forked from; make another one",
            )
            .unstarted()),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds this.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something that the thread must look at.
    pub(super) fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state);
        let was_awake = std::mem::replace(&mut state.is_awake, true);
        drop(state);
        if !was_awake && !self.epoll.ring() {
            self.end_all(&lost_descriptors());
        }
        result
    }

    pub(super) fn tell_changed(&self) {
        self.changed.notify_all();
    }

    /// Waits until `pick` finds what it looks for; `None` when the deadline passes first.
    pub(super) fn wait<T>(
        &self,
        deadline: Deadline,
        pick: impl Fn(&State) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.lock();
        loop {
            let found = pick(&state);
            if found.is_some() || deadline.passed() {
                return found;
            }
            // Nobody waits for ever, so that a thread that dies hangs nobody.
            let time = deadline.remaining().unwrap_or(LAST).min(LAST);
            let woken = self.changed.wait_timeout(state, time);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Calls.
impl Shared {
    /// Takes in a call, and gives its id. `make` is asked for what the call is when
    /// there is room for it.
    pub(super) fn call(
        &self,
        ticket: Ticket,
        limits: Limits,
        queue: usize,
        entry: Entry,
    ) -> Result<u64> {
        self.check()?;
        ticket.load.check()?;
        self.change(|state| {
            if let Some(Err(error)) = &state.end {
                return Err(error.clone().unstarted());
            }
            if state.desk.is_closed() {
                return Err(Error::closed());
            }
            let waiting = state.desk.waiting(queue);
            match entry {
                Entry::IfRoom if !state.rooms.has_room(queue, waiting) => {
                    state.counts.refused += 1;
                    return Err(Error::full(waiting));
                }
                Entry::Promised => state.rooms.give_back(queue),
                Entry::Always | Entry::IfRoom => {}
            }
            state.counts.calls += 1;
            Ok(state.desk.call(ticket, limits, queue, Instant::now()))
        })
    }

    /// Takes a call back that has not begun. Gives false if it has begun.
    pub(super) fn withdraw(&self, id: u64) -> bool {
        if !self.is_current() {
            return false;
        }
        let order = self.change(|state| {
            let order = state.desk.take_back(id).or_else(|| {
                let (worker, live, number) = state.desk.find(id)?;
                let is_withdrawn = live.withdraw(number);
                is_withdrawn.then(|| state.desk.settle(worker, number))?
            })?;
            state.counts.cancelled += 1;
            Some(order)
        });
        let is_withdrawn = order.is_some();
        if let Some(order) = order {
            order.settle(0, Err(Error::withdrawn()));
        }
        is_withdrawn
    }

    /// Kills the worker that runs this call, and ends the call.
    pub(super) fn kill(&self, id: u64) -> Result<()> {
        self.check()?;
        let killed = self.change(|state| -> Result<_> {
            // Its worker has perhaps ended a moment ago, and it is to run again.
            if let Some(order) = state.desk.take_back(id) {
                state.counts.cancelled += 1;
                return Ok(Some((order, 0, Error::withdrawn())));
            }
            let Some((worker, live, number)) = state.desk.find(id) else {
                return Ok(None);
            };
            live.kill()?;
            state.desk.dying(worker);
            state.counts.cancelled += 1;
            let order = state.desk.settle(worker, number);
            let pid = live.id();
            Ok(order.map(|order| (order, pid, Error::call_killed(pid))))
        })?;
        if let Some((order, pid, error)) = killed {
            order.settle(pid, Err(error));
        }
        Ok(())
    }

    /// Gives the worker that runs this call.
    pub(super) fn pid(&self, id: u64) -> Option<u32> {
        if !self.is_current() {
            return None;
        }
        let (_, live, number) = self.lock().desk.find(id)?;
        live.has_begun(number).then(|| live.id())
    }

    /// Tells the entry that this call should end.
    pub(super) fn cancel(&self, id: u64) {
        if self.is_current()
            && let Some((_, live, number)) = self.lock().desk.find(id)
        {
            live.cancel(number);
        }
    }

    /// Waits for room in a queue.
    pub(super) fn line_up(&self, queue: usize) -> Result<Arc<Turn>> {
        self.check()?;
        let mut state = self.lock();
        let waiting = state.desk.waiting(queue);
        Ok(state.rooms.line_up(queue, waiting))
    }
}

/// Workers.
impl Shared {
    /// Says that new workers are forks of this one.
    pub(super) fn renew(&self, template: Box<dyn Forks>) {
        self.change(|state| {
            let generation = state.desk.renew();
            state.renewed = Some(Job::Renew {
                generation,
                template,
            });
        });
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.lock();
        Stats::new(&state.counts, state.desk.again(), state.desk.count())
    }
}

/// The end.
impl Shared {
    /// Takes no more calls. The thread ends when those that there are have ended.
    pub(super) fn close(&self) {
        self.change(|state| {
            state.desk.close();
            state.rooms.close();
        });
    }

    /// Waits for the end, and kills what is there when `grace` is over.
    pub(super) fn shut_down(&self, grace: Duration) -> Result<()> {
        self.check()?;
        self.close();
        let end = |state: &State| state.end.clone();
        if let Some(end) = self.wait(Deadline::after(grace), end) {
            return end;
        }
        self.kill_all();
        if let Some(end) = self.wait(Deadline::after(LAST), end) {
            return end;
        }
        let left = self.lock().desk.handles();
        let pids: Vec<_> = left.iter().map(|live| live.id().to_string()).collect();
        Err(Error::timeout(format!(
            "the pool has not ended: these workers were killed and are still there, or one is \
             just being started: {}",
            pids.join(", ")
        )))
    }

    /// Kills all workers, and ends all calls.
    fn kill_all(&self) {
        self.clear(&Error::closed(), &Error::closed_while_running());
        self.epoll.ring();
    }

    /// Ends the pool because its thread has failed, or cannot be told anything any more.
    pub(super) fn end_all(&self, error: &Error) {
        let mut state = self.lock();
        state.desk.close();
        state.rooms.close();
        state.end.get_or_insert_with(|| Err(error.clone()));
        drop(state);
        self.clear(&error.clone().unstarted(), error);
        self.tell_changed();
    }

    /// Kills all workers, and ends all calls with these errors: one for those that have not
    /// begun, one for the others.
    fn clear(&self, unstarted: &Error, running: &Error) {
        let mut state = self.lock();
        let waiting = state.desk.take_all_back();
        let withdraw = |live: &Arc<Live>, number| live.withdraw(number);
        let given = state.desk.settle_all(withdraw);
        let lives = state.desk.handles();
        drop(state);
        self.starter.forget_starts();
        for live in lives {
            // One that cannot be killed is named when it is still there.
            let _ = live.kill();
        }
        for order in waiting {
            order.settle(0, Err(unstarted.clone()));
        }
        for lost in given {
            let error = if lost.is_unstarted {
                unstarted
            } else {
                running
            };
            lost.order.settle(0, Err(error.clone()));
        }
    }
}

fn lost_descriptors() -> Error {
    Error::invalid(
        "this program has closed the descriptors of the pool (`close_range`, `closefrom`): make \
         another pool",
    )
}
