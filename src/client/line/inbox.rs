//! What has arrived on a line and was not taken yet. Pure: it is given frames, and
//! asked for words.

use std::sync::OnceLock;

use super::{
    answers::{Answer, Answers},
    children::Children,
    faults::Faults,
};
use crate::{
    error::{Error, ErrorKind},
    sys::ours::Ours,
    wire::{
        frame::{Frame, Kind, Report, failure},
        link::Trouble,
    },
};

/// What a process says of itself, first of all.
#[derive(Debug)]
pub(in crate::client) struct Hello {
    pub(in crate::client) pid: u32,
    pub(in crate::client) pidfd: Ours,
}

/// The socket is at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::client) struct Closed {
    /// Whether the task was never read.
    pub(in crate::client) unread: bool,
}

/// What has arrived and was not taken yet.
#[derive(Debug, Default)]
pub(in crate::client) struct Inbox {
    pub(in crate::client) answers: Answers,
    pub(in crate::client) is_ready: bool,
    pub(in crate::client) is_detached: bool,
    /// How much memory it asked for in vain, the last time since its last answer; 0 if
    /// that is not known.
    pub(in crate::client) starved: Option<u64>,
    pub(in crate::client) children: Children,
    /// The template that was cloned from an executed program, kept until its `Hello`.
    pub(in crate::client) born: Option<Ours>,
    /// Whether this program had no room for the pidfd.
    pub(in crate::client) hello_lost: bool,
    pub(super) closed: Option<Closed>,
    pub(super) faults: Faults,
}

/// The words that are asked for.
impl Inbox {
    pub(in crate::client) fn take_answer(&mut self, number: u64) -> Option<Answer> {
        self.answers.take(number)
    }

    pub(in crate::client) fn has_answer(&self, number: u64) -> bool {
        self.answers.get(number).is_some()
    }

