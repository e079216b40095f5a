//! What a template and a worker find, and what the program does not notice.

#![allow(
    unsafe_code,
    clippy::exit,
    clippy::print_stdout,
    reason = "the test closes descriptors, sets signal handlers, ends programs and says what it \
              cannot try"
)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers that several tests share"
)]

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io::Write,
    os::{
        fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use zygote::{Process, Worker};

#[path = "probe/mod.rs"]
mod probe;

use probe::{
    LIMIT, Probe, command, command_of, descriptors, field, hear, is_alive, play, say, send,
    signals, stat, status, until, within,
};

zygote::early!();

#[test]
fn probe_roles() {
    play(|role| match role {
        "descriptors" => exact_descriptors(),
        "low_numbers" => low_numbers(),
        "standard" => standard(),
        "signals" => signal_state(),
        "surroundings" => surroundings(),
        "unseen" => unseen(),
        "untouched" => untouched(),
        "chld_ignored" => dispositions("ignored"),
        "chld_nocldwait" => dispositions("nocldwait"),
        "chld_handler" => dispositions("handler"),
        "chld_thread" => dispositions("thread"),
        "no_proc" => no_proc(),
        "binary_gone" => binary_gone(),
        "keys" => keys(),
        "titles" => titles(),
        _ => panic!("no role {role}"),
    });
}

#[zygote::entry]
fn own_descriptors(passed: Vec<zygote::Fd<OwnedFd>>) -> (Vec<(i32, String)>, Vec<i32>, String) {
    let list = listed();
    let numbers = passed.iter().map(|fd| fd.as_raw_fd()).collect();
    // Those that another program would inherit.
    let is_open = |fd: &&(i32, String)| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.0)).unwrap();
        let flags = i32::from_str_radix(&field(&info, "flags"), 8).unwrap();
        fd.0 > 2 && flags & libc::O_CLOEXEC == 0
    };
    let inherited: Vec<_> = list.iter().filter(is_open).collect();
    let inherited = format!("{inherited:?}");
    (list, numbers, inherited)
}

/// The calling process's descriptors, but for the one that lists them.
fn listed() -> Vec<(i32, String)> {
    let own = format!("/proc/{}/fd", std::process::id());
    let mut list = descriptors(std::process::id());
    list.retain(|(_, target)| *target != own);
    list
}

