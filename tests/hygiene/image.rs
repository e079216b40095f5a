//! Without /proc, and without the binary.

use super::*;

pub(crate) fn no_proc() {
    assert!(!Path::new("/proc/self").exists());
    outcomes(&Process::new().unwrap());
    let workers = Process::new().unwrap().spawn_all((0..20).map(echo::task));
    for (n, worker) in (0..20).zip(workers) {
        assert_eq!(worker.unwrap().join().unwrap(), n);
    }
    let scored = Process::new().unwrap().oom_score_adj(5).run(echo::task(1));
    let error = scored.unwrap_err();
    assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
    assert!(format!("{error:?}").contains("os error 2)"), "{error:?}");
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

pub(crate) fn can_unshare() -> bool {
    let tried = std::process::Command::new("unshare")
        .args(["-m", "true"])
        .output();
    is_root() && tried.is_ok_and(|output| output.status.success())
}

#[zygote::entry]
pub(crate) fn executable() -> (u64, u64) {
    let file = fs::metadata("/proc/self/exe").unwrap();
    (file.dev(), file.ino())
}

pub(crate) fn binary_gone() {
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
