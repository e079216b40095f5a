//! What cannot be encoded or decoded.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use zygote::{Error, Process};

use crate::util::{self, Census, alone, watchdog};

/// Cannot be written.
#[derive(Debug, Deserialize)]
struct Mute;

impl Serialize for Mute {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("it is mute"))
    }
}

/// Cannot be read.
#[derive(Debug, Serialize)]
struct Deaf;

impl<'de> Deserialize<'de> for Deaf {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("it is deaf"))
    }
}

/// Panics when it is read.
#[derive(Debug, Serialize)]
struct Trap;

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("it is a trap");
    }
}

#[zygote::entry]
fn takes_mute(_it: Mute, _more: u8) {}

#[zygote::entry]
fn takes_deaf(_more: u8, _it: Deaf) {}

#[zygote::entry]
fn takes_trap(_it: Trap) {}

#[zygote::entry]
fn gives_mute() -> Mute {
    Mute
}

#[zygote::entry]
fn gives_deaf() -> Deaf {
    Deaf
}

#[zygote::entry]
fn gives_mute_error() -> Result<u8, Mute> {
    Err(Mute)
}

#[zygote::preload]
fn loads_deaf(_it: Deaf) -> u8 {
    1
}

#[zygote::entry]
fn echo(n: u64) -> u64 {
    n
}

fn is_still_usable(process: &Process) {
    assert_eq!(
        process
            .fork()
            .unwrap()
            .run(echo::task(7))
            .unwrap()
            .join()
            .unwrap(),
        7
    );
}

fn names(error: &Error, ty: &str) {
    assert!(error.is_invalid(), "{error:?}");
    assert!(error.to_string().contains(ty), "{error}");
    assert!(error.entry().is_some(), "{error:?}");
}

#[test]
fn an_argument_that_cannot_be_encoded_starts_nothing() {
    let _limit = watchdog(30);
    let error = takes_mute::spawn(Mute, 1).unwrap_err();
    names(&error, "Mute");
    assert!(error.is_unstarted(), "{error:?}");
    let process = Process::new().unwrap();
    let error = process
        .fork()
        .unwrap()
        .run(takes_mute::task(Mute, 1))
        .unwrap_err();
    assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
    is_still_usable(&process);
    let mut all = process.run_all([takes_mute::task(Mute, 1), takes_mute::task(Mute, 2)]);
    assert_eq!(all.len(), 2);
    assert!(all.pop().unwrap().unwrap_err().is_unstarted());
    is_still_usable(&process);
}

#[test]
fn an_argument_that_cannot_be_decoded_is_an_error_of_join() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let worker = process
        .fork()
        .unwrap()
        .run(takes_deaf::task(1, Deaf))
        .unwrap();
    let error = worker.join().unwrap_err();
    names(&error, "Deaf");
    assert!(error.is_unstarted(), "no code of the entry ran: {error:?}");
    is_still_usable(&process);
}

#[test]
fn an_argument_that_panics_while_it_is_decoded_is_a_panic() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let worker = process.fork().unwrap().run(takes_trap::task(Trap)).unwrap();
    let error = worker.join().unwrap_err();
    assert!(error.is_panic(), "{error:?}");
    assert!(error.to_string().contains("it is a trap"), "{error}");
    is_still_usable(&process);
}

#[test]
fn a_result_that_cannot_be_encoded_is_an_error_of_join() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let error = process
        .fork()
        .unwrap()
        .run(gives_mute::task())
        .unwrap()
        .join()
        .unwrap_err();
    names(&error, "Mute");
    assert!(!error.is_unstarted(), "{error:?}");
    let worker = process
        .fork()
        .unwrap()
        .run(gives_mute_error::task())
        .unwrap();
    let error = worker.join().unwrap_err();
    names(&error, "Mute");
    assert!(!error.is_unstarted(), "{error:?}");
    is_still_usable(&process);
}

#[test]
fn a_result_that_cannot_be_decoded_is_an_error_of_join() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let worker = process.fork().unwrap().run(gives_deaf::task()).unwrap();
    assert!(worker.wait().unwrap().success());
    let error = worker.join().unwrap_err();
    names(&error, "Deaf");
    assert!(!error.is_unstarted(), "{error:?}");
    is_still_usable(&process);
}

#[test]
fn a_preload_whose_argument_cannot_be_decoded_is_an_error() {
    let _limit = watchdog(30);
    let error = Process::new()
        .unwrap()
        .preload(loads_deaf::task(Deaf))
        .unwrap_err();
    names(&error, "Deaf");
    is_still_usable(&Process::new().unwrap());
}

#[test]
fn failed_codecs_leave_nothing() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        for _ in 0..10 {
            assert!(takes_mute::spawn(Mute, 1).is_err());
            assert!(takes_deaf::spawn(1, Deaf).unwrap().join().is_err());
            assert!(gives_mute::spawn().unwrap().join().is_err());
            assert!(gives_deaf::spawn().unwrap().join().is_err());
        }
        before.check();
        assert!(util::templates(std::process::id()).len() == 1);
    });
}