#[zygote::entry]
fn rest() {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

#[zygote::entry]
fn leave(code: i32) {
    std::process::exit(code);
}

#[zygote::entry]
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

#[zygote::entry]
fn own_status() -> String {
    status(std::process::id())
}

/// The template that forks by default.
fn default_template() -> u32 {
    parent::spawn().unwrap().join().unwrap()
}

/// Ends the default template.
fn kill_template() {
    let early = default_template();
    send(early, libc::SIGKILL);
    assert!(until(LIMIT, || !is_alive(early)));
}

/// From here on the default template is one that was executed.
fn end_early() {
    kill_template();
    // What was in stock may still be about to die.
    let next = || match echo::spawn(5).and_then(Worker::join) {
        Ok(n) => n == 5,
        Err(error) if error.is_template_gone() => false,
        Err(error) => panic!("{error:?}"),
    };
    assert!(until(LIMIT, next));
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

// Descriptors.

fn exact_descriptors() {
    // Without close-on-exec, so that an executed template inherits them.
    let junk: Vec<File> = (0..200).map(|_| File::open("/dev/zero").unwrap()).collect();
    for file in &junk {
        // SAFETY: F_SETFD sets a flag and touches no memory.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) };
    }
    for executed in [false, true] {
        if executed {
            end_early();
        }
        let own = Process::new().unwrap();
        let nested = own.fork().unwrap();
        let fresh = Process::fresh().unwrap();
        let alive: Vec<Worker<()>> = (0..50)
            .map(|n| match n % 3 {
                0 => rest::spawn().unwrap(),
                1 => own.fork().unwrap().run(rest::task()).unwrap(),
                _ => nested.fork().unwrap().run(rest::task()).unwrap(),
            })
            .collect();
        let full = File::open("/dev/full").unwrap();
        let passed: [Vec<&File>; 4] = [vec![], vec![&full], vec![&full; 3], vec![&junk[7]; 300]];
        for files in passed {
            for process in [
                Process::new().unwrap(),
                own.fork().unwrap(),
                nested.fork().unwrap(),
                fresh.fork().unwrap(),
            ] {
                let clones = files.iter().map(|file| {
                    let clone = file.try_clone().unwrap();
                    zygote::Fd::from(OwnedFd::from(clone))
                });
                let task = own_descriptors::task(clones.collect());
                let (list, numbers, inherited) = process.run(task).unwrap().join().unwrap();
                check_worker(&list, &numbers, &files);
                assert_eq!(inherited, "[]", "not close-on-exec");
            }
        }
        for template in [
            default_template(),
            own.id().unwrap(),
            nested.id().unwrap(),
            fresh.id().unwrap(),
        ] {
            check_template(template);
        }
        for worker in &alive {
            let list = descriptors(worker.id());
            check_worker(&list, &[], &[]);
        }
        let parked = own.fork().unwrap();
        check_worker(&descriptors(parked.id().unwrap()), &[], &[]);
    }
    say("done", "");
}

/// 0–2, one socket and what was passed; 0–2 are what the program has there.
fn check_worker(list: &[(i32, String)], passed: &[i32], files: &[&File]) {
    check_standard(list);
    assert_eq!(list.len(), 4 + passed.len(), "{list:?}");
    let sockets = list.iter().filter(|(number, target)| {
        *number > 2 && target.starts_with("socket:") && !passed.contains(number)
    });
    assert_eq!(sockets.count(), 1, "{list:?}");
    for (number, file) in passed.iter().zip(files) {
        let (_, target) = list.iter().find(|(fd, _)| fd == number).unwrap();
        let own = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
        assert_eq!(Path::new(target), own);
    }
}

fn check_standard(list: &[(i32, String)]) {
    let own = listed();
    assert_eq!(list[..3], own[..3]);
}

/// 0–2, and what a template needs: a socket, its children's signals, its
/// owner's pidfd.
fn check_template(pid: u32) {
    // One that forks for the stock holds an end for a moment.
    assert!(until(LIMIT, || descriptors(pid).len() <= 6));
    let list = descriptors(pid);
    check_standard(&list);
    let kind = |(_, target): &(i32, String)| {
        let end = target.find(":[").filter(|_| target.starts_with("socket"));
        target[..end.unwrap_or(target.len())].to_owned()
    };
    let mut kinds: Vec<String> = list[3..].iter().map(kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let known = ["anon_inode:[pidfd]", "anon_inode:[signalfd]", "socket"];
    // Where pidfds have a file system of their own.
    let is_known = |kind: &String| known.contains(&kind.as_str()) || kind.starts_with("pidfd:");
    assert!(kinds.iter().all(is_known), "{list:?}");
}

#[test]
fn templates_and_workers_have_their_own_and_the_passed_descriptors_only() {
    run("descriptors");
}

/// The program has its own files at 0–2, and passes these.
fn low_numbers() {
    let path = env::temp_dir().join(format!("zygote-low-{}", std::process::id()));
    for executed in [false, true] {
        if executed {
            end_early();
        }
        fs::write(&path, "").unwrap();
        let low: Vec<OwnedFd> = [0, 2]
            .into_iter()
            .map(|number| {
                // SAFETY: nothing but the standard streams owns this number.
                unsafe { libc::close(number) };
                let fd = OwnedFd::from(File::options().append(true).open(&path).unwrap());
                assert_eq!(fd.as_raw_fd(), number);
                fd
            })
            .collect();
        let passed = low.iter().map(|fd| fd.try_clone().unwrap().into());
        let task = own_descriptors::task(passed.collect());
        let (list, numbers, _) = Process::new().unwrap().run(task).unwrap().join().unwrap();
        assert_eq!(list.len(), 6, "{list:?}");
        assert!(numbers.iter().all(|number| *number > 2), "{numbers:?}");
        for number in numbers {
            let (_, target) = list.iter().find(|(fd, _)| *fd == number).unwrap();
            assert_eq!(Path::new(target), path);
        }
        if executed {
            fs::remove_file(&path).unwrap();
        }
        for fd in low {
            let number = fd.into_raw_fd();
            // SAFETY: the number was taken out of its owner just above.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
            let null = File::options().read(true).write(true).open("/dev/null");
            // It stands for the standard stream from here on.
            assert_eq!(null.unwrap().into_raw_fd(), number);
        }
    }
    say("done", "");
}

#[test]
fn files_at_the_numbers_of_standard_streams_are_passed_like_others() {
    run("low_numbers");
}

/// Some of 0–2 were closed at the start.
fn standard() {
    let missing = env::var("MISSING").unwrap();
    for round in ["early", "executed"] {
        let task = own_descriptors::task(vec![File::open("/dev/full").unwrap().into_fd()]);
        let (list, numbers, _) = Process::new().unwrap().run(task).unwrap().join().unwrap();
        let all: Vec<i32> = list.iter().map(|(number, _)| *number).collect();
        assert_eq!(all[..3], [0, 1, 2], "{round}: {list:?}");
        assert_eq!(all.len(), 5, "{round}: {list:?}");
        assert!(numbers[0] > 2, "{numbers:?}");
        for (number, (_, target)) in list[..3].iter().enumerate() {
            if missing.contains(&number.to_string()) {
                assert_eq!(target, "/dev/null", "{round}");
            }
        }
        // Output goes where there is nobody, and not into the protocol.
        assert_eq!(shout::spawn().unwrap().join().unwrap(), 9);
        let template = default_template();
        assert_eq!(descriptors(template)[..3], list[..3], "{round}");
        say("done", round);
        end_early();
    }
}

trait IntoFd {
    fn into_fd(self) -> zygote::Fd<OwnedFd>;
}

impl IntoFd for File {
    fn into_fd(self) -> zygote::Fd<OwnedFd> {
        OwnedFd::from(self).into()
    }
}

#[zygote::entry]
fn shout() -> u32 {
    let _ = std::io::stdout().write_all(&[b'x'; 10_000]);
    let _ = std::io::stderr().write_all(&[b'y'; 10_000]);
    9
}

#[test]
fn standard_streams_that_are_missing_at_the_start_are_nobodys() {
    for missing in ["0", "1", "2", "01", "02", "12", "012"] {
        let report = tempfile::NamedTempFile::new().unwrap();
        let closes: String = missing
            .chars()
            .map(|fd| {
                if fd == '0' {
                    "0<&- ".to_owned()
                } else {
                    format!("{fd}>&- ")
                }
            })
            .collect();
        let script = format!("exec {closes}; exec \"$0\" \"$@\"");
        let program = env::current_exe().unwrap();
        let mut command = within(&["sh", "-c", &script], &program, "standard");
        command
            .env("MISSING", missing)
            .env("ZYGOTE_PROBE_REPORT", report.path());
        let (text, status) = probe::output(command);
        let said = fs::read_to_string(report.path()).unwrap();
        assert!(
            status.success(),
            "without {missing}: {status} {said} {text}"
        );
        let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, ["@done early", "@done executed"], "{missing}");
    }
}

// Signals, surroundings.

extern "C" fn ignore(_: i32) {}

fn set(signal: i32, handler: libc::sighandler_t) {
    // SAFETY: the handler is SIG_IGN, SIG_DFL or one that is safe to run.
    unsafe { libc::signal(signal, handler) };
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

fn signal_state() {
    let before = status(std::process::id());
    let inherited = signals(&before, "SigIgn");
    let handler: extern "C" fn(i32) = ignore;
    for signal in [libc::SIGTERM, libc::SIGUSR1, libc::SIGALRM, libc::SIGURG] {
        set(signal, handler as libc::sighandler_t);
    }
    set(libc::SIGUSR2, libc::SIG_IGN);
    nix::sys::signal::SigSet::all().thread_block().unwrap();
    for executed in [false, true] {
        // What a program ignores is ignored by what it executes.
        let mut ignored = inherited | bit(libc::SIGPIPE);
        if executed {
            end_early();
            ignored |= bit(libc::SIGUSR2);
            // glibc's posix_spawn ignores its own two.
            if cfg!(target_env = "gnu") {
                ignored |= bit(32) | bit(33);
            }
        }
        let template = Process::new().unwrap();
        let fresh = Process::fresh().unwrap();
        for process in [Process::new().unwrap(), template.fork().unwrap()] {
            let text = process.run(own_status::task()).unwrap().join().unwrap();
            assert_eq!(signals(&text, "SigBlk"), 0, "{text}");
            assert_eq!(signals(&text, "SigPnd"), 0, "{text}");
            assert_eq!(signals(&text, "SigIgn"), ignored, "{executed} {text}");
            assert_eq!(signals(&text, "SigCgt"), bit(libc::SIGURG), "{text}");
            assert_eq!(field(&text, "Threads"), "1");
        }
        // All that the C library lets block.
        let kept = bit(libc::SIGKILL) | bit(libc::SIGSTOP) | bit(32) | bit(33) | bit(34);
        for pid in [
            default_template(),
            template.id().unwrap(),
            fresh.id().unwrap(),
        ] {
            let text = status(pid);
            assert_eq!(signals(&text, "SigBlk") | kept, u64::MAX, "{text}");
            assert_eq!(field(&text, "Threads"), "1");
        }
    }
    say("done", "");
}

#[test]
fn a_worker_starts_with_fresh_signals_and_a_template_has_all_blocked() {
    run("signals");
}

#[zygote::entry]
fn place() -> (PathBuf, String) {
    let text = status(std::process::id());
    (env::current_dir().unwrap(), field(&text, "Umask"))
}

fn surroundings() {
    let at_start = place();
    let directory = tempfile::tempdir().unwrap();
    env::set_current_dir(&directory).unwrap();
    // SAFETY: umask takes a number.
    unsafe { libc::umask(0o027) };
    let changed = place();
    assert_ne!(at_start, changed);
    assert_eq!(place::spawn().unwrap().join().unwrap(), at_start);
    let fresh = Process::fresh().unwrap();
    env::set_current_dir("/").unwrap();
    assert_eq!(fresh.run(place::task()).unwrap().join().unwrap(), changed);
    env::set_current_dir(&directory).unwrap();
    end_early();
    assert_eq!(place::spawn().unwrap().join().unwrap(), changed);
    say("done", "");
}

#[test]
fn directory_and_umask_are_those_of_the_template() {
    run("surroundings");
}

// The program notices nothing.

static CHILD_SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: i32) {
    CHILD_SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Whether the program has no child at all.
fn is_childless() -> bool {
    // SAFETY: a null status is not written.
    let result = unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) };
    result == -1 && nix::errno::Errno::last() == nix::errno::Errno::ECHILD
}

/// Every kind of outcome, and whether it is right.
fn outcomes(process: &Process) {
    let spawn = || process.fork().unwrap();
    assert_eq!(spawn().run(echo::task(5)).unwrap().join().unwrap(), 5);
    for code in [0, 3, 255] {
        let exit = spawn().run(leave::task(code)).unwrap().wait().unwrap();
        assert_eq!(exit.status().unwrap().code(), Some(code));
    }
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGSEGV] {
        let worker = spawn().run(rest::task()).unwrap();
        worker.signal(signal).unwrap();
        let exit = worker.wait().unwrap();
        let status = exit.status().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(signal)
        );
        assert!(worker.join().unwrap_err().is_signal());
    }
}

