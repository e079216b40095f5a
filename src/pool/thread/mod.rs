//! The thread of a pool: it hears the workers, asks the desk what is to be done, and
//! does it. Nothing here waits but `run`.

mod calls;
mod ending;
mod ends;

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use self::ending::Ending;
use super::{
    desk::{Act, Order, Started},
    shared::{Shared, State, Ticket},
    starter::{Job, Report},
};
use crate::{
    client::Live,
    error::{Error, Result},
    parcel::Decoder,
    sys::{poll::Deadline, signal},
};

/// Where the thread of a pool keeps the workers that it listens to.
struct Thread {
    shared: Arc<Shared>,
    workers: BTreeMap<u64, Heard>,
    /// Outcomes that are told when the lock is free.
    settled: Vec<(Order<Ticket>, u32, Result<Decoder>)>,
}

/// A worker that the thread listens to.
struct Heard {
    live: Arc<Live>,
    place: usize,
    /// Whether it has closed its socket.
    is_silent: bool,
    /// Its end, of which the template has still to tell.
    ending: Option<Ending>,
}

/// How long the thread sleeps at most while there are calls.
const TICK: Duration = Duration::from_secs(1);

/// Which descriptor of a worker a token of epoll stands for.
const SOCKET: u64 = 0;
const PIDFD: u64 = 1;

/// Starts the thread.
pub(super) fn start(shared: &Arc<Shared>) -> Result<()> {
    let shared = Arc::clone(shared);
    spawn("zygote-pool", move || run(shared))
}

/// Starts a thread that no signal reaches.
fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let mask = signal::Mask::block();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    mask.restore();
    let failed = |error| Error::os(format!("starting the thread {name} failed"), error);
    thread.map(drop).map_err(failed)
}

fn run(shared: Arc<Shared>) {
    let mut thread = Thread {
        shared: Arc::clone(&shared),
        workers: BTreeMap::new(),
        settled: Vec::new(),
    };
    let mut ready = Vec::new();
    loop {
        let wake = thread.act(&ready);
        thread.tell();
        let Some(wake) = wake else {
            shared.lock().end.get_or_insert(Ok(()));
            break;
        };
        if let Err(error) = shared.epoll.wait(wake, &mut ready) {
            let text = "epoll_wait for a pool failed: the program has closed its descriptor";
            shared.end_all(&Error::os(text, error));
            break;
        }
    }
    shared.starter.close();
    shared.tell_changed();
}

impl Thread {
    /// Does what is to be done, and gives the time of the next look; `None` at the end.
    fn act(&mut self, ready: &[u64]) -> Option<Deadline> {
        let shared = Arc::clone(&self.shared);
        // Long results are taken in without the lock, so that callers need not wait.
        for token in ready {
            if let Some(heard) = self.workers.get(&(token / 2)).filter(|it| !it.is_silent) {
                heard.live.take_in();
            }
        }
        let mut state = shared.lock();
        state.is_awake = true;
        let now = Instant::now();
        for token in ready {
            self.hear(&mut state, token / 2, token % 2, now);
        }
        self.look_for_ends(&mut state, now);
        if let Some(renewed) = state.renewed.take() {
            self.add(renewed);
        }
        loop {
            self.take_reports(&mut state, now);
            while let Some(act) = state.desk.next(now) {
                self.perform(&mut state, act, now);
            }
            // A thread that could not be started is reported at once.
            if !shared.starter.has_reports() {
                break;
            }
        }
        for queue in state.rooms.wanted() {
            let waiting = state.desk.waiting(queue);
            state.rooms.admit(queue, waiting);
        }
        if state.desk.is_over() {
            return None;
        }
        state.is_awake = false;
        // A program that closes the pool's descriptors is found out by then.
        let [_, _, waiting, given] = state.desk.count();
        let tick = (waiting + given > 0).then(|| now + TICK);
        let wake = state.desk.wake(now).into_iter().chain(self.next_look());
        let wake = wake.chain(tick).min();
        Some(wake.map_or(Deadline::NEVER, Deadline::until))
    }