    /// Gives the answer with this number if it is a failure. The failure stays.
    pub(in crate::client) fn failure(&self, number: u64) -> Option<&Error> {
        match self.answers.get(number)? {
            Answer::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// Takes the answer with this number if it is a failure.
    pub(in crate::client) fn take_failure(&mut self, number: u64) -> Option<Error> {
        let failure = self.failure(number).cloned()?;
        self.answers.take(number);
        Some(failure)
    }
}

/// What went wrong.
#[cfg(feature = "pool")]
impl Inbox {
    pub(in crate::client) fn take_fault(&mut self) -> Option<Error> {
        self.faults.take()
    }
}

/// What arrives.
impl Inbox {
    /// Keeps what a frame says. `hello` is separate from all else, since it is read
    /// without a lock.
    pub(super) fn put(&mut self, frame: Frame, hello: &OnceLock<Hello>) {
        let Frame {
            kind,
            number,
            body,
            mut fds,
        } = frame;
        let is_understood = match kind {
            Kind::Hello => match (u32::try_from(number), fds.pop()) {
                (Ok(pid), Some(pidfd)) => {
                    self.born = None;
                    // A process that was given away says `Hello` twice.
                    let pidfd = Ours::new(pidfd);
                    let _ = hello.set(Hello { pid, pidfd });
                    true
                }
                _ => false,
            },
            Kind::Born => {
                if hello.get().is_none() {
                    self.born = fds.pop().map(Ours::new);
                }
                true
            }
            Kind::Done => self.answer(number, Some(Answer::Done)),
            Kind::Value => self.answer(number, Some(Answer::Value { body, fds })),
            Kind::Failed => self.answer(number, failure::decode(&body).map(Answer::Failed)),
            Kind::Ready => {
                self.is_ready = true;
                true
            }
            Kind::Detached => {
                self.is_detached = true;
                true
            }
            Kind::Starved => {
                self.starved = Some(number);
                true
            }
            Kind::Exits => {
                Report::decode(&body)
                    .into_iter()
                    .for_each(|report| self.children.report(report));
                true
            }
            _ => false,
        };
        if !is_understood {
            self.faults.note(foreign(kind), false);
        }
    }

    /// Keeps an answer. Gives false if it cannot be understood, if nobody has asked for
    /// it, or if it is not the first: what is there is not taken back.
    fn answer(&mut self, number: u64, answer: Option<Answer>) -> bool {
        let is_kept = answer.is_some_and(|answer| self.answers.put(number, answer));
        if is_kept {
            // It went on without that memory.
            self.starved = None;
        }
        is_kept
    }

    /// Notes that nothing arrived, or something that could not be kept.
    pub(super) fn miss(&mut self, trouble: Trouble) {
        let passes = match trouble {
            // `Born` is only needed when the template hangs.
            Trouble::Busy
            | Trouble::NoRoom {
                kind: Kind::Born, ..
            } => return,
            Trouble::Closed { unread } => {
                // A reset is told once; later looks find a plain end.
                self.closed.get_or_insert(Closed { unread });
                return;
            }
            // An answer is lost, and it is known which.
            Trouble::NoRoom { number, .. } if self.answers.is_open(number) => {
                let answer = trouble.into_error("receiving a result");
                self.answers.put(number, Answer::Failed(answer));
                return;
            }
            Trouble::Lost { number, error } => {
                if !self.answers.put(number, Answer::Failed(error)) {
                    self.faults.note(foreign(Kind::Value), false);
                }
                return;
            }
            Trouble::NoRoom { kind, .. } => {
                self.hello_lost |= kind == Kind::Hello;
                true
            }
            Trouble::Foreign(_) => false,
            Trouble::Os(..) => true,
        };
        self.faults
            .note(trouble.into_error("receiving from a process"), passes);
    }
}

fn foreign(kind: Kind) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("a process sent a frame that makes no sense here: {kind:?}"),
    )
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io};

    use super::*;
    use crate::wire::frame::Fate;

    fn frame(kind: Kind, number: u64, body: &[u8]) -> Frame {
        let has_fd = matches!(kind, Kind::Hello | Kind::Born);
        let fds = has_fd.then(|| File::open("/dev/null").unwrap().into());
        Frame {
            kind,
            number,
            body: body.to_vec(),
            fds: fds.into_iter().collect(),
        }
    }

    fn failed(number: u64, text: &str) -> Frame {
        let error = Error::new(ErrorKind::Panic, text);
        frame(Kind::Failed, number, &failure::encode(&error))
    }

    /// Makes an inbox in which these frames have arrived, and gives the first word.
    fn inbox(frames: impl IntoIterator<Item = Frame>) -> (Inbox, OnceLock<Hello>) {
        let (mut inbox, hello) = (Inbox::default(), OnceLock::new());
        (1..=2).for_each(|number| inbox.answers.ask(number));
        for frame in frames {
            inbox.put(frame, &hello);
        }
        (inbox, hello)
    }

    fn value(inbox: &mut Inbox, number: u64) -> Option<Vec<u8>> {
        match inbox.take_answer(number)? {
            Answer::Value { body, .. } => Some(body),
            _ => None,
        }
    }

    #[test]
    fn words_are_found_in_whatever_order_they_came() {
        let words = || {
            [
                frame(Kind::Hello, 41, &[]),
                frame(Kind::Ready, 0, &[]),
                frame(Kind::Value, 0, b"zero"),
                frame(Kind::Value, 2, b"two"),
                frame(Kind::Detached, 0, &[]),
                frame(Kind::Exits, 0, &[]),
            ]
        };
        for first in 0..words().len() {
            let mut frames = words();
            frames.rotate_left(first);
            let (mut inbox, hello) = inbox(frames);
            assert_eq!(hello.get().map(|hello| hello.pid), Some(41));
            assert!(inbox.is_ready && inbox.is_detached);
            assert_eq!(value(&mut inbox, 2).as_deref(), Some(&b"two"[..]));
            assert_eq!(value(&mut inbox, 0).as_deref(), Some(&b"zero"[..]));
            assert!(value(&mut inbox, 0).is_none(), "it was taken");
            assert!(inbox.faults.take().is_none());
        }
    }

    #[test]
    fn a_second_answer_of_a_number_is_a_fault_and_takes_nothing_back() {
        let second = [frame(Kind::Done, 0, &[]), failed(0, "no")];
        for second in second {
            let (mut inbox, _) = inbox([frame(Kind::Value, 0, b"first"), second]);
            assert_eq!(value(&mut inbox, 0).as_deref(), Some(&b"first"[..]));
            assert!(
                inbox.faults.take().is_some() && inbox.faults.take().is_some(),
                "it stays"
            );
        }
    }

    #[test]
    fn an_answer_that_nobody_asked_for_is_a_fault() {
        let (mut inbox, _) = inbox([frame(Kind::Value, 3, b"")]);
        assert!(value(&mut inbox, 3).is_none() && inbox.faults.take().is_some());
    }

    #[test]
    fn what_became_of_children_is_kept_by_their_numbers() {
        let (mut inbox, hello) = inbox([]);
        let child = inbox.children.expect();
        let fate = Fate::Unborn { code: 7 };
        let body = Report::encode(&[Report { child, fate }]);
        inbox.put(frame(Kind::Exits, 0, &body), &hello);
        assert_eq!(inbox.children.fate(child), Some(fate));
    }

    #[test]
    fn a_failure_stays_until_it_is_taken_and_is_no_other_answer() {
        let (mut inbox, _) = inbox([failed(0, "no"), frame(Kind::Done, 1, &[])]);
        assert_eq!(inbox.failure(0).map(Error::message), Some("no"));
        assert_eq!(
            inbox.take_failure(0).as_ref().map(Error::message),
            Some("no")
        );
        assert!(inbox.take_failure(0).is_none());
        assert!(inbox.take_failure(1).is_none());
        assert!(matches!(inbox.take_answer(1), Some(Answer::Done)));
    }

    #[test]
    fn the_last_want_of_memory_is_kept_until_there_is_an_answer() {
        let (mut inbox, hello) = inbox([]);
        assert_eq!(inbox.starved, None);
        for size in 1..10_000 {
            inbox.put(frame(Kind::Starved, size, &[]), &hello);
        }
        assert_eq!(inbox.starved, Some(9_999));
        inbox.put(frame(Kind::Value, 3, b"not asked for"), &hello);
        assert_eq!(inbox.starved, Some(9_999));
        for answer in [frame(Kind::Value, 0, b""), failed(1, "no")] {
            inbox.put(frame(Kind::Starved, u64::MAX, &[]), &hello);
            inbox.put(answer, &hello);
            assert_eq!(inbox.starved, None);
        }
    }

    #[test]
    fn what_is_not_for_an_owner_is_a_fault() {
        let empty = Frame {
            fds: Vec::new(),
            ..frame(Kind::Hello, 1, &[])
        };
        let cut = frame(Kind::Failed, 0, &[]);
        for wrong in [frame(Kind::Run, 0, &[]), empty, cut] {
            let (mut inbox, hello) = inbox([wrong]);
            assert!(inbox.faults.take().is_some() && hello.get().is_none());
        }
    }

    #[test]
    fn a_template_that_was_cloned_is_known_until_it_speaks() {
        let (mut inbox, hello) = inbox([frame(Kind::Born, 5, &[])]);
        assert!(inbox.born.is_some());
        inbox.put(frame(Kind::Hello, 5, &[]), &hello);
        assert!(inbox.born.is_none());
        inbox.put(frame(Kind::Born, 5, &[]), &hello);
        assert!(inbox.born.is_none(), "it was late");
    }

    #[test]
    fn trouble_that_passes_is_told_once_and_other_trouble_every_time() {
        let (mut inbox, _) = inbox([]);
        inbox.miss(Trouble::Busy);
        assert!(inbox.faults.take().is_none());
        let no_memory = || Trouble::Os("recvmsg", io::Error::from_raw_os_error(libc::ENOMEM));
        inbox.miss(no_memory());
        assert!(inbox.faults.take().is_some() && inbox.faults.take().is_none());
        inbox.miss(Trouble::Foreign("its head"));
        inbox.miss(no_memory());
        for _ in 0..2 {
            let error = inbox.faults.take().map(|error| error.to_string());
            assert!(error.is_some_and(|text| text.contains("its head")));
        }
    }

    #[test]
    fn an_answer_that_cannot_be_kept_is_the_failure_of_its_question() {
        let no_room = |number| Trouble::NoRoom {
            kind: Kind::Value,
            number,
        };
        let lost = |number| Trouble::Lost {
            number,
            error: Error::invalid("too long"),
        };
        let troubles: [&dyn Fn(u64) -> Trouble; 2] = [&no_room, &lost];
        for trouble in troubles {
            let (mut inbox, _) = inbox([frame(Kind::Value, 1, b"one")]);
            inbox.miss(trouble(2));
            assert!(inbox.faults.take().is_none(), "only its own question fails");
            assert!(inbox.take_failure(2).is_some());
            assert_eq!(value(&mut inbox, 1).as_deref(), Some(&b"one"[..]));
            inbox.miss(trouble(3));
            assert!(inbox.faults.take().is_some(), "nobody has asked");
        }
        let (mut inbox, _) = inbox([]);
        inbox.miss(lost(0));
        assert!(inbox.take_failure(0).is_some(), "a task's result");
    }

    #[test]
    fn only_a_first_word_without_room_is_asked_for_again() {
        for (kind, is_lost, is_fault) in [
            (Kind::Hello, true, true),
            (Kind::Value, false, true),
            (Kind::Born, false, false),
        ] {
            let (mut inbox, _) = inbox([]);
            inbox.miss(Trouble::NoRoom { kind, number: 0 });
            assert_eq!(
                (inbox.hello_lost, inbox.faults.take().is_some()),
                (is_lost, is_fault)
            );
        }
    }
}