fn unseen() {
    let handler: extern "C" fn(i32) = count;
    set(libc::SIGCHLD, handler as libc::sighandler_t);
    assert!(is_childless());
    let own = Process::new().unwrap();
    for _ in 0..20 {
        outcomes(&own);
        outcomes(&Process::new().unwrap());
    }
    drop(own);
    assert!(is_childless());
    kill_template();
    assert!(is_childless());
    assert_eq!(CHILD_SIGNALS.load(Ordering::Relaxed), 0);
    let next = || echo::spawn(5).and_then(Worker::join).is_ok();
    assert!(until(LIMIT, next));
    // An executed one comes by a child that ends at once.
    outcomes(&Process::new().unwrap());
    outcomes(&Process::fresh().unwrap());
    assert!(is_childless());
    let own = std::process::id();
    let left = probe::group(own).into_iter();
    let zombies: Vec<_> = left
        .filter(|stat| stat.parent == own && stat.state == 'Z')
        .collect();
    // The early template, whose end nobody but this library can wait for.
    assert!(zombies.len() <= 1, "{zombies:?}");
    say("done", CHILD_SIGNALS.load(Ordering::Relaxed));
}

#[test]
fn the_program_sees_no_child_and_no_signal_of_the_early_template() {
    let mut probe = Probe::start("unseen");
    let signals: u32 = probe.expect("done").parse().unwrap();
    // The two that were executed.
    assert!(signals <= 2, "{signals}");
    probe.finish();
}

