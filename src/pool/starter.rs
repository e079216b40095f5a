//! The second thread of a pool, which exists only while it has something to do: it
//! starts workers, and runs the user's closures. Whatever may wait is done there, so
//! that the pool's timers never wait.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    hooks::{Hooks, caught},
    info::Info,
    template::{self, Forks},
};
use crate::{
    client::{Live, Manner, Starting},
    error::{Error, Result},
    exit::Exit,
    sys::{memory_use, pidfd},
};

/// How long the thread stays when it has nothing to do.
const LINGER: Duration = Duration::from_millis(100);

/// Something that is done on the second thread.
#[derive(Debug)]
pub(super) enum Job {
    Start {
        worker: u64,
        place: usize,
    },
    /// Wait for a worker that was told to start.
    Finish(Box<Begun>),
    Stop {
        info: Info,
        exit: Exit,
    },
    Measure {
        worker: u64,
        live: Arc<Live>,
    },
    /// From now on workers are forks of this one.
    Renew {
        generation: u64,
        template: Box<dyn Forks>,
    },
}

/// What has come of a job.
pub(super) enum Report {
    Started {
        worker: u64,
        live: Live,
        generation: u64,
        memory: Option<u64>,
    },
    NotStarted {
        worker: u64,
        error: Error,
        /// The generation whose process is gone, if there cannot be another one.
        gone: Option<u64>,
    },
    Measured {
        worker: u64,
        memory: Option<u64>,
    },
}

/// The jobs of the second thread.
pub(super) struct Starter {
    jobs: Mutex<Jobs>,
    more: Condvar,
    /// Locked by the thread while it works.
    template: Mutex<Current>,
    hooks: Hooks,
    manner: Manner,
    measures: bool,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    reports: Vec<Report>,
    is_running: bool,
    is_closed: bool,
}

/// The process that is forked now; `None` when the pool has ended.
struct Current {
    generation: u64,
    template: Option<Box<dyn Forks>>,
}

impl Starter {
    /// With `measures` the memory of workers is measured.
    pub(super) fn new(
        template: Box<dyn Forks>,
        hooks: Hooks,
        manner: Manner,
        measures: bool,
    ) -> Self {
        Self {
            jobs: Mutex::default(),
            more: Condvar::new(),
            template: Mutex::new(Current {
                generation: 0,
                template: Some(template),
            }),
            hooks,
            manner,
            measures,
        }
    }

    /// Starts a worker of this generation here and now, if that needs no wait and runs no
    /// closure. Else gives what the second thread has to do.
    pub(super) fn start(&self, worker: u64, place: usize, generation: u64) -> Result<Report, Job> {
        let job = Job::Start { worker, place };
        if self.hooks.on_start.is_some() || self.measures {
            return Err(job);
        }
        let Ok(current) = self.template.try_lock() else {
            return Err(job);
        };
        // The process is perhaps still to be replaced.
        let template = current.template.as_ref();
        let template = template.filter(|_| current.generation == generation);
        let Some(starting) = template.and_then(|template| template.spare(self.manner)) else {
            return Err(job);
        };
        drop(current);
        let begun = Begun {
            worker,
            place,
            generation,
            starting,
        };
        match &begun.starting {
            Ok(starting) if !starting.is_there() => Err(Job::Finish(Box::new(begun))),
            _ => Ok(self.finish(begun)),
        }
    }

    /// Adds a job. Tells whether a thread has to be started that [works](Self::work).
    pub(super) fn add(&self, job: Job) -> bool {
        let mut jobs = self.lock();
        if jobs.is_closed {
            return false;
        }
        if matches!(job, Job::Stop { .. }) && self.hooks.on_stop.is_none() {
            return false;
        }
        jobs.waiting.push_back(job);
        self.more.notify_one();
        !std::mem::replace(&mut jobs.is_running, true)
    }

    /// Notes that no thread could be started: what was to be done is not done.
    pub(super) fn no_thread(&self, error: &Error) {
        self.lock().is_running = false;
        self.cancel(error);
    }

    /// Forgets the workers that are still to be started.
    pub(super) fn forget_starts(&self) {
        self.cancel(&Error::closed());
    }

    fn cancel(&self, error: &Error) {
        let mut jobs = self.lock();
        for job in std::mem::take(&mut jobs.waiting) {
            let worker = match &job {
                Job::Start { worker, .. } => *worker,
                Job::Finish(begun) => begun.worker,
                _ => {
                    jobs.waiting.push_back(job);
                    continue;
                }
            };
            let error = error.clone();
            jobs.reports.push(Report::NotStarted {
                worker,
                error,
                gone: None,
            });
        }
    }

    /// Gives what has come of jobs since the last time.
    pub(super) fn reports(&self) -> Vec<Report> {
        std::mem::take(&mut self.lock().reports)
    }

