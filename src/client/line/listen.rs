//! Listening on a line: who reads, and until when.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    task::Waker,
};

use super::{
    Held, Line, Waited,
    inbox::{Closed, Inbox},
    turn::{self, Over, Wait},
};
use crate::{
    client::sync::lock,
    error::{Error, Result},
    sys::poll::{Deadline, Want, poll},
    wire::{
        frame::Frame,
        link::{self, Trouble},
    },
};

/// The length from which on a frame takes a while to read.
const LONG: usize = 1 << 20;

impl Line {
    /// Waits until `pick` finds what it looks for among what has arrived, the
    /// socket ends, or `watch` is ready. One thread reads at a time; the others are
    /// woken when it stops.
    pub(in crate::client) fn wait<T>(
        &self,
        deadline: Deadline,
        watch: Option<BorrowedFd<'_>>,
        pick: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<Waited<T>> {
        let receive = || {
            let watched = await_frame(self.socket.as_fd(), watch, deadline)?;
            Ok((self.receive(), watched))
        };
        self.listen(deadline, receive, pick)
    }

    /// Does the same as `wait` for what should be there already, without waiting.
    pub(in crate::client) fn look<T>(
        &self,
        pick: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<Waited<T>> {
        self.listen(Deadline::NOW, || Ok((self.receive(), false)), pick)
    }

    fn receive(&self) -> Result<Frame, Trouble> {
        link::receive_within(self.socket.as_fd(), false, self.longest.load(Relaxed))
    }

    fn listen<T>(
        &self,
        deadline: Deadline,
        receive: impl Fn() -> Result<(Result<Frame, Trouble>, bool)>,
        mut pick: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<Waited<T>> {
        let mut wait = Wait::default();
        let is_open = self.open().is_ok();
        let mut held = lock(&self.held);
        loop {
            if let Some(end) = found(&mut held.inbox, &mut pick, is_open, &wait)? {
                return Ok(end);
            }
            if !held.turn.take() {
                held = self.sleep(held, deadline);
                wait.after_sleep(deadline.passed());
                continue;
            }
            // No lock is held while this waits.
            drop(held);
            let received = receive();
            held = lock(&self.held);
            let stored = received.map(|(frame, watched)| {
                let nothing = matches!(frame, Err(Trouble::Busy));
                wait.after_read(nothing, watched, deadline.passed());
                self.store(&mut held.inbox, frame);
            });
            self.give_back(&mut held);
            stored?;
        }
    }

    /// Takes in what is there, so that it does not pile up, or is found without
    /// waiting. Another thread that reads does the same.
    pub(in crate::client) fn take_in(&self) {
        if self.open().is_err() || !lock(&self.held).turn.take() {
            return;
        }
        for _ in 0..turn::QUEUE {
            let frame = self.receive();
            let is_last = frame.is_err();
            let is_long = frame.as_ref().is_ok_and(|frame| frame.body.len() > LONG);
            // What fails now is tried again by the next thread that waits.
            let mut is_wrong = false;
            if !matches!(frame, Err(Trouble::Os(..))) {
                let inbox = &mut lock(&self.held).inbox;
                self.store(inbox, frame);
                is_wrong = inbox.faults.are_there();
            }
            // A process that makes no sense does not keep anybody busy with long frames.
            if is_last || is_long && is_wrong {
                break;
            }
        }
        self.give_back(&mut lock(&self.held));
    }

    /// Sleeps, while another thread reads, until that one stops or for a moment.
    fn sleep<'held>(
        &self,
        mut held: MutexGuard<'held, Held>,
        deadline: Deadline,
    ) -> MutexGuard<'held, Held> {
        let time = held.turn.sleep(deadline.remaining());
        let woken = self.arrived.wait_timeout(held, time);
        let mut held = woken.unwrap_or_else(PoisonError::into_inner).0;
        held.turn.wake();
        held
    }

    fn give_back(&self, held: &mut Held) {
        if held.turn.give_back() {
            self.arrived.notify_all();
        }
        // Futures look only when they are woken, which tokio does without polling them.
        let is_missed = held.turn.was_missed();
        let woken = held.inbox.answers.woken(is_missed);
        woken.into_iter().for_each(Waker::wake);
    }

    fn store(&self, inbox: &mut Inbox, frame: Result<Frame, Trouble>) {
        match frame {
            Ok(frame) => inbox.put(frame, &self.hello),
            Err(trouble) => {
                // A reset is told once, before what the other end said before it
                // closed: why there is no process, for example.
                let is_reset = matches!(trouble, Trouble::Closed { unread: true });
                while is_reset
                    && !inbox.faults.are_there()
                    && let Ok(frame) = self.receive()
                {
                    inbox.put(frame, &self.hello);
                }
                inbox.miss(trouble);
            }
        }
    }
}

/// Tells whether and how a wait has ended. What has arrived comes first, so that a word
/// that was said before the end is never lost.
fn found<T>(
    inbox: &mut Inbox,
    pick: &mut impl FnMut(&mut Inbox) -> Option<T>,
    is_open: bool,
    wait: &Wait,
) -> Result<Option<Waited<T>>> {
    if let Some(found) = pick(inbox) {
        return Ok(Some(Waited::Got(found)));
    }
    if let Some(error) = inbox.faults.take() {
        return Err(error);
    }
    let closed = inbox
        .closed
        .or((!is_open).then_some(Closed { unread: false }));
    Ok(closed.map(Waited::Closed).or(match wait.over() {
        Some(Over::Watched) => Some(Waited::Watched),
        Some(Over::TimedOut) => Some(Waited::TimedOut),
        None => None,
    }))
}

/// Waits for a frame until the deadline or until `watch` is ready, and tells whether
/// `watch` is ready. A process says its last word before it ends, so what has arrived is
/// read even when it was `watch` that ended the wait.
fn await_frame(
    socket: BorrowedFd<'_>,
    watch: Option<BorrowedFd<'_>>,
    deadline: Deadline,
) -> Result<bool> {
    let watch = watch.map_or(Want::Nothing, Want::Read);
    let [_, watched] = poll([Want::Read(socket), watch], deadline)
        .map_err(|error| Error::os("poll for a process's answer failed", error))?;
    Ok(watched)
}

#[cfg(test)]
mod tests {
    use std::{
        os::fd::{AsFd, OwnedFd},
        thread, time,
    };

