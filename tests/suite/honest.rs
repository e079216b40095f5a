//! A value arrives as it was sent, or there is an error: whatever serde's
//! attributes do to its type.

use std::{
    fs::File,
    io::{Read, pipe},
    os::fd::OwnedFd,
};

use serde::{Deserialize, Serialize};
use zygote::{Error, Fd, Process, channel};

use crate::util::watchdog;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Skips {
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<u8>,
    b: u8,
    c: Vec<u8>,
}

/// One that leaves its first field out, and one that leaves out none.
fn both() -> [Skips; 2] {
    let [a, b] = [None, Some(1)].map(|a| Skips {
        a,
        b: 0,
        c: vec![0],
    });
    [a, b]
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u8),
}

/// What a program shows and what it takes are not the same fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Account {
    #[serde(skip_deserializing)]
    number: u8,
    #[serde(skip_serializing)]
    secret: u8,
    name: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Event {
    A(u8),
    #[serde(skip)]
    _Hidden,
    B(u8),
    C(u8),
}

#[zygote::entry]
fn skips_back(first: u8, skips: Skips) -> Skips {
    assert_eq!(first, 1);
    skips
}

#[zygote::entry]
fn skips_from(which: u8) -> Skips {
    both()[usize::from(which)].clone()
}

#[zygote::entry]
fn skips_as_error(which: u8) -> Result<u8, Skips> {
    Err(both()[usize::from(which)].clone())
}

#[zygote::entry]
fn others_back(account: Option<Account>, loose: Option<Untagged>) -> Option<Account> {
    assert_eq!((&account, &loose), (&None, &None), "another value arrived");
    account
}

#[zygote::entry]
fn events_back(events: Vec<Event>) -> Vec<Event> {
    events
}

#[zygote::preload]
fn keep(skips: Skips) -> Skips {
    skips
}

#[zygote::entry]
fn kept(skips: &Skips) -> Skips {
    skips.clone()
}

/// It names the type, the field and what to do.
#[track_caller]
fn assert_names(error: &Error, texts: &[&str]) {
    assert!(error.is_invalid(), "{error}");
    let text = error.to_string();
    for part in texts.iter().chain(&["serde_json"]) {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

const LEFT_OUT: &str = "`Skips` leaves out its field `a`";

#[test]
fn an_argument_that_would_change_is_refused_before_anything_runs() {
    let _limit = watchdog(60);
    let [skips, whole] = both();
    let error = skips_back::spawn(1, skips).unwrap_err();
    assert_names(&error, &["argument `skips`", LEFT_OUT]);
    let back = skips_back::spawn(1, whole.clone()).unwrap().join().unwrap();
    assert_eq!(back, whole);
}

#[test]
fn a_result_that_would_change_is_the_error_of_join() {
    let _limit = watchdog(60);
    let error = skips_from::spawn(0).unwrap().join().unwrap_err();
    assert_names(&error, &["the result", LEFT_OUT]);
    assert!(!error.is_unstarted(), "{error}");
    assert_eq!(skips_from::spawn(1).unwrap().join().unwrap(), both()[1]);
    let error = skips_as_error::spawn(0).unwrap().join().unwrap_err();
    assert_names(&error, &["the result", LEFT_OUT]);
    let back = skips_as_error::spawn(1).unwrap().join().unwrap();
    assert_eq!(back, Err(both()[1].clone()));
}

#[test]
fn a_message_that_would_change_is_refused_and_the_channel_goes_on() {
    let _limit = watchdog(60);
    let [skips, whole] = both();
    let (to, from) = channel().unwrap();
    assert_names(&to.send(skips).unwrap_err(), &[LEFT_OUT]);
    to.send(whole.clone()).unwrap();
    assert_eq!(from.recv().unwrap(), whole);
}

#[test]
fn an_argument_of_a_preload_that_would_change_is_refused() {
    let _limit = watchdog(60);
    let [skips, whole] = both();
    let error = Process::new().unwrap().preload(keep::task(skips));
    assert_names(&error.unwrap_err(), &["argument `skips`", LEFT_OUT]);
    let process = Process::new().unwrap();
    let process = process.preload(keep::task(whole.clone())).unwrap();
    assert_eq!(kept::spawn(&process).unwrap().join().unwrap(), whole);
}

#[test]
fn what_only_the_reader_can_see_is_its_error_before_the_entry_runs() {
    let _limit = watchdog(60);
    let loose = Some(Untagged::Number(1));
    let error = others_back::spawn(None, loose).unwrap().join().unwrap_err();
    assert_names(
        &error,
        &["argument `loose`", "needs a format that describes itself"],
    );
    assert!(error.is_unstarted(), "{error}");
    let account = Account {
        number: 1,
        secret: 2,
        name: 3,
    };
    let worker = others_back::spawn(Some(account), None).unwrap();
    let error = worker.join().unwrap_err();
    assert_names(&error, &["argument `account`", "number", "secret"]);
    assert!(error.is_unstarted(), "{error}");
}

#[test]
fn a_skipped_variant_does_not_move_those_after_it() {
    let _limit = watchdog(60);
    let events = vec![Event::A(1), Event::B(2), Event::C(3)];
    let back = events_back::spawn(events.clone()).unwrap().join().unwrap();
    assert_eq!(back, events);
}

/// A descriptor, and behind it what cannot be read.
#[derive(Serialize, Deserialize)]
struct Spoilt {
    end: Fd<OwnedFd>,
    loose: Untagged,
}

#[test]
fn a_value_that_cannot_be_read_keeps_no_descriptor() {
    let _limit = watchdog(60);
    let (mut reader, writer) = pipe().unwrap();
    let (to, from) = channel().unwrap();
    to.send(Spoilt {
        end: Fd(writer.into()),
        loose: Untagged::Number(1),
    })
    .unwrap();
    let error = from.recv().map(|_: Spoilt| ()).unwrap_err();
    assert_names(&error, &["in the field `loose` of `Spoilt`"]);
    // Ends only when nobody holds the other end.
    assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap(), 0);
    let null = File::open("/dev/null").unwrap();
    to.send(Spoilt {
        end: Fd(null.into()),
        loose: Untagged::Number(2),
    })
    .unwrap();
    assert!(from.recv().is_err_and(|error| error.is_invalid()));
}
