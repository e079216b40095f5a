//! A template that does not come up: it is killed, stopped, or something else
//! happens. What is said of it, what is left of it, and what the next one does.

use std::{env, fs, path::PathBuf, thread, time::Duration};

use zygote::{Process, Result};

use super::{
    clean::Ground,
    probe::{self, Probe, say},
    scene::DONE,
};

/// More than the ten seconds after which an executed template is given up.
const LONG: Duration = Duration::from_secs(40);

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

fn fresh() -> Result<u32> {
    Process::fresh()?.run(echo::task(7))?.join()
}

/// One template of its own that does not come up, and one after it.
fn starting() {
    let done = PathBuf::from(env::var_os(DONE).unwrap());
    // Every kind of start has been seen.
    assert_eq!(fresh().unwrap(), 7);
    let ground = Ground::take();
    fs::remove_file(&done).unwrap();
    let error = fresh().unwrap_err();
    assert!(done.exists(), "the step was not reached: {error:?}");
    assert!(error.is_unstarted(), "{error:?}");
    say("error", format!("{error:?}"));
    say(
        "exit",
        error.exit().map_or(String::new(), ToString::to_string),
    );
    match fresh() {
        Ok(got) => say("again", got),
        Err(error) => say("again", format!("{error:?}")),
    }
    ground.assert_clean();
    say("done", "");
}

/// What the program says of a start with this fault: the error, how the process
/// ended, and what became of the next start.
fn said(fault: &str) -> [String; 3] {
    let done = tempfile::NamedTempFile::new().unwrap();
    let mut command = probe::command("starting");
    command.env("ZYGOTE_FAIL", fault).env(DONE, done.path());
    let mut probe = Probe::spawn(command);
    let said = ["error", "exit", "again"].map(|key| probe.expect_within(key, LONG));
    probe.expect("done");
    probe.finish();
    said
}

/// The next one works.
#[track_caller]
fn check(fault: &str, kind: &str, ended: &str) {
    let [error, exit, again] = said(fault);
    assert!(error.starts_with(kind), "{fault}: {error}");
    assert_eq!((exit.as_str(), again.as_str()), (ended, "7"), "{fault}");
}

#[test]
fn a_program_that_is_killed_before_it_looks_at_its_token_is_tried_again() {
    let killed = "was killed by SIGKILL";
    check("executed: before token=kill", "TemplateGone", killed);
    check("executed: before clone=kill", "TemplateGone", killed);
    let aborted = "was killed by SIGABRT";
    let [error, exit, again] = said("executed: before token=abort");
    assert!(error.starts_with("TemplateGone"), "{error}");
    assert!(exit.starts_with(aborted), "{exit}");
    assert_eq!(again, "7");
}

#[test]
fn a_template_that_is_killed_before_its_first_word_is_tried_again() {
    let [error, _, again] = said("template: before constructors=kill");
    assert!(error.starts_with("TemplateGone"), "{error}");
    assert_eq!(again, "7");
}

/// All at once: each takes the ten seconds.
#[test]
fn what_does_not_answer_is_killed() {
    const TRIED_AGAIN: [&str; 4] = [
        "executed: before token=stop",
        // It has seen its token, so it is ours.
        "executed: before clone=delay:60000",
        "template: before constructors=stop",
        "template: before constructors=delay:60000",
    ];
    thread::scope(|scope| {
        for fault in TRIED_AGAIN {
            scope.spawn(move || check(fault, "Timeout", ""));
        }
        // It goes on without looking at its token: it is given up.
        scope.spawn(|| {
            let [error, exit, again] = said("executed: before token=delay:60000");
            assert!(error.starts_with("Timeout"), "{error}");
            assert!(error.contains("not tried again"), "{error}");
            assert_eq!((exit, again), (String::new(), error));
        });
    });
}

/// The template is there, and the program need not wait for the other.
#[test]
fn a_program_that_does_not_leave_holds_nobody_up() {
    for fault in ["stop", "delay:60000"] {
        let done = tempfile::NamedTempFile::new().unwrap();
        let mut command = probe::command("lingering");
        command.env("ZYGOTE_FAIL", format!("executed: after clone={fault}"));
        let mut probe = Probe::spawn({
            command.env(DONE, done.path());
            command
        });
        probe.expect("done");
        probe.finish();
    }
}

fn lingering() {
    let done = PathBuf::from(env::var_os(DONE).unwrap());
    assert_eq!(fresh().unwrap(), 7);
    let ground = Ground::take();
    fs::remove_file(&done).unwrap();
    assert_eq!(fresh().unwrap(), 7);
    assert!(done.exists(), "the step was not reached");
    ground.assert_clean();
    say("done", "");
}

/// It has run: it is not run again.
#[test]
fn a_program_that_leaves_without_looking_at_its_token_is_given_up() {
    let [error, exit, again] = said("executed: before token=exit");
    assert!(error.starts_with("Exit"), "{error}");
    assert!(error.contains("not tried again"), "{error}");
    assert_eq!(exit, "exited with code 7");
    assert_eq!(again, error);
}

/// The first template of this program is stopped before its first word.
fn halted() {
    if let Err(error) = echo::spawn(7).and_then(|worker| worker.join()) {
        assert!(error.is_timeout() && error.is_unstarted(), "{error:?}");
    }
    assert_eq!(echo::spawn(7).unwrap().join().unwrap(), 7);
    // There are no strays, so it was killed and is no zombie.
    Ground::take().assert_clean();
    say("done", "");
}

#[test]
fn the_first_template_may_be_stopped_before_its_first_word() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = probe::command("halted");
    command
        .env("ZYGOTE_FAIL", "template: before constructors=stop")
        .env(DONE, directory.path().join("done"));
    let mut probe = Probe::spawn(command);
    probe.expect_within("done", LONG);
    probe.finish();
}

pub(crate) fn play(role: &str) {
    match role {
        "starting" => starting(),
        "lingering" => lingering(),
        "halted" => halted(),
        _ => panic!("no role {role}"),
    }
}