    use super::{super::ONLY, *};
    use crate::{
        sys::socket,
        wire::frame::{Head, Kind},
    };

    const NEVER: Deadline = Deadline::NEVER;

    fn line() -> (Line, OwnedFd) {
        let (near, far) = socket::pair().unwrap();
        (Line::new(near.into()), far)
    }

    fn say(far: &OwnedFd, kind: Kind, number: u64) {
        link::send(far.as_fd(), Head::new(kind, number), &[], &[], false).unwrap();
    }

    fn ready(inbox: &mut Inbox) -> Option<()> {
        inbox.is_ready.then_some(())
    }

    fn done(inbox: &mut Inbox) -> Option<()> {
        inbox.take_answer(ONLY).map(drop)
    }

    #[test]
    fn a_word_is_waited_for_and_others_are_kept_for_later() {
        let (line, far) = line();
        say(&far, Kind::Done, ONLY);
        say(&far, Kind::Ready, 0);
        assert_eq!(line.wait(NEVER, None, ready).unwrap(), Waited::Got(()));
        assert_eq!(line.look(done).unwrap(), Waited::Got(()));
        assert_eq!(line.look(done).unwrap(), Waited::TimedOut);
    }

    #[test]
    fn what_was_said_before_the_end_is_heard_first() {
        let (line, far) = line();
        say(&far, Kind::Ready, 0);
        drop(far);
        assert_eq!(line.wait(NEVER, None, ready).unwrap(), Waited::Got(()));
        let end = Waited::Closed(Closed { unread: false });
        assert_eq!(line.wait(NEVER, None, done).unwrap(), end);
    }

    #[test]
    fn an_end_with_something_unread_is_told_behind_the_last_word() {
        let (line, far) = line();
        line.tell(Head::new(Kind::Run, 0), &[]);
        say(&far, Kind::Done, ONLY);
        drop(far);
        assert_eq!(line.wait(NEVER, None, done).unwrap(), Waited::Got(()));
        let end = Waited::Closed(Closed { unread: true });
        assert_eq!(line.wait(NEVER, None, done).unwrap(), end);
        line.take_in();
        assert_eq!(line.look(done).unwrap(), end, "a plain end follows");
    }

    #[test]
    fn a_watched_descriptor_ends_a_wait_behind_what_has_arrived() {
        let (line, far) = line();
        let (watch, held) = socket::pair().unwrap();
        drop(held);
        say(&far, Kind::Detached, 0);
        say(&far, Kind::Ready, 0);
        let wait = |pick: fn(&mut Inbox) -> Option<()>| {
            line.wait(NEVER, Some(watch.as_fd()), pick).unwrap()
        };
        assert_eq!(wait(ready), Waited::Got(()));
        assert_eq!(wait(done), Waited::Watched);
    }