    /// Tells the callers. No lock is held, since that may run code of the user: wakers.
    fn tell(&mut self) {
        for (order, pid, outcome) in self.settled.drain(..) {
            order.settle(pid, outcome);
        }
    }

    fn settle(&mut self, order: Order<Ticket>, pid: u32, outcome: Result<Decoder>) {
        self.settled.push((order, pid, outcome));
    }

    fn perform(&mut self, state: &mut State, act: Act<Ticket, Arc<Live>>, now: Instant) {
        match act {
            Act::Start { worker, place } => {
                let generation = state.desk.generation();
                match self.shared.starter.start(worker, place, generation) {
                    Ok(report) => self.hear_report(state, report, now),
                    Err(job) => self.add(job),
                }
            }
            Act::Give {
                worker,
                handle,
                order,
            } => self.give(state, (worker, &handle), order, now),
            Act::Overdue {
                worker,
                handle,
                number,
                why,
            } => self.overdue(state, (worker, &handle), number, why, now),
            Act::Late(order) => {
                state.counts.timed_out += 1;
                let error = Error::timeout("the call waited for a worker until its timeout");
                self.settle(order, 0, Err(error.unstarted()));
            }
            Act::Unserved(order, error) => {
                state.counts.failed += 1;
                let error = error.context("no worker can be started").unstarted();
                self.settle(order, 0, Err(error));
            }
            Act::End { worker, handle } => self.part(state, worker, &handle, now),
            // One that cannot be killed stays until it ends.
            Act::Kill(live) => drop(live.kill()),
            Act::Measure { worker, handle } => self.add(Job::Measure {
                worker,
                live: handle,
            }),
        }
    }

    /// Has the second thread do this.
    fn add(&self, job: Job) {
        if !self.shared.starter.add(job) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let tell = move || shared.change(|_| ());
        let shared = Arc::clone(&self.shared);
        let begun = spawn("zygote-start", move || shared.starter.work(tell));
        if let Err(error) = begun {
            self.shared.starter.no_thread(&error);
        }
    }

    fn take_reports(&mut self, state: &mut State, now: Instant) {
        for report in self.shared.starter.reports() {
            self.hear_report(state, report, now);
        }
    }

    fn hear_report(&mut self, state: &mut State, report: Report, now: Instant) {
        match report {
            Report::Started {
                worker,
                live,
                generation,
                memory,
            } => {
                let handle = Arc::new(live);
                let listens = self.listen(state, worker, &handle);
                let start = Started {
                    handle,
                    generation,
                    memory,
                };
                state.counts.started += 1;
                match listens {
                    Ok(()) => state.desk.started(worker, start, now),
                    Err(error) => state.desk.not_started(worker, error, None, now),
                }
            }
            Report::NotStarted {
                worker,
                error,
                gone,
            } => state.desk.not_started(worker, error, gone, now),
            Report::Measured { worker, memory } => state.desk.measured(worker, memory, now),
        }
        self.shared.tell_changed();
    }

    /// Listens to a worker that has started. One that cannot be listened to is killed.
    fn listen(&mut self, state: &State, worker: u64, live: &Arc<Live>) -> Result<()> {
        let epoll = &self.shared.epoll;
        let listens = epoll
            .add(live.socket(), worker * 2 + SOCKET)
            .and_then(|()| epoll.add(live.pidfd(), worker * 2 + PIDFD));
        let ending = listens.is_err().then(|| {
            epoll.remove(live.socket());
            let _ = live.kill();
            Ending::new(Instant::now(), Duration::ZERO)
        });
        let heard = Heard {
            live: Arc::clone(live),
            place: state.desk.place(worker).unwrap_or(0),
            is_silent: ending.is_some(),
            ending,
        };
        self.workers.insert(worker, heard);
        listens.map_err(|error| {
            let error = Error::os("epoll_ctl for a pool failed", error);
            error.with_pid(live.id()).unstarted()
        })
    }
}
