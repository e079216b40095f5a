//! Signals and timers of the program and of its terminal.

use std::{os::unix::process::ExitStatusExt, sync::atomic::AtomicUsize};

use super::*;

pub(crate) const ROLES: Roles = &[
    ("pipes", pipes),
    ("clean", clean),
    ("interrupts", interrupts),
    ("hung_up", hung_up),
    ("hung_up_by_default", hung_up_by_default),
];

static SEEN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn see(_: i32) {
    SEEN.fetch_add(1, Ordering::Relaxed);
}

/// Sets a handler that interrupts system calls, or a disposition.
fn set(signal: i32, handler: libc::sighandler_t) {
    // SAFETY: an all-zero action is one.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: the handler is a constant or adds one to an atomic number.
    let result = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    assert_eq!(result, 0);
}

fn handler() -> libc::sighandler_t {
    let handler: extern "C" fn(i32) = see;
    handler as libc::sighandler_t
}

/// What a worker gets that writes to a pipe without a reader.
#[zygote::entry]
fn writes_to_nobody() -> Option<i32> {
    let (reader, mut writer) = io::pipe().unwrap();
    drop(reader);
    let error = io::Write::write(&mut writer, b"x").unwrap_err();
    error.raw_os_error()
}

/// Whoever is gone when something is sent: it is an error, and no signal.
fn pipes() {
    for disposition in [libc::SIG_DFL, libc::SIG_IGN, handler()] {
        set(libc::SIGPIPE, disposition);
        assert_eq!(
            writes_to_nobody::spawn().unwrap().join().unwrap(),
            Some(libc::EPIPE)
        );
        let (sender, receiver) = zygote::channel::<u32>().unwrap();
        drop(receiver);
        assert!(sender.send(1).unwrap_err().is_disconnected());
        let process = Process::new().unwrap();
        let pid = process.id().unwrap();
        send(pid, libc::SIGKILL);
        assert!(until(LIMIT, || stat(pid).is_none()));
        assert!(process.fork().is_err() && process.into_fd().is_err());
        send(default_template(), libc::SIGKILL);
        works().unwrap();
        let result = settled(|| writes_to_nobody::spawn()?.join()).unwrap();
        assert_eq!(result, Some(libc::EPIPE), "of one that was executed");
        assert_eq!(SEEN.load(Ordering::Relaxed), 0);
        // SAFETY: an all-zero action is one.
        let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: the new action is null, the other pointer is to a live value.
        unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut now) };
        assert_eq!(now.sa_sigaction, disposition);
    }
}

#[test]
fn no_disposition_of_sigpipe_is_felt_or_changed() {
    run("pipes");
}

/// Timers, the alternative stack, what is pending.
#[zygote::entry]
fn own_signals() -> (bool, bool, String) {
    // SAFETY: all-zero values are right for both.
    let (mut timer, mut stack): (libc::itimerval, libc::stack_t) = unsafe { std::mem::zeroed() };
    let mut is_set = false;
    for which in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
        // SAFETY: the pointer is to a live value.
        unsafe { libc::getitimer(which, &raw mut timer) };
        is_set |= timer.it_value.tv_sec != 0 || timer.it_value.tv_usec != 0;
    }
    // SAFETY: the new stack is null, the other pointer is to a live value.
    unsafe { libc::sigaltstack(std::ptr::null(), &raw mut stack) };
    (
        is_set,
        stack.ss_flags & libc::SS_DISABLE == 0,
        status(std::process::id()),
    )
}

fn clean() {
    // From before the program was executed, see the test.
    let own = own_signals();
    let pending = |text: &str| field(text, "SigPnd") + &field(text, "ShdPnd");
    assert!(own.0 && pending(&own.2).contains('2'), "{}", own.2);
    both(|way| {
        let fresh = Process::fresh().unwrap();
        let parked = Process::new().unwrap();
        for process in [Process::new().unwrap(), fresh, parked.fork().unwrap()] {
            let (timer, stack, text) = process.run(own_signals::task()).unwrap().join().unwrap();
            assert!(!timer, "{way}");
            assert!(!stack, "{way}: nobody set one up");
            assert!(
                pending(&text).bytes().all(|digit| digit == b'0'),
                "{way}: {text}"
            );
            assert_eq!(field(&text, "SigBlk"), "0".repeat(16), "{way}");
        }
    });
    // Still the program's own.
    assert!(own_signals().0);
}