fn untouched() {
    let look = || {
        // Of this thread: the harness has another.
        let text = fs::read_to_string("/proc/thread-self/status").unwrap();
        ["Threads", "SigBlk", "SigIgn", "SigCgt"].map(|name| field(&text, name))
    };
    let before = look();
    for executed in [false, true] {
        if executed {
            end_early();
        }
        outcomes(&Process::new().unwrap());
        outcomes(&Process::fresh().unwrap());
        let (sender, receiver) = zygote::channel::<u32>().unwrap();
        sender.send(1).unwrap();
        assert_eq!(receiver.recv_timeout(LIMIT).unwrap(), 1);
        assert_eq!(look(), before);
    }
    say("done", "");
}

#[test]
fn no_thread_and_no_handler_is_added_to_the_program() {
    run("untouched");
}

extern "C" fn wait_for_all(_: i32) {
    let errno = nix::errno::Errno::last_raw();
    // SAFETY: a null status is not written; waitpid is async-signal-safe.
    while unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } > 0 {}
    nix::errno::Errno::set_raw(errno);
}

fn dispositions(kind: &str) {
    match kind {
        "ignored" => set(libc::SIGCHLD, libc::SIG_IGN),
        "handler" => {
            let handler: extern "C" fn(i32) = wait_for_all;
            set(libc::SIGCHLD, handler as libc::sighandler_t);
        }
        "nocldwait" => {
            let action = nix::sys::signal::SigAction::new(
                nix::sys::signal::SigHandler::SigDfl,
                nix::sys::signal::SaFlags::SA_NOCLDWAIT,
                nix::sys::signal::SigSet::empty(),
            );
            // SAFETY: it is the default action.
            unsafe { nix::sys::signal::sigaction(nix::sys::signal::SIGCHLD, &action) }.unwrap();
        }
        "thread" => {
            thread::spawn(|| {
                loop {
                    // SAFETY: a null status is not written.
                    if unsafe { libc::waitpid(-1, ptr::null_mut(), 0) } < 0 {
                        thread::sleep(Duration::from_micros(100));
                    }
                }
            });
        }
        _ => panic!("no disposition {kind}"),
    }
    for executed in [false, true] {
        if executed {
            end_early();
        }
        for _ in 0..10 {
            outcomes(&Process::new().unwrap());
        }
        for _ in 0..5 {
            outcomes(&Process::fresh().unwrap());
        }
    }
    say("done", "");
}

