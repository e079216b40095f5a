//! Every system call of a template's start, from its exec to its first word: at one
//! of them the process is killed or stopped, or the call fails. The spawn has a typed
//! error or works, and the next one works.
//!
//! `ZYGOTE_STARTS_EVERY=1` tries every call, and not only every tenth.

#![allow(
    unsafe_code,
    clippy::print_stdout,
    reason = "the test traces processes and says what it did"
)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers that several tests share"
)]

use std::{
    collections::BTreeMap,
    env,
    panic::catch_unwind,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

#[path = "../probe/mod.rs"]
mod probe;
mod trace;

use probe::{LIMIT, living, play, say, until};
use trace::{Fault, traced};

/// Programs at the same time: those whose template is stopped wait for ten seconds.
const LANES: usize = 16;

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

#[test]
fn probe_roles() {
    play(|_| {
        let spawn = || echo::spawn(6)?.join();
        match spawn() {
            Ok(got) => say("first", got),
            Err(error) => {
                assert!(error.is_unstarted(), "{error:?}");
                say("first", format!("{error:?}"));
            }
        }
        // Whatever the template of the first had come to, it was not this program's
        // fault.
        let again = spawn().or_else(|error| match error.is_template_gone() {
            // It had said its first word, and died then.
            true => spawn(),
            false => Err(error),
        });
        assert_eq!(again.unwrap(), 6);
        say("done", "");
    });
}

/// One program; what became of its first spawn.
fn run(fault: Option<Fault>, at: usize) -> (String, usize) {
    let (text, calls, program) = traced(probe::command("starts"), fault, at);
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    assert!(value("@done").is_some(), "{fault:?} at {at}: {text}");
    let left = until(LIMIT, || living(program).is_empty());
    assert!(left, "{fault:?} at {at}: {:?} is left", living(program));
    (value("@first ").unwrap().to_owned(), calls)
}

#[test]
fn the_next_spawn_works_whatever_the_start_of_a_template_comes_to() {
    if !trace::can() {
        println!("not tried: this needs ptrace");
        return;
    }
    let (first, calls) = run(None, 0);
    assert_eq!(first, "6");
    assert!(calls > 20, "{calls}");
    let every = env::var("ZYGOTE_STARTS_EVERY").map_or(10, |every| every.parse().unwrap());
    let faults = [Fault::Stop, Fault::Kill, Fault::Fail];
    let all = faults.into_iter().filter(|it| it.can_be());
    let cases: Vec<_> = all
        .flat_map(|fault| (1..=calls).step_by(every).map(move |at| (fault, at)))
        .collect();
    let (next, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let seen = Mutex::new(BTreeMap::<(Fault, String), usize>::new());
    let work = || {
        while let Some(&(fault, at)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            match catch_unwind(|| run(Some(fault), at)) {
                Ok((first, _)) => {
                    let kind = first.split(": ").next().unwrap().to_owned();
                    *seen.lock().unwrap().entry((fault, kind)).or_default() += 1;
                }
                Err(_) => drop(wrong.fetch_add(1, Ordering::Relaxed)),
            }
            thread::sleep(Duration::from_millis(1));
        }
    };
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(work);
        }
    });
    let seen = seen.into_inner().unwrap();
    println!("{} programs, of {calls} calls: {seen:?}", cases.len());
    assert_eq!(wrong.into_inner(), 0, "cases that went wrong, see above");
    // Else nothing was felt.
    for (fault, kind) in [(Fault::Kill, "TemplateGone"), (Fault::Stop, "Timeout")] {
        assert!(seen.contains_key(&(fault, kind.to_owned())), "{fault:?}");
    }
}
