//! What the program does not notice.

use super::*;

pub(crate) static CHILD_SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: i32) {
    CHILD_SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Whether the program has no child at all.
pub(crate) fn is_childless() -> bool {
    // SAFETY: a null status is not written.
    let result = unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) };
    result == -1 && nix::errno::Errno::last() == nix::errno::Errno::ECHILD
}

/// Every kind of outcome, and whether it is right.
pub(crate) fn outcomes(process: &Process) {
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
    let service = spawn().serve().unwrap();
    let calls = [3, 4].map(|n| service.call(echo::task(n)));
    assert_eq!(calls.map(|call| call.join().unwrap()), [3, 4]);
    assert!(service.stop(LIMIT).unwrap().success());
}

pub(crate) fn unseen() {
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

pub(crate) fn untouched() {
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

pub(crate) fn dispositions(kind: &str) {
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
