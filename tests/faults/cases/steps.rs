//! Each step in each role, with everything that can go wrong there.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    panic::catch_unwind,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use zygote::__private::STEPS;

use super::{
    pools,
    probe::{self, LIMIT, Probe, is_alive, living, send, stat, until},
    scene::{DONE, GROUND, HARMLESS, RECORD, scene},
};

/// The longest that a program may take in which something goes wrong: more than
/// the ten seconds after which an executed template is given up.
const LONG: Duration = Duration::from_secs(40);

const ROLES: [&str; 3] = ["cold", "warm", "pools"];

/// Programs at the same time: most of the time they wait.
const LANES: usize = 6;

pub(crate) fn play(role: &str) {
    match role {
        "cold" => scene(false),
        "warm" => scene(true),
        "pools" => pools::scene(),
        _ => super::ends::play(role),
    }
}

/// One program and what goes wrong in it.
#[derive(Clone, Debug)]
struct Case {
    step: &'static str,
    what: String,
    /// What the program does: `cold`, `warm` or `pools`.
    role: &'static str,
    /// Where the steps go that are reached.
    steps: Option<PathBuf>,
}

/// What became of it.
#[derive(Debug, Default)]
struct Seen {
    fired: bool,
    /// The program died of it.
    died: bool,
    failed: Vec<String>,
    took: Duration,
}

impl Case {
    fn new(step: &'static str, what: impl Into<String>, role: &'static str) -> Self {
        let what = what.into();
        Self {
            step,
            what,
            role,
            steps: None,
        }
    }

    /// Whether the fault ends a process, which may be the program.
    fn ends(&self) -> bool {
        ["kill", "exit", "abort", "panic"].contains(&self.what.split(['@', ':']).next().unwrap())
    }

    fn run(&self, ground: Option<&str>) -> (Seen, String) {
        let directory = tempfile::tempdir().unwrap();
        let (record, done) = (directory.path().join("ran"), directory.path().join("done"));
        fs::write(&record, "").unwrap();
        if self.role != "cold" {
            fs::write(&done, "").unwrap();
        }
        let mut command = probe::command(self.role);
        command
            .env("ZYGOTE_FAIL", format!("{}={}", self.step, self.what))
            .env(DONE, &done)
            .env(RECORD, &record);
        match ground {
            Some(ground) => command.env(GROUND, ground),
            None => command.env(HARMLESS, "1"),
        };
        if let Some(steps) = &self.steps {
            command.env("ZYGOTE_FAIL_STEPS", steps);
        }
        let start = Instant::now();
        let mut probe = Probe::spawn(command);
        let program = probe.id();
        // A program that was stopped goes on in a moment.
        let ended = until(LONG, || {
            // Others need the processor.
            thread::sleep(Duration::from_millis(10));
            if stat(program).is_some_and(|it| it.state == 'T') {
                send(program, libc::SIGCONT);
            }
            !is_alive(program)
        });
        assert!(ended, "{self:?}: not done after {LONG:?}");
        let mut seen = Seen {
            took: start.elapsed(),
            ..Seen::default()
        };
        let status = probe.end();
        let gone = until(LIMIT, || living(program).is_empty());
        assert!(gone, "{self:?}: {:?} outlive the program", living(program));
        let lines = probe.rest();
        let value = |key: &str| lines.iter().find_map(|line| line.strip_prefix(key));
        let Some(ground) = value("@done ") else {
            let is_meant = self.ends() && self.step.starts_with("program") && done.exists();
            assert!(is_meant, "{self:?}: {status}: {lines:#?}");
            seen.fired = true;
            seen.died = true;
            return (seen, String::new());
        };
        assert!(status.success(), "{self:?}: {status}: {lines:#?}");
        seen.fired = value("@fired ") == Some("true");
        seen.failed = lines
            .iter()
            .filter_map(|line| line.strip_prefix("@error "))
            .map(str::to_owned)
            .collect();
        (seen, ground.to_owned())
    }
}

