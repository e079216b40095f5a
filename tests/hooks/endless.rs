//! Hooks that start processes: each of these would run the hooks, and so on. An
//! executed template is not armed, so that nothing here goes on without end.

use std::{sync::Mutex, thread, time::Duration};

use zygote::{Command, Process, Worker};

use super::{CHILD, PARENT, PREPARE, WORKER, armed, echo};
use crate::util::watchdog;

/// What a hook may be armed with, from this number on.
pub(super) const FIRST: u8 = 10;
const COUNT: u8 = 8;
const LATER: u8 = FIRST + COUNT;

/// Starts a process in one of all ways.
pub(super) fn start(way: u8) -> Result<(), String> {
    let echo_on = |process: Process| process.run(echo::task(1))?.join().map(drop);
    let done = match way - FIRST {
        0 => echo::spawn(1).and_then(Worker::join).map(drop),
        1 => Process::new().and_then(echo_on),
        2 => Process::fresh().and_then(echo_on),
        3 => Process::fork_current().and_then(echo_on),
        4 => Command::new("true").status().map(drop),
        5 => {
            zygote::renew_template();
            Process::new().and_then(echo_on)
        }
        6 => Process::new()
            .and_then(|process| process.preload(super::arm::task(0, 0)))
            .and_then(|process| process.fork())
            .and_then(|process| process.run(echo::task(1))?.join().map(drop)),
        7 => {
            let thread = thread::spawn(|| echo::spawn(1).and_then(Worker::join));
            thread.join().unwrap().map(drop)
        }
        _ => {
            thread::spawn(|| *SAID.lock().unwrap() = Some(later()));
            Ok(())
        }
    };
    done.map_err(|error| error.to_string())
}

/// What comes of a spawn when the hook is over.
fn later() -> String {
    loop {
        match echo::spawn(1).and_then(Worker::join) {
            Err(error) if error.to_string().contains("in a hook") => {
                thread::sleep(Duration::from_millis(1));
            }
            result => return format!("{result:?}"),
        }
    }
}

static SAID: Mutex<Option<String>> = Mutex::new(None);

#[zygote::entry]
fn said() -> String {
    loop {
        if let Some(said) = SAID.lock().unwrap().take() {
            return said;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

const REFUSED: &str = "no process can be started in a hook";

#[test]
fn a_hook_starts_no_process_in_any_way() {
    let _limit = watchdog(60);
    for who in [PREPARE, CHILD, WORKER] {
        for way in FIRST..LATER {
            let process = armed(who, way);
            let result = process.fork().unwrap().run(echo::task(1));
            let error = result.and_then(Worker::join).unwrap_err();
            assert!(error.is_hook() && error.is_unstarted(), "{who} {error:?}");
            assert!(error.to_string().contains(REFUSED), "{who} {way}: {error}");
        }
    }
}

#[test]
fn a_parent_hook_starts_no_process() {
    let _limit = watchdog(60);
    for way in FIRST..LATER {
        // The entry may be quicker than the hook.
        let refused = (0..100).any(|_| {
            let process = armed(PARENT, way);
            let result = process.fork().unwrap().run(echo::task(1));
            match result.and_then(Worker::join) {
                Ok(_) => false,
                Err(error) => {
                    assert!(error.is_hook(), "{error:?}");
                    assert!(error.to_string().contains(REFUSED), "{way}: {error}");
                    true
                }
            }
        });
        assert!(refused, "{way}");
    }
}

#[test]
fn a_thread_of_a_hook_starts_no_process_before_there_is_a_task() {
    let _limit = watchdog(60);
    let process = armed(CHILD, LATER);
    // The thread may be late.
    let refused = (0..50).any(|_| {
        let process = process.fork().unwrap();
        process.id().unwrap();
        thread::sleep(Duration::from_millis(20));
        let text = process.run(said::task()).unwrap().join().unwrap();
        text.contains("waits to be told what to run")
    });
    assert!(refused);
}
