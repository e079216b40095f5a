//! Calls on pools while something goes wrong: each has one outcome, and the pool goes on
//! or says why not.

use std::{fs::File, os::unix::fs::MetadataExt, process::id, thread, time::Duration};

use zygote::{Command, Error, Pool, Process, Result};

use super::{
    probe::{LIMIT, Probe, say},
    scene::{BIG, Call, answer, finish, ran, scene_of},
};

#[zygote::entry]
fn typed(name: String, bytes: Vec<u8>, file: File) -> (Vec<u8>, u64) {
    ran(&name);
    (bytes, file.metadata().unwrap().ino())
}

fn build(depth: usize, is_fresh: bool, deadline: Duration) -> Result<Pool> {
    let process = move || Ok(Process::new()?.start_timeout(deadline));
    let builder = Pool::builder(process).workers(1..=2).depth(depth);
    match is_fresh {
        true => builder.calls(1).build(),
        false => builder.build(),
    }
}

/// The pools that there are, and what is given to them.
struct Pools(Vec<(String, Pool)>);

impl Pools {
    /// Makes two more, and gives calls to all.
    fn calls(&mut self, round: &str, deadline: Duration) -> Vec<(String, Call)> {
        let mut all = Vec::new();
        for (depth, is_fresh) in [(3, false), (1, true)] {
            let name = format!("{round} {depth}");
            match build(depth, is_fresh, deadline) {
                Ok(pool) => self.0.push((name, pool)),
                Err(error) => all.push((name, Call::Over(Err(error)))),
            }
        }
        let file = tempfile::tempfile().unwrap();
        let inode = file.metadata().unwrap().ino();
        let mut given = Vec::new();
        for (name, pool) in &self.0 {
            for n in 0..5 {
                let name = format!("{round} call {n} of {name}");
                let bytes = vec![7; if n == 2 { BIG } else { 10 }];
                let task = typed::task(name.clone(), bytes.clone(), file.try_clone().unwrap());
                given.push((name, bytes, pool.call(task)));
            }
        }
        // Those behind one that is killed run elsewhere.
        let given = given.into_iter().map(|(name, bytes, call)| {
            let right = move |got| assert!(got == (bytes.clone(), inode), "wrong");
            (name, answer(call, deadline, right))
        });
        all.extend(given);
        if round == "after" {
            finish(std::mem::take(&mut all), true);
            // The launcher counts, too.
            assert!(Command::new("true").status().unwrap().success());
            for (name, pool) in self.0.drain(..) {
                let ended = pool.shutdown(LIMIT);
                assert!(ended.is_ok(), "{name}: {ended:?}");
            }
        }
        all
    }
}

pub(crate) fn scene() {
    let mut pools = Pools(Vec::new());
    // The pools that nothing was wrong with stay.
    scene_of(true, |round, deadline| pools.calls(round, deadline), || ());
}

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

/// Something goes wrong each time.
fn endless() {
    let deadline = Duration::from_millis(200);
    let outcome = |call: zygote::Call<u32>| {
        let mut call = call;
        let outcome = call.join_timeout(LIMIT).transpose();
        outcome.unwrap_or_else(|| panic!("no outcome"))
    };
    let process = move || Ok(Process::new()?.start_timeout(deadline));
    // Nothing has to start, so that it is the calls that say why.
    let built = Pool::builder(process).workers(0..=2).depth(2).build();
    let outcomes: Vec<Result<u32>> = match built {
        Err(error) => vec![Err(error)],
        Ok(pool) => {
            let calls = [1, 2, 3].map(|n| pool.call(echo::task(n)));
            let outcomes = calls.map(outcome);
            pool.shutdown(LIMIT).unwrap();
            outcomes.into()
        }
    };
    for outcome in outcomes {
        let unstarted = outcome.as_ref().is_err_and(Error::is_unstarted);
        say("outcome", format!("{unstarted} {outcome:?}"));
    }
    say("done", id());
}

/// What the program says of each call, or of the pool, with this fault.
fn said(fault: &str) -> Vec<String> {
    let mut command = super::probe::command("endless pool");
    command.env("ZYGOTE_FAIL", fault);
    let mut probe = Probe::spawn(command);
    probe.expect_within("done", 2 * LIMIT);
    let lines = probe.rest();
    let outcomes = lines
        .iter()
        .filter_map(|line| line.strip_prefix("@outcome "));
    outcomes.map(str::to_owned).collect()
}

#[test]
fn what_goes_wrong_each_time_is_said() {
    // What goes wrong, whether it is certain that nothing has run, and what is said.
    let cases = [
        ("worker: call received=kill@*", true, "SIGKILL"),
        ("worker: call received=exit@*", true, "code 7"),
        ("worker: call begun=kill@*", false, "SIGKILL"),
        ("worker: before result=abort@*", false, "SIGABRT"),
        ("process: before Hello=kill@*", true, "SIGKILL"),
        ("process: before Hello=delay:60000@*", true, "deadline"),
        ("process: after Hello=kill@*", true, "the template is gone"),
        ("program: epoll_create1=error:24@*", true, "epoll_create1"),
        ("program: eventfd=error:24@*", true, "eventfd"),
        ("program: epoll_ctl=error:28@*", true, "epoll"),
        ("program: memfd_create=error:24@*", true, "os error 24"),
        ("program: socketpair=error:24@*", true, "socketpair"),
        // Those are not in the way of a pool: the next start does not fail.
        ("worker: after result=kill@*", false, "Ok("),
        ("program: epoll_ctl=error:28@2", false, "Ok("),
        ("program: epoll_ctl=error:28@3", false, "Ok("),
    ];
    thread::scope(|scope| {
        for (fault, is_unstarted, says) in cases {
            scope.spawn(move || {
                let outcomes = said(fault);
                assert!(!outcomes.is_empty(), "{fault}");
                for outcome in outcomes {
                    let fits = outcome.starts_with(&is_unstarted.to_string());
                    assert!(fits && outcome.contains(says), "{fault}: {outcome}");
                }
            });
        }
    });
}

pub(crate) fn play(role: &str) {
    match role {
        "endless pool" => endless(),
        _ => super::starts::play(role),
    }
}
