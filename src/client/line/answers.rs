//! The questions of a line by their numbers, and what was answered. Pure.

use std::{collections::BTreeMap, os::fd::OwnedFd, task::Waker};

use crate::error::Error;

/// The number of the answer to `Run`, `Preload` and `Give`. A `Failed` with this number
/// may also come unasked, in place of `Hello` or `Ready`.
pub(in crate::client) const ONLY: u64 = 0;

/// The answer to a request to run something.
#[derive(Debug)]
pub(in crate::client) enum Answer {
    Done,
    Value { body: Vec<u8>, fds: Vec<OwnedFd> },
    Failed(Error),
}

/// A question that has no answer yet.
#[derive(Debug, Default)]
struct Question {
    /// Whether nobody asks for the answer any more.
    is_forgotten: bool,
    /// The future that waits for it.
    waker: Option<Waker>,
}

/// What was asked and answered. Each question has one answer, which is taken once.
#[derive(Debug, Default)]
pub(in crate::client) struct Answers {
    open: BTreeMap<u64, Question>,
    here: BTreeMap<u64, Answer>,
    /// The futures whose answers have come since the last look.
    woken: Vec<Waker>,
}

impl Answers {
    /// Notes a question with a number of its own.
    pub(in crate::client) fn ask(&mut self, number: u64) {
        self.open.insert(number, Question::default());
    }

    /// Notes that it was not asked after all.
    pub(in crate::client) fn retract(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// Notes that nobody takes this answer: it is dropped, now or when it comes.
    pub(in crate::client) fn forget(&mut self, number: u64) {
        self.here.remove(&number);
        if let Some(question) = self.open.get_mut(&number) {
            question.is_forgotten = true;
            question.waker = None;
        }
    }

    /// Gives the oldest question that has no answer.
    pub(in crate::client) fn oldest(&self) -> Option<u64> {
        self.open.keys().next().copied()
    }

    pub(super) fn is_open(&self, number: u64) -> bool {
        self.open.contains_key(&number)
    }

    /// Takes an answer in. Gives false if nobody has asked, or if it is not the first.
    pub(super) fn put(&mut self, number: u64, answer: Answer) -> bool {
        if let Some(question) = self.open.remove(&number) {
            self.woken.extend(question.waker);
            if !question.is_forgotten {
                self.here.insert(number, answer);
            }
            return true;
        }
        let is_first = number == ONLY && !self.here.contains_key(&ONLY);
        if is_first {
            self.here.insert(ONLY, answer);
        }
        is_first
    }

    pub(in crate::client) fn get(&self, number: u64) -> Option<&Answer> {
        self.here.get(&number)
    }

    pub(in crate::client) fn take(&mut self, number: u64) -> Option<Answer> {
        self.here.remove(&number)
    }

    /// Has this future woken when the answer comes, or when somebody must read.
    #[cfg(feature = "tokio")]
    pub(in crate::client) fn wake(&mut self, number: u64, waker: &Waker) {
        if let Some(question) = self.open.get_mut(&number) {
            question.waker = Some(waker.clone());
        }
    }

    /// Gives the futures whose answers have come; with `all`, every one that waits.
    pub(super) fn woken(&mut self, all: bool) -> Vec<Waker> {
        let mut woken = std::mem::take(&mut self.woken);
        if all {
            let open = self.open.values_mut();
            woken.extend(open.filter_map(|question| question.waker.take()));
        }
        woken
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
    };

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn asked(numbers: impl IntoIterator<Item = u64>) -> Answers {
        let mut answers = Answers::default();
        numbers.into_iter().for_each(|number| answers.ask(number));
        answers
    }

    #[test]
    fn each_question_has_one_answer_which_is_taken_once() {
        let mut answers = asked([1, 2]);
        assert!(answers.put(2, Answer::Done));
        assert!(!answers.put(2, Answer::Done), "a second one");
        assert!(answers.take(1).is_none() && answers.take(2).is_some());
        assert!(answers.take(2).is_none());
        assert!(!answers.put(2, Answer::Done), "after it was taken");
        assert!(!answers.put(3, Answer::Done), "nobody has asked");
    }

    #[test]
    fn the_oldest_question_is_the_one_that_has_no_answer() {
        let mut answers = asked([4, 5, 6]);
        answers.put(5, Answer::Done);
        assert_eq!(answers.oldest(), Some(4));
        answers.put(4, Answer::Done);
        assert_eq!(answers.oldest(), Some(6));
        answers.retract(6);
        assert_eq!(answers.oldest(), None);
        assert!(!answers.put(6, Answer::Done), "it was not asked");
    }

    #[test]
    fn an_answer_that_nobody_takes_is_dropped() {
        let mut answers = asked([1, 2]);
        answers.forget(1);
        assert_eq!(answers.oldest(), Some(1), "it is still to come");
        assert!(answers.put(1, Answer::Done) && answers.put(2, Answer::Done));
        answers.forget(2);
        assert!(answers.here.is_empty() && answers.open.is_empty());
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn a_future_is_woken_by_its_own_answer_or_to_read() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut answers = asked([1, 2, 3]);
        (1..=3).for_each(|number| answers.wake(number, &waker));
        answers.forget(3);
        answers.put(1, Answer::Done);
        answers.put(3, Answer::Done);
        assert_eq!(answers.woken(false).len(), 1);
        assert_eq!(answers.woken(true).len(), 1, "the second, to read");
        assert_eq!(answers.woken(true).len(), 0, "once");
    }
}
