//! The desk, with numbers for calls and workers, and a clock that stands still.

mod calls;
mod staff;

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use super::{rules::TRIES, *};

const MS: Duration = Duration::from_millis(1);

/// A desk, the time, and what it had done so far.
struct Scene {
    desk: Desk<u32, u64>,
    now: Instant,
    /// The number of the next call at any worker.
    number: u64,
    /// Workers that are being started.
    starting: Vec<u64>,
    ended: Vec<u64>,
    killed: Vec<u64>,
    late: Vec<u32>,
    unserved: Vec<u32>,
    overdue: Vec<(u64, u64, Why)>,
    measured: Vec<u64>,
}

fn scene(rules: Rules) -> Scene {
    Scene {
        desk: Desk::new(rules),
        now: Instant::now(),
        number: 0,
        starting: Vec::new(),
        ended: Vec::new(),
        killed: Vec::new(),
        late: Vec::new(),
        unserved: Vec::new(),
        overdue: Vec::new(),
        measured: Vec::new(),
    }
}

fn rules(least: usize, most: usize) -> Rules {
    Rules {
        least,
        most,
        ..Rules::new()
    }
}

fn limits(set: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    set(&mut limits);
    limits
}

impl Scene {
    fn call(&mut self, call: u32) -> u64 {
        self.call_with(call, Limits::default())
    }

    fn calls(&mut self, calls: RangeInclusive<u32>) {
        for call in calls {
            self.call(call);
        }
    }

    fn call_with(&mut self, call: u32, limits: Limits) -> u64 {
        self.call_in(0, call, limits)
    }

    fn call_in(&mut self, queue: usize, call: u32, limits: Limits) -> u64 {
        self.desk.call(call, limits, queue, self.now)
    }

    /// Does what is to be done now, and gives which worker was given which call.
    fn act(&mut self) -> Vec<(u64, u32)> {
        let mut given = Vec::new();
        while let Some(act) = self.desk.next(self.now) {
            match act {
                Act::Start { worker, .. } => self.starting.push(worker),
                Act::Give {
                    worker,
                    handle,
                    order,
                } => {
                    assert_eq!(worker, handle);
                    given.push((worker, order.call));
                    self.number += 1;
                    self.desk.given(worker, order, self.number, self.now);
                }
                Act::Overdue {
                    worker,
                    number,
                    why,
                    ..
                } => self.overdue.push((worker, number, why)),
                Act::Late(order) => self.late.push(order.call),
                Act::Unserved(order, error) => {
                    assert_eq!(error.message(), "no luck");
                    self.unserved.push(order.call);
                }
                Act::End { worker, .. } => self.ended.push(worker),
                Act::Kill(worker) => self.killed.push(worker),
                Act::Measure { worker, .. } => self.measured.push(worker),
            }
            assert!(self.number < 10_000, "it has no end");
        }
        given
    }

    /// Lets all workers start that were asked for, and acts.
    fn start(&mut self) -> Vec<(u64, u32)> {
        let mut given = self.act();
        while !self.starting.is_empty() {
            for worker in std::mem::take(&mut self.starting) {
                self.started(worker, self.desk.generation);
            }
            given.extend(self.act());
        }
        given
    }

    fn started(&mut self, worker: u64, generation: u64) {
        let start = Started {
            handle: worker,
            generation,
            memory: Some(100),
        };
        self.desk.started(worker, start, self.now);
    }

    fn fail_starts(&mut self, is_final: bool) -> usize {
        let starting = std::mem::take(&mut self.starting);
        for worker in &starting {
            let error = Error::invalid("no luck");
            let gone = is_final.then_some(self.desk.generation);
            self.desk.not_started(*worker, error, gone, self.now);
        }
        starting.len()
    }

    /// Lets a worker answer its first call, and acts.
    fn answer(&mut self, worker: u64) -> Vec<(u64, u32)> {
        assert!(self.desk.answered(worker, self.now).is_some());
        self.act()
    }

    fn first(&self, worker: u64) -> u64 {
        self.desk.first(worker).unwrap().1
    }

    /// Lets a worker end that has begun its first call, and gives what is lost.
    fn die(&mut self, worker: u64) -> Vec<u32> {
        let first = self.desk.first(worker).map(|(_, number)| number);
        let lost = self.desk.ended(worker, |number| Some(number) != first);
        lost.into_iter().map(|lost| lost.order.call).collect()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Passes the time until the desk wants to be asked.
    fn wake(&mut self) -> Duration {
        let wake = self.desk.wake(self.now).unwrap();
        let time = wake.saturating_duration_since(self.now);
        self.now = self.now.max(wake);
        time
    }

    fn counts(&self) -> [usize; 4] {
        self.desk.count()
    }
}
