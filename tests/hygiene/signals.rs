//! Signals, the directory and the mask of a new process.

use super::*;

extern "C" fn ignore(_: i32) {}

pub(crate) fn set(signal: i32, handler: libc::sighandler_t) {
    // SAFETY: the handler is SIG_IGN, SIG_DFL or one that is safe to run.
    unsafe { libc::signal(signal, handler) };
}

pub(crate) fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

pub(crate) fn signal_state() {
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
pub(crate) fn place() -> (PathBuf, String) {
    let text = status(std::process::id());
    (env::current_dir().unwrap(), field(&text, "Umask"))
}

pub(crate) fn surroundings() {
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