    pub(super) fn has_reports(&self) -> bool {
        !self.lock().reports.is_empty()
    }

    /// Does nothing more, except for what waits.
    pub(super) fn close(&self) {
        let mut jobs = self.lock();
        jobs.is_closed = true;
        self.more.notify_one();
        if !jobs.is_running {
            drop(jobs);
            self.current().template = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        // Nothing panics while it holds this.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.template.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker that was told to start, and the generation of its process.
#[derive(Debug)]
pub(super) struct Begun {
    worker: u64,
    place: usize,
    generation: u64,
    starting: Result<Starting>,
}

/// The thread.
impl Starter {
    /// Does the jobs that there are, and tells of each.
    pub(super) fn work(&self, tell: impl Fn()) {
        while let Some(jobs) = self.take() {
            let starts = jobs.into_iter().filter_map(|job| self.begin(job));
            // All begin before the first is waited for.
            for begun in starts.collect::<Vec<_>>() {
                let report = self.finish(begun);
                self.lock().reports.push(report);
                tell();
            }
            tell();
        }
    }

    /// Waits for jobs; `None` when the thread is not needed any more.
    fn take(&self) -> Option<Vec<Job>> {
        let mut jobs = self.lock();
        if jobs.waiting.is_empty() && !jobs.is_closed {
            let woken = self.more.wait_timeout(jobs, LINGER);
            jobs = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !jobs.waiting.is_empty() {
            return Some(jobs.waiting.drain(..).collect());
        }
        jobs.is_running = false;
        if jobs.is_closed {
            drop(jobs);
            self.current().template = None;
        }
        None
    }

    /// Does a job; begins one that takes longer.
    fn begin(&self, job: Job) -> Option<Begun> {
        match job {
            Job::Start { worker, place } => {
                let (generation, starting) = self.fork();
                Some(Begun {
                    worker,
                    place,
                    generation,
                    starting,
                })
            }
            Job::Finish(begun) => Some(*begun),
            Job::Stop { info, exit } => {
                if let Some(on_stop) = &self.hooks.on_stop {
                    // The panic was told by the program's hook for panics.
                    let _ = catch_unwind(AssertUnwindSafe(|| on_stop(&info, &exit)));
                }
                None
            }
            Job::Measure { worker, live } => {
                let memory = private(&live);
                self.lock()
                    .reports
                    .push(Report::Measured { worker, memory });
                None
            }
            Job::Renew {
                generation,
                template,
            } => {
                let mut current = self.current();
                current.generation = generation;
                current.template = Some(template);
                None
            }
        }
    }

    /// Tells a fork of the process that there is now to start, and gives its generation.
    fn fork(&self) -> (u64, Result<Starting>) {
        let mut current = self.current();
        let generation = current.generation;
        let Some(template) = &mut current.template else {
            return (generation, Err(Error::closed()));
        };
        let fork = |template: &mut Box<dyn Forks>| caught(|| template.fork(self.manner));
        let starting = match fork(template) {
            Err(error) if error.is_template_gone() && template.gone() => fork(template),
            starting => starting,
        };
        (generation, starting)
    }

    /// Notes that the process of this generation is gone. Tells whether there is or can be
    /// another one.
    fn outlives(&self, generation: u64) -> bool {
        let mut current = self.current();
        let is_renewed = current.generation != generation;
        let template = current.template.as_mut();
        is_renewed || template.is_none_or(|template| template.gone())
    }

    fn finish(&self, begun: Begun) -> Report {
        let Begun {
            worker,
            place,
            generation,
            starting,
        } = begun;
        let started = starting.and_then(|starting| {
            let (live, ends) = starting.finish()?;
            if ends.are_there() {
                return Err(Error::invalid(
                    "the workers of a pool have no pipes of their own: leave `Stdio::piped` out, \
                     or give them a file",
                ));
            }
            let info = Info::new(live.id(), place);
            if let Some(on_start) = &self.hooks.on_start {
                caught(|| {
                    on_start(&info);
                    Ok(())
                })?;
            }
            Ok(live)
        });
        match started {
            Ok(live) => Report::Started {
                worker,
                memory: self.measures.then(|| private(&live)).flatten(),
                live,
                generation,
            },
            Err(error) => {
                let is_over = error.is_template_gone() && !self.outlives(generation);
                let error = if is_over { template::gone() } else { error };
                Report::NotStarted {
                    worker,
                    error: error.unstarted(),
                    gone: is_over.then_some(generation),
                }
            }
        }
    }
}

/// Gives the memory of a worker that no other process has; `None` if that cannot be
/// told.
fn private(live: &Live) -> Option<u64> {
    memory_use::private(pidfd::id(live.pidfd())?)
}

impl fmt::Debug for Starter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starter").finish_non_exhaustive()
    }
}
