//! Limits and priorities: as said, in the worker only; what they lead to.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use zygote::{
    Error, Exit, Process, Stdio,
    settings::{Capability, IoPriority, Resource, Scheduler},
};

use crate::util::{self, Census, alone, field, may, may_change_user, missing, watchdog};

/// A user that nobody has.
const USER: u32 = 54_323;

/// All resources, and the kernel's numbers, on most machines.
const RESOURCES: [Resource; 16] = [
    Resource::Cpu,
    Resource::Fsize,
    Resource::Data,
    Resource::Stack,
    Resource::Core,
    Resource::Rss,
    Resource::Nproc,
    Resource::Nofile,
    Resource::Memlock,
    Resource::As,
    Resource::Locks,
    Resource::Sigpending,
    Resource::Msgqueue,
    Resource::Nice,
    Resource::Rtprio,
    Resource::Rttime,
];

fn process() -> Process {
    Process::new().unwrap()
}

/// Soft and hard limits by the kernel's names: `/proc/self/limits`.
#[zygote::entry]
fn limits() -> io::Result<Vec<(u64, u64)>> {
    const NAMES: [&str; 16] = [
        "Max cpu time",
        "Max file size",
        "Max data size",
        "Max stack size",
        "Max core file size",
        "Max resident set",
        "Max processes",
        "Max open files",
        "Max locked memory",
        "Max address space",
        "Max file locks",
        "Max pending signals",
        "Max msgqueue size",
        "Max nice priority",
        "Max realtime priority",
        "Max realtime timeout",
    ];
    let text = fs::read_to_string("/proc/self/limits")?;
    let number = |word: &str| word.parse().unwrap_or(u64::MAX);
    let limit = |name: &&str| {
        let mut rest = text
            .lines()
            .find_map(|line| line.strip_prefix(name))?
            .split_whitespace();
        Some((number(rest.next()?), number(rest.next()?)))
    };
    Ok(NAMES.iter().map(|name| limit(name).unwrap()).collect())
}

fn limits_of(process: Process) -> Vec<(u64, u64)> {
    process
        .run(limits::task())
        .unwrap()
        .join()
        .unwrap()
        .unwrap()
}

#[test]
fn every_limit_is_as_said_and_the_templates_stay() {
    let before = limits_of(process());
    let wanted: Vec<(u64, u64)> = before
        .iter()
        .map(|(soft, hard)| (soft.min(hard), (*hard).min(1 << 33)))
        .map(|(soft, hard)| (soft.min(&hard).saturating_sub(1), hard))
        .collect();
    assert_ne!(wanted, before);
    let limited = RESOURCES
        .iter()
        .zip(&wanted)
        .fold(process(), |process, (it, (soft, hard))| {
            process.rlimit(*it, *soft, *hard)
        });
    assert_eq!(limits_of(limited), wanted);
    assert_eq!(limits_of(process()), before);
}

#[test]
fn the_last_limit_of_a_resource_counts() {
    let hard = limits_of(process())[7].1.min(100);
    let process = process()
        .rlimit(Resource::Nofile, 20, 20)
        .rlimit(Resource::Core, 0, 0);
    let seen = limits_of(process.rlimit(Resource::Nofile, 30, hard));
    assert_eq!((seen[7], seen[4]), ((30, hard), (0, 0)));
}

#[test]
fn no_limit_is_a_limit_too() {
    let before = limits_of(process());
    let is_free = |at: &usize| before[*at].1 == Resource::UNLIMITED;
    let free: Vec<usize> = (0..16).filter(is_free).collect();
    if missing("a resource without a limit", !free.is_empty()) {
        return;
    }
    let limited = free.iter().fold(process(), |process, at| {
        process.rlimit(RESOURCES[*at], Resource::UNLIMITED, Resource::UNLIMITED)
    });
    let seen = limits_of(limited);
    for at in free {
        assert_eq!(seen[at], (u64::MAX, u64::MAX), "{:?}", RESOURCES[at]);
    }
}

/// What ends it when it computes.
fn spins(process: Process) -> (Exit, Duration) {
    let started = Instant::now();
    let worker = process.run(spin::task(true)).unwrap();
    let exit = worker.wait().unwrap();
    assert!(worker.join().unwrap_err().is_signal());
    (exit, started.elapsed())
}