/// Of the system calls that may fail, with what.
fn errors(call: &str) -> &'static [i32] {
    match call {
        "clone" | "fork" | "posix_spawn" => &[libc::EAGAIN, libc::ENOMEM],
        "socketpair" => &[libc::EMFILE, libc::ENFILE],
        "sendmsg" => &[libc::ENOMEM, libc::ETOOMANYREFS],
        "recvmsg" | "ppoll" => &[libc::ENOMEM],
        "pidfd_open" => &[libc::EMFILE, libc::ENOSYS],
        "signalfd" | "memfd_create" | "epoll_create1" | "eventfd" => &[libc::EMFILE, libc::ENOMEM],
        "epoll_ctl" => &[libc::ENOSPC, libc::ENOMEM],
        _ => &[],
    }
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for step in STEPS {
        let (role, name) = step.split_once(": ").unwrap();
        let errors = errors(name);
        let mut whats: Vec<String> = Vec::new();
        for n in 1..=3 {
            let numbers = errors.iter().map(|errno| format!("error:{errno}@{n}"));
            whats.extend(numbers);
            if n == 1 || !errors.is_empty() {
                whats.push(format!("kill@{n}"));
            }
        }
        if errors.is_empty() {
            whats.extend(["stop", "exit", "abort", "delay:50"].map(str::to_owned));
            if role != "program" {
                whats.push("close".to_owned());
            }
            if name.ends_with("entry") {
                whats.push("panic".to_owned());
            }
        }
        // A program that leaves by itself before it looks at its token is given up.
        whats.retain(|what| what != "exit" || *step != "executed: before token");
        for what in whats {
            all.extend(ROLES.map(|role| Case::new(step, what.clone(), role)));
        }
    }
    all
}

/// Runs the cases, several at a time; what became of each. One that goes wrong
/// does not hide the others.
fn run(cases: &[Case], ground: &str) -> Vec<(Case, Seen)> {
    let next = AtomicUsize::new(0);
    let (all, wrong) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match catch_unwind(|| case.run(Some(ground))) {
                        Ok((seen, _)) => all.lock().unwrap().push((case.clone(), seen)),
                        Err(_) => drop(wrong.fetch_add(1, Ordering::Relaxed)),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner();
    assert_eq!(wrong, 0, "cases that went wrong, see above");
    all.into_inner().unwrap()
}

#[test]
fn each_process_may_fail_at_each_step() {
    // Nothing goes wrong with a step that nobody reaches.
    let (seen, ground) = Case::new(STEPS[0], "delay:0@1000000", "warm").run(None);
    assert!(!seen.fired && seen.failed.is_empty(), "{seen:?}");
    let every = env::var("ZYGOTE_FAULTS_EVERY").map_or(50, |every| every.parse().unwrap());
    let only = env::var("ZYGOTE_FAULTS_ONLY").unwrap_or_default();
    let chosen = cases().into_iter().filter(|case| case.step.contains(&only));
    let cases: Vec<Case> = chosen.step_by(every).collect();
    let start = Instant::now();
    let all = run(&cases, &ground);
    let mut errors: BTreeMap<String, usize> = BTreeMap::new();
    for (case, seen) in &all {
        if env::var_os("ZYGOTE_FAULTS_SHOW").is_some() {
            println!("{case:?}: {seen:?}");
        }
        for error in &seen.failed {
            let kind = error.split(": ").nth(1).unwrap_or_default();
            *errors.entry(kind.to_owned()).or_default() += 1;
        }
        // A typed error says what it is, not that it is not understood.
        let foreign = seen
            .failed
            .iter()
            .find(|error| error.contains(": Protocol"));
        assert!(foreign.is_none(), "{case:?}: {foreign:?}");
    }
    let fired = all.iter().filter(|(_, seen)| seen.fired).count();
    println!(
        "{} programs, {fired} with a fault, errors {errors:?}, {:?}",
        all.len(),
        start.elapsed()
    );
    // Else nothing was tried.
    assert!(2 * fired > all.len());
}

#[test]
fn every_step_is_reached() {
    let steps = tempfile::NamedTempFile::new().unwrap();
    for role in ROLES {
        let mut case = Case::new(STEPS[0], "delay:0@1000000", role);
        case.steps = Some(steps.path().to_owned());
        case.run(None);
    }
    let reached = fs::read_to_string(steps.path()).unwrap();
    let reached: BTreeSet<&str> = reached.lines().collect();
    let missed: Vec<_> = STEPS
        .iter()
        .filter(|step| !reached.contains(**step))
        .collect();
    assert!(missed.is_empty(), "never reached: {missed:?}");
}
