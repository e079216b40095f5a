//! A place for one value, which one party puts and another one waits for.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::sys::poll::Deadline;

/// The place. What is put first counts, and it is taken once.
#[derive(Debug)]
pub(super) struct Slot<T> {
    held: Mutex<Held<T>>,
    put: Condvar,
}

#[derive(Debug)]
struct Held<T> {
    value: Option<T>,
    is_put: bool,
    waker: Option<Waker>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        let held = Held {
            value: None,
            is_put: false,
            waker: None,
        };
        Self {
            held: Mutex::new(held),
            put: Condvar::new(),
        }
    }
}

impl<T> Slot<T> {
    /// Puts the value, and wakes who waits. Gives false if there was one.
    pub(super) fn put(&self, value: T) -> bool {
        let mut held = self.lock();
        if held.is_put {
            return false;
        }
        (held.value, held.is_put) = (Some(value), true);
        let waker = held.waker.take();
        drop(held);
        self.put.notify_all();
        waker.into_iter().for_each(Waker::wake);
        true
    }

    /// Tells whether the value was put.
    pub(super) fn is_put(&self) -> bool {
        self.lock().is_put
    }

    /// Takes the value if it is there.
    pub(super) fn take(&self) -> Option<T> {
        self.lock().value.take()
    }

    /// Waits for the value and takes it; `None` when the deadline passes first, or when
    /// it was taken.
    pub(super) fn wait(&self, deadline: Deadline) -> Option<T> {
        let mut held = self.lock();
        while !held.is_put && !deadline.passed() {
            held = match deadline.remaining() {
                None => self.put.wait(held).unwrap_or_else(PoisonError::into_inner),
                Some(time) => {
                    let woken = self.put.wait_timeout(held, time);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        held.value.take()
    }

    /// Takes the value, or has the future woken when it is put.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<T> {
        let mut held = self.lock();
        match held.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                match &mut held.waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    none => *none = Some(context.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held<T>> {
        // Nothing panics while it holds this.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
        thread,
        time::Duration,
    };

    use super::*;

    #[test]
    fn the_first_value_counts_and_is_taken_once() {
        let slot = Slot::default();
        assert!(!slot.is_put() && slot.wait(Deadline::NOW).is_none());
        assert!(slot.put(1) && !slot.put(2) && slot.is_put());
        assert_eq!(slot.take(), Some(1));
        assert!(slot.is_put() && slot.wait(Deadline::NEVER).is_none());
        assert!(!slot.put(3) && slot.take().is_none());
    }

    #[test]
    fn threads_are_woken_and_deadlines_kept() {
        let slot = Slot::default();
        let soon = Deadline::after(Duration::from_millis(5));
        assert!(slot.wait(soon).is_none());
        thread::scope(|scope| {
            let waits = scope.spawn(|| slot.wait(Deadline::NEVER));
            slot.put(7);
            assert_eq!(waits.join().unwrap(), Some(7));
        });
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_last_future_that_has_looked_is_woken_once() {
        let slot = Slot::default();
        let counts: [Arc<Count>; 2] = Default::default();
        for count in &counts {
            let waker = Waker::from(Arc::clone(count));
            let mut context = Context::from_waker(&waker);
            assert!(slot.poll(&mut context).is_pending());
        }
        slot.put(7);
        slot.put(8);
        let woken = counts.each_ref().map(|it| it.0.load(Ordering::Relaxed));
        assert_eq!(woken, [0, 1]);
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(slot.poll(&mut context), Poll::Ready(7));
    }
}
