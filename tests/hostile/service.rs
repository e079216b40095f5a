//! A live worker that answers as it likes, and writes what it likes on its page.

use std::{
    fs,
    os::{fd::AsFd, unix::fs::FileExt},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use zygote::{Call, Process};

use crate::{
    frames::{CALL, DONE, FAILED, IN_CARRIER, IN_MEMORY, READY, VALUE, head, memory, send},
    hello,
    util::{Census, alone, until, watchdog},
    worker::{own_socket, result},
};

const LONG: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Evil {
    /// An answer to a call that was never made.
    Stranger,
    /// Two answers to its own call.
    Twice,
    /// An answer to the call behind it, which it then answers again.
    Early,
    /// A length that is a lie.
    Gibibyte,
    Unsealed,
    Carrier,
    Done,
    Failed,
    Call,
    Ready,
    Rubbish,
    Zeroes,
    Ones,
    Numbers,
}

pub(crate) const ALL: [Evil; 14] = [
    Evil::Stranger,
    Evil::Twice,
    Evil::Early,
    Evil::Gibibyte,
    Evil::Unsealed,
    Evil::Carrier,
    Evil::Done,
    Evil::Failed,
    Evil::Call,
    Evil::Ready,
    Evil::Rubbish,
    Evil::Zeroes,
    Evil::Ones,
    Evil::Numbers,
];

/// Writes this word on the page of this process, over and over.
fn write_page(word: u64) {
    write_words(&[word; 512]);
}

fn write_words(words: &[u64]) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps
        .lines()
        .find(|line| line.contains("rw-s") && line.contains("memfd:zygote"));
    let start = line.unwrap().split('-').next().unwrap();
    let start = u64::from_str_radix(start, 16).unwrap();
    let own = fs::File::options().write(true).open("/proc/self/mem");
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    own.unwrap().write_all_at(&bytes, start).unwrap();
}

#[zygote::entry]
pub(crate) fn evil(evil: Evil) -> String {
    let say = |bytes: &[u8]| {
        let _ = send(own_socket(), bytes, &[]);
    };
    match evil {
        Evil::Stranger => say(&result(99, "early")),
        Evil::Twice => say(&result(1, "early")),
        Evil::Early => say(&result(2, "early")),
        Evil::Gibibyte => {
            say(&head(VALUE, 0, 0, 1, 1 << 30));
            say(&head(VALUE, IN_MEMORY, 0, 1, 1 << 30));
        }
        Evil::Unsealed => {
            let memory = memory(b"bytes", 5, false);
            let head = head(VALUE, IN_MEMORY, 0, 1, 5);
            let _ = send(own_socket(), &head, &[memory.as_fd()]);
        }
        Evil::Carrier => say(&head(VALUE, IN_CARRIER, u32::MAX, 1, 0)),
        Evil::Done => say(&head(DONE, 0, 0, 1, 0)),
        Evil::Failed => say(&head(FAILED, 0, 0, 1, 0)),
        Evil::Call => say(&head(CALL, 0, 0, 1, 0)),
        Evil::Ready => say(&head(READY, 0, 0, 0, 0)),
        Evil::Rubbish => say(b"rubbish"),
        Evil::Zeroes => write_page(0),
        Evil::Ones => write_page(u64::MAX),
        Evil::Numbers => write_page(2 << 2),
    }
    "in time".to_owned()
}

#[zygote::entry]
#[allow(clippy::exit, reason = "what the test is about")]
fn dies() {
    std::process::exit(4);
}

fn outcome<R>(mut call: Call<R>) -> zygote::Result<R> {
    let got = call.join_timeout(LONG).transpose();
    got.expect("an outcome, whatever it does")
}

#[test]
fn what_a_service_sends_or_writes_is_an_error_or_its_first_answer() {
    let _limit = watchdog(120);
    alone(|| {
        let before = Census::take();
        for what in ALL {
            let service = Process::new().unwrap().serve().unwrap();
            let calls = [(); 3].map(|()| service.call(evil::task(what)));
            for (n, call) in (1..).zip(calls) {
                match outcome(call) {
                    Ok(got) => {
                        let is_first =
                            (what, n) == (Evil::Twice, 1) || what == Evil::Early && n == 2;
                        let expected = if is_first { "early" } else { "in time" };
                        assert_eq!(got, expected, "{what:?}, {n}");
                    }
                    Err(error) if what == Evil::Twice && n == 1 => panic!("{error:?}"),
                    Err(error) => {
                        let harmless = matches!(what, Evil::Ready | Evil::Zeroes | Evil::Ones);
                        assert!(!harmless, "{what:?}, {n}: {error:?}");
                        assert!(n > 1 || !error.is_unstarted(), "{what:?}: {error:?}");
                    }
                }
            }
            let pages = [Evil::Ready, Evil::Zeroes, Evil::Ones, Evil::Numbers];
            if !pages.contains(&what) {
                until("a worker that makes no sense is killed", || {
                    service.is_finished()
                });
            }
            drop(service);
            assert_eq!(hello::spawn().unwrap().join().unwrap(), "hello");
        }
        before.check();
    });
}

#[test]
fn whatever_is_on_the_page_the_call_that_ran_has_an_error_and_so_have_the_others() {
    let _limit = watchdog(60);
    for what in [Evil::Zeroes, Evil::Ones, Evil::Numbers] {
        let service = Process::new().unwrap().serve().unwrap();
        assert_eq!(outcome(service.call(evil::task(what))).unwrap(), "in time");
        let calls = [(); 3].map(|()| service.call(dies::task()));
        for call in calls {
            assert!(outcome(call).unwrap_err().is_exit(), "{what:?}");
        }
    }
}

/// Notes that the calls up to 255 are given and have not begun, and ends.
#[zygote::entry]
#[allow(clippy::exit, reason = "what the test is about")]
fn denies() {
    let words: Vec<u64> = (0..256).map(|number| number << 2).collect();
    write_words(&words);
    std::process::exit(4);
}

/// SECURITY.md says so: this is believed.
#[test]
fn a_call_that_ran_may_note_that_it_had_not_begun() {
    let _limit = watchdog(60);
    let service = Process::new().unwrap().serve().unwrap();
    let error = outcome(service.call(denies::task())).unwrap_err();
    assert!(error.is_exit() && error.is_unstarted(), "{error:?}");
}