#[test]
fn statuses_are_right_whatever_the_program_does_about_its_children() {
    for role in [
        "chld_ignored",
        "chld_nocldwait",
        "chld_handler",
        "chld_thread",
    ] {
        run(role);
    }
}

// No /proc, no binary.

fn no_proc() {
    assert!(!Path::new("/proc/self").exists());
    outcomes(&Process::new().unwrap());
    let workers = Process::new().unwrap().run_all((0..20).map(echo::task));
    for (n, worker) in (0..20).zip(workers) {
        assert_eq!(worker.unwrap().join().unwrap(), n);
    }
    let fresh = Process::fresh().unwrap_err();
    let early = default_template();
    send(early, libc::SIGKILL);
    let worker = rest::spawn();
    let gone = worker.and_then(|worker| worker.join().map(drop));
    say("at_death", gone.unwrap_err());
    // Now for sure.
    let error = echo::spawn(1).unwrap_err();
    for error in [fresh, error] {
        assert!(error.to_string().contains("early!()"), "{error:?}");
        assert!(error.is_unstarted(), "{error:?}");
    }
    say("done", "");
}

#[test]
fn early_works_without_proc_and_the_fallback_says_what_to_do() {
    if !can_unshare() {
        println!("not tried without /proc: this needs root and mount namespaces");
        return;
    }
    let program = env::current_exe().unwrap();
    let script = "umount -l /proc && exec \"$0\" \"$@\"";
    let mut probe = Probe::spawn(within(
        &["unshare", "-m", "sh", "-c", script],
        &program,
        "no_proc",
    ));
    probe.expect("done");
    probe.finish();
}