    #[test]
    fn what_is_taken_in_needs_no_wait() {
        let (line, far) = line();
        say(&far, Kind::Ready, 0);
        say(&far, Kind::Done, ONLY);
        line.take_in();
        assert!(
            line.with_inbox(|inbox| ready(inbox).and(done(inbox)))
                .is_some()
        );
    }

    #[test]
    fn a_refused_word_cannot_be_said_and_one_that_was_said_is_there() {
        let (line, far) = line();
        say(&far, Kind::Ready, 0);
        line.refuse_more();
        let head = Head::new(Kind::Done, ONLY);
        assert!(link::send(far.as_fd(), head, &[], &[], false).is_err());
        assert_eq!(line.look(ready).unwrap(), Waited::Got(()));
    }

    #[test]
    fn a_full_socket_is_busy_until_the_deadline() {
        let (line, far) = line();
        let (head, now) = (Head::new(Kind::Message, 0), Deadline::NOW);
        let full = (0..10_000).find_map(|_| line.send(head, &[&[7; 1000]], &[], now).err());
        assert!(matches!(full, Some(Trouble::Busy)), "{full:?}");
        let begun = time::Instant::now();
        let soon = Deadline::after(time::Duration::from_millis(20));
        let late = line.send(head, &[&[7; 1000]], &[], soon);
        assert!(matches!(late, Err(Trouble::Busy)));
        assert!(begun.elapsed() >= time::Duration::from_millis(20));
        thread::scope(|scope| {
            scope.spawn(|| line.send(head, &[&[7; 1000]], &[], NEVER).unwrap());
            while link::receive(far.as_fd(), false).is_ok() {}
        });
    }

    #[test]
    fn what_one_thread_reads_another_finds() {
        let (line, far) = line();
        thread::scope(|scope| {
            let waits = [ready, done].map(|pick| {
                let line = &line;
                scope.spawn(move || line.wait(NEVER, None, pick).unwrap())
            });
            // Both threads are there: one reads, the other sleeps.
            while lock(&line.held).turn.take() {
                lock(&line.held).turn.give_back();
                thread::yield_now();
            }
            say(&far, Kind::Done, ONLY);
            say(&far, Kind::Ready, 0);
            for wait in waits {
                assert_eq!(wait.join().unwrap(), Waited::Got(()));
            }
        });
    }

    #[test]
    fn a_thread_that_waits_for_another_keeps_its_own_deadline() {
        let (line, _far) = line();
        assert!(lock(&line.held).turn.take(), "another reads");
        let soon = Deadline::after(time::Duration::from_millis(5));
        assert_eq!(line.wait(soon, None, ready).unwrap(), Waited::TimedOut);
    }

    #[cfg(feature = "tokio")]
    mod futures {
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

        fn asked(line: &Line) -> Arc<Count> {
            let count = Arc::new(Count(AtomicUsize::new(0)));
            let waker = Waker::from(Arc::clone(&count));
            line.with_inbox(|inbox| {
                inbox.answers.ask(1);
                inbox.answers.wake(1, &waker);
            });
            count
        }

        fn first(inbox: &mut Inbox) -> Option<()> {
            inbox.take_answer(1).map(drop)
        }

        #[test]
        fn one_that_found_the_turn_taken_is_woken_to_read() {
            for misses in [true, false] {
                let (line, far) = line();
                let count = asked(&line);
                assert!(lock(&line.held).turn.take(), "another reads");
                if misses {
                    assert_eq!(line.look(first).unwrap(), Waited::TimedOut);
                }
                say(&far, Kind::Done, 1);
                line.give_back(&mut lock(&line.held));
                assert_eq!(count.0.load(Ordering::Relaxed), usize::from(misses));
                assert_eq!(line.look(first).unwrap(), Waited::Got(()));
            }
        }

        #[test]
        fn one_whose_answer_another_has_read_is_woken() {
            let (line, far) = line();
            let count = asked(&line);
            say(&far, Kind::Done, 1);
            say(&far, Kind::Ready, 0);
            assert_eq!(line.wait(NEVER, None, ready).unwrap(), Waited::Got(()));
            assert_eq!(count.0.load(Ordering::Relaxed), 1);
        }
    }
}
