//! Many tasks one after the other, as there is room.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::Future,
    iter::FusedIterator,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use super::with::With;
use crate::{
    call::Call,
    error::Result,
    task::{RunsIn, Task},
};

/// The results of many tasks, in their order; [`Pool::map`](super::Pool::map) makes it.
///
/// It takes tasks only as there is room for them: twice as many as the workers of the
/// pool can have at most, and as many as its queue allows. So an endless iterator is
/// fine, and of files that are opened by the iterator only a few are open at once.
/// [`next`](Iterator::next) waits for the result of the oldest. Dropped, it drops its
/// calls: those that have not begun do not begin.
///
/// # Examples
///
/// ```
/// #[zygote::entry]
/// fn half(n: u64) -> Option<u64> {
///     n.is_multiple_of(2).then_some(n / 2)
/// }
///
/// let pool = zygote::Pool::new(2)?;
/// let halves: Vec<_> = pool.map((0..).map(half::task)).take(4).collect::<Result<_, _>>()?;
/// assert_eq!(halves, [Some(0), None, Some(1), None]);
///
/// let unordered = pool.map((0..100).map(half::task)).unordered();
/// let sum: u64 = unordered.flatten().flatten().sum();
/// assert_eq!(sum, 1225);
/// # Ok::<(), zygote::Error>(())
/// ```
#[must_use = "it takes no task until it is asked for a result"]
pub struct Map<R, K, I, S = ()> {
    source: Source<I, S>,
    calls: VecDeque<Call<R>>,
    place: std::marker::PhantomData<fn() -> K>,
}

/// Where the calls come from.
struct Source<I, S> {
    with: With<S>,
    /// `None` when there are no more.
    tasks: Option<I>,
    /// How many calls are made before their results are taken.
    most: usize,
}

impl<I, S> Source<I, S> {
    /// Makes one more call, if there is room. With `waits` it waits for room.
    fn call<R, K: RunsIn<S>>(&mut self, waits: bool) -> Option<Call<R>>
    where
        I: Iterator<Item = Task<R, K>>,
    {
        let tasks = self.tasks.as_mut()?;
        let ready = self.with.ready();
        let permit = match waits {
            true => ready.wait().map(Some),
            false => ready.wait_timeout(std::time::Duration::ZERO),
        };
        // The room comes first, so that no task is taken that would wait here.
        let call = match permit {
            Ok(None) => return None,
            Ok(Some(permit)) => tasks.next().map(|task| permit.call(task)),
            // The call says what is wrong.
            Err(_) => tasks.next().map(|task| self.with.call(task)),
        };
        if call.is_none() {
            self.tasks = None;
        }
        call
    }
}

impl<S> With<S> {
    /// Runs each task, as [`Pool::map`](super::Pool::map) does.
    pub fn map<R, K, I>(&self, tasks: I) -> Map<R, K, I::IntoIter, S>
    where
        K: RunsIn<S>,
        I: IntoIterator<Item = Task<R, K>>,
    {
        Map::new(self.clone(), tasks.into_iter())
    }
}

impl<R, K: RunsIn<S>, I: Iterator<Item = Task<R, K>>, S> Map<R, K, I, S> {
    fn new(with: With<S>, tasks: I) -> Self {
        let most = match with.owner.shared.is_current() {
            true => {
                let state = with.owner.shared.lock();
                let rules = state.desk.rules();
                rules.most.saturating_mul(rules.depth).saturating_mul(2)
            }
            false => 1,
        };
        Self {
            source: Source {
                with,
                tasks: Some(tasks),
                most,
            },
            calls: VecDeque::new(),
            place: std::marker::PhantomData,
        }
    }

    /// Gives each result when it comes, whatever the order of the tasks.
    pub fn unordered(self) -> Unordered<R, K, I, S> {
        Unordered {
            source: self.source,
            calls: BTreeMap::new(),
            next: 0,
            finished: Arc::default(),
            place: self.place,
        }
    }
}

impl<R, K: RunsIn<S>, I: Iterator<Item = Task<R, K>>, S> Iterator for Map<R, K, I, S> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        while self.calls.len() < self.source.most
            && let Some(call) = self.source.call(self.calls.is_empty())
        {
            self.calls.push_back(call);
        }
        self.calls.pop_front().map(Call::join)
    }
}

impl<R, K: RunsIn<S>, I: Iterator<Item = Task<R, K>>, S> FusedIterator for Map<R, K, I, S> {}

/// The results of many tasks as they come; [`Map::unordered`] makes it.
///
/// In all else it is what [`Map`] is.
#[must_use = "it takes no task until it is asked for a result"]
pub struct Unordered<R, K, I, S = ()> {
    source: Source<I, S>,
    calls: BTreeMap<u64, Call<R>>,
    /// The number of the next call.
    next: u64,
    finished: Arc<Finished>,
    place: std::marker::PhantomData<fn() -> K>,
}

/// The numbers of the calls whose results have come.
#[derive(Debug, Default)]
struct Finished {
    numbers: Mutex<VecDeque<u64>>,
    come: Condvar,
}

impl Finished {
    fn add(&self, number: u64) {
        let numbers = self.numbers.lock();
        let mut numbers = numbers.unwrap_or_else(PoisonError::into_inner);
        numbers.push_back(number);
        self.come.notify_one();
    }

    /// Waits for one.
    fn wait(&self) -> u64 {
        let numbers = self.numbers.lock();
        let mut numbers = numbers.unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(number) = numbers.pop_front() {
                return number;
            }
            let woken = self.come.wait(numbers);
            numbers = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Notes that a call has a result.
struct Note {
    finished: Arc<Finished>,
    number: u64,
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.finished.add(self.number);
    }
}

impl<R, K: RunsIn<S>, I: Iterator<Item = Task<R, K>>, S> Unordered<R, K, I, S> {
    /// Has it noted when this call has a result, or takes the result.
    fn look(&mut self, number: u64) -> Option<Result<R>> {
        let call = self.calls.get_mut(&number)?;
        let waker = Waker::from(Arc::new(Note {
            finished: Arc::clone(&self.finished),
            number,
        }));
        match Pin::new(call).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => {
                self.calls.remove(&number);
                Some(result)
            }
            Poll::Pending => None,
        }
    }
}

impl<R, K: RunsIn<S>, I: Iterator<Item = Task<R, K>>, S> Iterator for Unordered<R, K, I, S> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        while self.calls.len() < self.source.most
            && let Some(call) = self.source.call(self.calls.is_empty())
        {
            let number = self.next;
            self.next += 1;
            self.calls.insert(number, call);
            if let Some(result) = self.look(number) {
                return Some(result);
            }
        }
        let is_copy = !self.source.with.owner.shared.is_current();
        if let Some((_, call)) = is_copy.then(|| self.calls.pop_first()).flatten() {
            // Nobody here tells of it.
            return Some(call.join());
        }
        while !self.calls.is_empty() {
            let number = self.finished.wait();
            if let Some(result) = self.look(number) {
                return Some(result);
            }
        }
        None
    }
}

impl<R, K: RunsIn<S>, I: Iterator<Item = Task<R, K>>, S> FusedIterator for Unordered<R, K, I, S> {}

impl<R, K, I, S> fmt::Debug for Map<R, K, I, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("calls", &self.calls.len())
            .finish_non_exhaustive()
    }
}

impl<R, K, I, S> fmt::Debug for Unordered<R, K, I, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unordered")
            .field("calls", &self.calls.len())
            .finish_non_exhaustive()
    }
}