#[zygote::entry]
fn spin(heeds: bool) {
    if !heeds {
        let mut mask = nix::sys::signal::SigSet::empty();
        mask.add(nix::sys::signal::Signal::SIGXCPU);
        mask.thread_block().unwrap();
    }
    loop {
        std::hint::spin_loop();
    }
}

#[test]
fn who_computes_too_long_is_ended_and_who_goes_on_is_killed() {
    let _limit = watchdog(120);
    let limited = process().cpu_time(Duration::from_millis(1));
    let stubborn = limited.fork().unwrap().run(spin::task(false)).unwrap();
    let (exit, took) = spins(limited.fork().unwrap());
    assert_eq!(exit.status().unwrap().signal(), Some(libc::SIGXCPU));
    assert!(took >= Duration::from_millis(900), "{took:?}");
    let exit = stubborn.wait().unwrap();
    assert_eq!(exit.status().unwrap().signal(), Some(libc::SIGKILL));
    let usage = exit.rusage().unwrap();
    assert!(
        usage.user + usage.system >= Duration::from_secs(1),
        "{usage:?}"
    );
}

#[test]
fn cpu_time_is_rounded_up_to_seconds() {
    let before = limits_of(process())[0].1;
    for (millis, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (60_000, 60)] {
        if before > seconds {
            let process = process().cpu_time(Duration::from_millis(millis));
            assert_eq!(limits_of(process)[0], (seconds, seconds + 1), "{millis}");
        }
    }
    // Not so long that it overflows to nothing.
    if before == Resource::UNLIMITED {
        let longest = process().cpu_time(Duration::MAX);
        let (soft, hard) = limits_of(longest)[0];
        assert!(hard.checked_mul(1_000_000_000).is_some() && soft > 1 << 32);
    }
}

#[zygote::entry]
fn need(bytes: usize) -> usize {
    vec![1_u8; bytes].len()
}

#[zygote::entry]
fn ask_for(bytes: usize) -> bool {
    Vec::<u8>::new().try_reserve(bytes).is_ok()
}

#[test]
fn without_memory_an_allocation_fails() {
    for resource in [Resource::As, Resource::Data] {
        let limited = process()
            .rlimit(resource, 1 << 30, 1 << 30)
            .stderr(Stdio::null());
        let ask = |bytes| limited.fork().unwrap().run(ask_for::task(bytes)).unwrap();
        assert!(ask(1 << 20).join().unwrap());
        assert!(!ask(1 << 31).join().unwrap());
        let error = limited
            .fork()
            .unwrap()
            .run(need::task(1 << 31))
            .unwrap()
            .join()
            .unwrap_err();
        let status = error.exit().unwrap().status().unwrap();
        assert!(error.is_signal() && !error.is_unstarted(), "{error:?}");
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{resource:?}");
    }
    assert!(
        process()
            .run(ask_for::task(1 << 31))
            .unwrap()
            .join()
            .unwrap()
    );
}

#[zygote::entry]
fn write_much(path: PathBuf) -> io::Result<()> {
    File::create(path)?.write_all(&[b'x'; 100])
}

#[test]
fn a_file_that_grows_too_long_ends_its_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let limited = process().rlimit(Resource::Fsize, 50, 50);
    let worker = limited.run(write_much::task(path.clone())).unwrap();
    let error = worker.join().unwrap_err();
    let status = error.exit().unwrap().status().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGXFSZ), "{error:?}");
    assert_eq!(fs::metadata(&path).unwrap().len(), 50);
}

#[zygote::entry]
fn open_until_it_fails() -> (usize, Option<i32>) {
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => return (files.len(), error.raw_os_error()),
        }
    }
}

#[test]
fn without_descriptors_open_fails_and_the_result_still_comes() {
    let limited = process().rlimit(Resource::Nofile, 20, 20);
    let (opened, error) = limited
        .run(open_until_it_fails::task())
        .unwrap()
        .join()
        .unwrap();
    // 0, 1, 2 and its own socket.
    assert_eq!((opened, error), (16, Some(libc::EMFILE)));
}

#[zygote::entry]
fn start_one() -> Option<i32> {
    Command::new("true").status().err()?.raw_os_error()
}