#[test]
fn a_worker_has_no_timer_no_pending_signal_and_no_mask_of_the_program() {
    let mut command = command("clean");
    let leave = || {
        let hour = libc::itimerval {
            it_interval: libc::timeval {
                tv_sec: 0,
                tv_usec: 0,
            },
            it_value: libc::timeval {
                tv_sec: 3600,
                tv_usec: 0,
            },
        };
        // SAFETY: the pointer is to a live value, the other is null.
        unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const hour, std::ptr::null_mut()) };
        // SAFETY: an all-zero set is one.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live set.
        unsafe { libc::sigaddset(&raw mut set, libc::SIGUSR1) };
        // SAFETY: as above; the old set is not asked for.
        unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        // SAFETY: the signal is blocked, so it only becomes pending.
        unsafe { libc::raise(libc::SIGUSR1) };
        Ok(())
    };
    // SAFETY: the calls in it are async-signal-safe.
    unsafe { command.pre_exec(leave) };
    run_command(command);
}

/// A timer interrupts every call of the program, a thousand times a second.
fn interrupts() {
    set(libc::SIGALRM, handler());
    let often = libc::timeval {
        tv_sec: 0,
        tv_usec: 1000,
    };
    let times = libc::itimerval {
        it_interval: often,
        it_value: often,
    };
    // SAFETY: the pointer is to a live value, the other is null.
    let result =
        unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const times, std::ptr::null_mut()) };
    assert_eq!(result, 0);
    both(|way| {
        for n in 0..1000 {
            assert_eq!(settled(|| echo::spawn(n)?.join()).unwrap(), n, "{way}");
        }
        for _ in 0..10 {
            works().unwrap();
            Process::fresh()
                .unwrap()
                .run(echo::task(1))
                .unwrap()
                .join()
                .unwrap();
            let worker = rest::spawn().unwrap();
            let start = Instant::now();
            let limit = Duration::from_millis(30);
            assert!(worker.wait_timeout(limit).unwrap().is_none());
            assert!(start.elapsed() >= limit, "{way}: {:?}", start.elapsed());
            worker.kill().unwrap();
            worker.wait().unwrap();
        }
    });
    assert!(SEEN.load(Ordering::Relaxed) > 100);
}

#[test]
fn interrupted_calls_go_on() {
    run("interrupts");
}

/// In a terminal that goes away; the program has a handler.
fn hung_up() {
    set(libc::SIGHUP, handler());
    both(|way| {
        let (template, worker) = (default_template(), rest::spawn().unwrap());
        if way == "early" {
            say("ready", std::process::id());
            assert!(until(LIMIT, || SEEN.load(Ordering::Relaxed) > 0));
            // What is written now is lost.
            let _ = io::Write::write_all(&mut io::stdout(), b"?\n");
        }
        thread::sleep(Duration::from_millis(50));
        assert!(is_alive(template), "{way}");
        assert!(worker.try_wait().unwrap().is_none(), "{way}");
        works().unwrap();
        worker.kill().unwrap();
    });
    say("lives", "");
}

fn hung_up_by_default() {
    let (template, worker) = (default_template(), rest::spawn().unwrap());
    say(
        "ready",
        format!("{} {template} {}", std::process::id(), worker.id()),
    );
    worker.wait().unwrap();
}

/// Runs the role in a terminal that ends when it says that it is ready; gives
/// what it said then, and where the rest will stand.
fn in_a_terminal_that_ends(role: &str) -> Option<(String, tempfile::NamedTempFile)> {
    if !Command::new("script")
        .arg("--version")
        .output()
        .is_ok_and(|it| it.status.success())
    {
        println!("not tried in a terminal: this needs the program `script`");
        return None;
    }
    let report = tempfile::NamedTempFile::new().unwrap();
    let program = env::current_exe().unwrap();
    let line = format!(
        "exec '{}' probe --nocapture --test-threads=1",
        program.display()
    );
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .env("ZYGOTE_PROBE", role)
        .env("ZYGOTE_PROBE_REPORT", report.path());
    let mut terminal = Probe::spawn(command);
    let ready = said(&report, "ready");
    terminal.kill();
    let status = terminal.end();
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    Some((ready, report))
}

/// Waits for a line in the report.
fn said(report: &tempfile::NamedTempFile, key: &str) -> String {
    let mut found = None;
    until(LIMIT, || {
        let text = fs::read_to_string(report.path()).unwrap();
        let start = format!("@{key} ");
        found = text
            .lines()
            .find_map(|line| line.strip_prefix(&start).map(str::to_owned));
        found.is_some()
    });
    found.unwrap_or_else(|| panic!("no {key:?} within {LIMIT:?}"))
}

#[test]
fn a_terminal_that_goes_away_ends_no_template_of_a_program_that_stays() {
    if let Some((_, report)) = in_a_terminal_that_ends("hung_up") {
        said(&report, "lives");
    }
}

#[test]
fn a_terminal_that_goes_away_ends_a_program_that_does_not_care_and_all_with_it() {
    if let Some((pids, _)) = in_a_terminal_that_ends("hung_up_by_default") {
        for pid in pids.split(' ').map(|pid| pid.parse().unwrap()) {
            assert!(until(LIMIT, || !is_alive(pid)), "{pid} of {pids} lives");
        }
    }
}