fn can_unshare() -> bool {
    let tried = std::process::Command::new("unshare")
        .args(["-m", "true"])
        .output();
    is_root() && tried.is_ok_and(|output| output.status.success())
}

#[zygote::entry]
fn executable() -> (u64, u64) {
    let file = fs::metadata("/proc/self/exe").unwrap();
    (file.dev(), file.ino())
}

fn binary_gone() {
    let own = executable();
    assert_eq!(executable::spawn().unwrap().join().unwrap(), own);
    say("ready", "");
    assert_eq!(hear(), "go");
    outcomes(&Process::new().unwrap());
    assert_eq!(executable::spawn().unwrap().join().unwrap(), own);
    end_early();
    outcomes(&Process::new().unwrap());
    assert_eq!(executable::spawn().unwrap().join().unwrap(), own);
    let fresh = Process::fresh().unwrap();
    assert_eq!(fresh.run(executable::task()).unwrap().join().unwrap(), own);
    say("done", "");
}

#[test]
fn a_binary_that_was_deleted_or_replaced_goes_on() {
    for replaced in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        fs::copy(env::current_exe().unwrap(), &program).unwrap();
        let mut probe = Probe::spawn(command_of(&program, "binary_gone"));
        probe.expect("ready");
        fs::remove_file(&program).unwrap();
        if replaced {
            fs::write(&program, "#!/bin/sh\nexit 77\n").unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        probe.tell("go");
        probe.expect("done");
        probe.finish();
    }
}

// Secrets.

#[zygote::entry]
fn hashed() -> u64 {
    RandomState::new().hash_one(42)
}

fn keys() {
    let own = Process::new().unwrap();
    for executed in [false, true] {
        if executed {
            end_early();
        }
        let fresh = Process::fresh().unwrap();
        for template in [&own, &fresh, &Process::new().unwrap()] {
            if executed && ptr::eq(template, &raw const own) {
                continue;
            }
            let workers = template.run_all((0..100).map(|_| hashed::task()));
            let hashes: BTreeSet<u64> = workers
                .into_iter()
                .map(|worker| worker.unwrap().join().unwrap())
                .collect();
            assert_eq!(hashes.len(), 100);
        }
    }
    say("done", "");
}

#[test]
fn workers_of_one_template_have_different_hash_keys() {
    run("keys");
}

#[zygote::entry]
fn keep(secret: String) -> usize {
    let length = secret.len();
    rest();
    length
}

fn titles() {
    const SECRET: &str = "c0nfidential";
    for executed in [false, true] {
        if executed {
            end_early();
        }
        let worker = keep::spawn(SECRET.repeat(100)).unwrap();
        let template = default_template();
        let title = |pid: u32| {
            let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
            String::from_utf8_lossy(&bytes)
                .trim_end_matches('\0')
                .to_owned()
        };
        let own = std::process::id();
        assert!(until(LIMIT, || title(worker.id()).contains("keep")));
        let shown = title(worker.id());
        assert!(shown.starts_with("zygote: hygiene::keep of "), "{shown}");
        assert!(shown.ends_with(&format!(" {own}")), "{shown}");
        assert_eq!(title(template), format!("zygote: template of {own}"));
        for pid in [worker.id(), template] {
            for file in ["cmdline", "environ", "comm"] {
                let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                assert!(!text.contains(SECRET), "{file} of {pid}");
            }
        }
        assert!(is_alive(worker.id()) && stat(worker.id()).unwrap().parent == template);
        worker.kill().unwrap();
    }
    say("done", "");
}

#[test]
fn titles_show_the_entry_and_no_arguments() {
    run("titles");
}

#[track_caller]
fn run(role: &str) {
    let mut probe = Probe::spawn(command(role));
    probe.expect("done");
    probe.finish();
}