#[test]
fn without_processes_fork_fails() {
    if missing("the right to change users", may_change_user()) {
        return;
    }
    let limited = process().rlimit(Resource::Nproc, 1, 1);
    let other = limited.fork().unwrap().uid(USER);
    assert_eq!(
        other.run(start_one::task()).unwrap().join().unwrap(),
        Some(libc::EAGAIN)
    );
}

#[zygote::entry]
fn priorities() -> io::Result<Seen> {
    seen()
}

/// What the kernel says of the calling process.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Seen {
    nice: String,
    real_time: String,
    policy: String,
    cpus: String,
    oom: String,
    io: i64,
}

fn seen() -> io::Result<Seen> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // From the third field on: the name may have any character.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let field_of_stat = |number: usize| fields[number - 3].trim().to_owned();
    Ok(Seen {
        nice: field_of_stat(19),
        real_time: field_of_stat(40),
        policy: field_of_stat(41),
        cpus: field(
            &fs::read_to_string("/proc/self/status")?,
            "Cpus_allowed_list",
        ),
        oom: fs::read_to_string("/proc/self/oom_score_adj")?
            .trim()
            .to_owned(),
        io: io_priority(),
    })
}

#[allow(unsafe_code, reason = "there is no safe ioprio_get(2) at hand")]
fn io_priority() -> i64 {
    const WHO_PROCESS: i32 = 1;
    // SAFETY: it takes two numbers and touches no memory.
    unsafe { libc::syscall(libc::SYS_ioprio_get, WHO_PROCESS, 0) }
}

fn seen_by(process: Process) -> Seen {
    let worker = process.run(priorities::task()).unwrap();
    // The result may come before the end, until which what this was forked from
    // has a live worker and cannot run an entry.
    worker.wait().unwrap();
    worker.join().unwrap().unwrap()
}

#[test]
fn anyone_may_step_back() {
    let before = seen_by(process());
    let nice = before.nice.parse::<i32>().unwrap().max(7);
    let oom = before.oom.parse::<i32>().unwrap().max(500);
    let first = before.cpus.split([',', '-']).next().unwrap();
    let modest = process()
        .nice(nice)
        .oom_score_adj(oom)
        .affinity([first.parse().unwrap(), 1_000])
        .scheduler(Scheduler::Batch)
        .io_priority(IoPriority::BestEffort(6));
    let expected = Seen {
        nice: nice.to_string(),
        real_time: "0".into(),
        policy: "3".into(),
        cpus: first.into(),
        oom: oom.to_string(),
        io: 2 << 13 | 6,
    };
    assert_eq!(seen_by(modest.fork().unwrap()), expected);
    let idle = modest
        .scheduler(Scheduler::Idle)
        .io_priority(IoPriority::Idle);
    let idle = seen_by(idle.nice(100));
    assert_eq!((&*idle.policy, idle.io, &*idle.nice), ("5", 3 << 13, "19"));
    assert_eq!(seen_by(process().scheduler(Scheduler::Other)).policy, "0");
    assert_eq!(seen_by(process()), before, "the template is what it was");
}

#[test]
fn who_may_goes_before_others_also_as_another_user() {
    if missing(
        "CAP_SYS_NICE",
        may(Capability::SysNice) && may_change_user(),
    ) {
        return;
    }
    // Applied before the rights are given up, whatever the order here.
    let first = process()
        .uid(USER)
        .nice(-5)
        .scheduler(Scheduler::RoundRobin(2))
        .io_priority(IoPriority::RealTime(3));
    let seen = seen_by(first.fork().unwrap().dumpable(true));
    assert_eq!(
        (&*seen.policy, &*seen.real_time, seen.io),
        ("2", "2", 1 << 13 | 3)
    );
    assert_eq!(
        seen_by(first.fork().unwrap().scheduler(Scheduler::Fifo(1))).policy,
        "1"
    );
    // A real-time process has no nice value to show.
    assert_eq!(seen_by(first.scheduler(Scheduler::Other)).nice, "-5");
    if may(Capability::SysResource) {
        assert_eq!(seen_by(process().uid(USER).oom_score_adj(-500)).oom, "-500");
    }
}

/// Writes down that it ran.
#[zygote::entry]
fn mark(path: PathBuf) -> io::Result<()> {
    fs::write(path, "ran")
}

/// A setting that cannot be, how it is named and the errno.
type Refusal = (fn(Process) -> Process, &'static str, i32);

const NEVER: [Refusal; 11] = [
    (
        |it| it.rlimit(Resource::Nofile, 11, 10),
        "`rlimit(Nofile, 11, 10)`",
        libc::EINVAL,
    ),
    (
        |it| it.rlimit(Resource::Nofile, 10, Resource::UNLIMITED),
        "`rlimit(Nofile, 10, unlimited)`",
        libc::EPERM,
    ),
    (|it| it.affinity([]), "`affinity`", libc::EINVAL),
    (
        |it| it.affinity([1_000, 1_023]),
        "`affinity(1000, 1023)`",
        libc::EINVAL,
    ),
    (
        |it| it.affinity([0, usize::MAX]),
        "`affinity(0, 9223372036854775807)`",
        libc::EINVAL,
    ),
    (
        |it| it.scheduler(Scheduler::Fifo(0)),
        "`scheduler(Fifo(0))`",
        libc::EINVAL,
    ),
    (
        |it| it.scheduler(Scheduler::Fifo(100)),
        "`scheduler(Fifo(100))`",
        libc::EINVAL,
    ),
    (
        |it| it.io_priority(IoPriority::BestEffort(8)),
        "`io_priority(BestEffort(8))`",
        libc::EINVAL,
    ),
    (
        |it| it.io_priority(IoPriority::RealTime(255)),
        "`io_priority(RealTime(255))`",
        libc::EINVAL,
    ),
    (
        |it| it.oom_score_adj(1_001),
        "`oom_score_adj(1001)`",
        libc::EINVAL,
    ),
    (
        |it| it.oom_score_adj(i32::MIN),
        "`oom_score_adj(-2147483648)`",
        libc::EINVAL,
    ),
];

/// What one without rights may not.
const NOT_FOR_ALL: [Refusal; 4] = [
    (|it| it.nice(-5), "`nice(-5)`", libc::EACCES),
    (
        |it| it.scheduler(Scheduler::Fifo(5)),
        "`scheduler(Fifo(5))`",
        libc::EPERM,
    ),
    (
        |it| it.io_priority(IoPriority::RealTime(0)),
        "`io_priority(RealTime(0))`",
        libc::EPERM,
    ),
    (
        |it| it.oom_score_adj(-999),
        "`oom_score_adj(-999)`",
        libc::EACCES,
    ),
];

#[track_caller]
fn check(refusal: &Refusal, error: &Error) {
    let (_, name, errno) = refusal;
    assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
    let text = format!("{error:?}");
    let errno = format!("(os error {errno})");
    assert!(
        text.contains(name) && text.contains(&errno),
        "{name} {errno}: {text}"
    );
    assert!(error.entry().unwrap().ends_with("mark"), "{error:?}");
}

#[test]
fn what_cannot_be_is_a_typed_error_and_runs_nothing() {
    let _limit = watchdog(60);
    alone(|| {
        let census = Census::take();
        let dir = tempfile::tempdir().unwrap();
        let task = mark::task(dir.path().join("ran"));
        for refusal in &NEVER {
            let refused = refusal.0(process()).run(task.clone());
            check(refusal, &refused.unwrap_err());
        }
        assert!(!dir.path().join("ran").exists());
        process().run(task).unwrap().join().unwrap().unwrap();
        assert!(dir.path().join("ran").exists());
        census.check();
    });
}

#[zygote::entry]
fn tries(path: PathBuf) -> Vec<Result<(), Error>> {
    let task = mark::task(path);
    let refused = |refusal: &Refusal| refusal.0(process()).run(task.clone()).map(drop);
    NOT_FOR_ALL.iter().map(refused).collect()
}

#[test]
fn who_has_no_right_to_go_first_gets_a_typed_error() {
    let _limit = watchdog(60);
    let path = tempfile::tempdir().unwrap().path().join("ran");
    let without_rights = process()
        .rlimit(Resource::Nice, 0, 0)
        .rlimit(Resource::Rtprio, 0, 0);
    let without_rights = match may_change_user() {
        true => without_rights.uid(USER).dumpable(true),
        // This very process is one.
        false => without_rights,
    };
    let results = without_rights
        .run(tries::task(path))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(results.len(), NOT_FOR_ALL.len());
    for (refusal, result) in NOT_FOR_ALL.iter().zip(results) {
        check(refusal, &result.unwrap_err());
    }
    // So a template that lives goes on.
    assert!(util::is_alive(util::template()));
}
