//! User, groups, capabilities, and what follows from a change of them.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    process::Command,
    thread,
    time::Duration,
};

use zygote::{Error, Process, Sender, channel, settings::Capability};

use crate::util::{
    self, Census, PATIENCE, alone, field, is_alive, may, may_change_user, missing, until, watchdog,
};

/// A user and groups that nobody has.
const USER: u32 = 54_321;
const GROUP: u32 = 54_322;

#[zygote::entry]
fn status() -> io::Result<String> {
    fs::read_to_string("/proc/self/status")
}

fn status_of(process: Process) -> String {
    let worker = process.run(status::task()).unwrap();
    worker.join().unwrap().unwrap()
}

fn process() -> Process {
    Process::new().unwrap()
}

fn mask(status: &str, name: &str) -> u64 {
    u64::from_str_radix(&field(status, name), 16).unwrap()
}

fn bits(capabilities: &[Capability]) -> u64 {
    capabilities.iter().map(|it| 1 << (*it as u8)).sum()
}

/// What the worker gets when it asks for its old ids.
#[zygote::entry]
fn go_back() -> Vec<Option<i32>> {
    use nix::unistd::{Gid, Uid, setegid, seteuid, setgid, setuid};
    [
        setuid(Uid::from_raw(0)),
        seteuid(Uid::from_raw(0)),
        setgid(Gid::from_raw(0)),
        setegid(Gid::from_raw(0)),
    ]
    .map(|result| result.err().map(|errno| errno as i32))
    .into()
}

#[test]
fn a_worker_has_another_user_and_no_way_back() {
    let _limit = watchdog(60);
    if missing("the right to change users", may_change_user()) {
        return;
    }
    let other = process().groups([7, 8]).uid(USER).gid(GROUP);
    let seen = status_of(other.fork().unwrap());
    assert_eq!(field(&seen, "Uid"), vec![USER.to_string(); 4].join("\t"));
    assert_eq!(field(&seen, "Gid"), vec![GROUP.to_string(); 4].join("\t"));
    assert_eq!(field(&seen, "Groups"), "7 8");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(mask(&seen, set), 0, "{set}");
    }
    let errors = other.run(go_back::task()).unwrap().join().unwrap();
    assert_eq!(errors, [Some(libc::EPERM); 4]);
    // The template is what it was.
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let seen = status_of(process());
    for name in ["Uid", "Gid", "Groups", "CapPrm", "CapBnd"] {
        assert_eq!(field(&seen, name), field(&own, name), "{name}");
    }
}

/// The groups of workers of this worker: with a user, with groups and a user,
/// with a group only.
#[zygote::entry]
fn groups_of_workers() -> [String; 3] {
    [
        process().uid(USER),
        process().uid(USER).groups([9]),
        process().gid(GROUP),
    ]
    .map(|process| field(&status_of(process), "Groups"))
}

#[test]
fn roots_groups_are_dropped_with_the_user_unless_others_are_given() {
    let _limit = watchdog(60);
    if missing("root", nix::unistd::getuid().is_root() && may_change_user()) {
        return;
    }
    let worker = process()
        .groups([7, 8])
        .run(groups_of_workers::task())
        .unwrap();
    assert_eq!(worker.join().unwrap(), ["", "9", "7 8"]);
}

/// The capability sets of this worker, and of a program that it executes.
#[zygote::entry]
fn before_and_after_exec() -> io::Result<(String, String)> {
    let executed = Command::new("cat").arg("/proc/self/status").output()?;
    let executed = String::from_utf8_lossy(&executed.stdout).into_owned();
    Ok((fs::read_to_string("/proc/self/status")?, executed))
}

#[test]
fn capabilities_are_those_kept_also_with_another_user_and_after_exec() {
    let _limit = watchdog(60);
    if missing("CAP_SETPCAP", may(Capability::Setpcap) && may_change_user()) {
        return;
    }
    let own = mask(&status_of(process()), "CapPrm");
    let some = [
        Capability::NetBindService,
        Capability::Kill,
        Capability::Kill,
    ];
    let kept = bits(&some[..2]) & own;
    assert_ne!(kept, 0);
    for (keep, kept) in [(&some[..], kept), (&[], 0), (Capability::ALL, own)] {
        let process = process().capabilities(keep.iter().copied());
        for process in [process.fork().unwrap(), process.uid(USER)] {
            let worker = process.run(before_and_after_exec::task()).unwrap();
            let (before, after) = worker.join().unwrap().unwrap();
            for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                assert_eq!(mask(&before, set), kept, "{set} of {keep:?}");
                assert_eq!(mask(&after, set), kept, "{set} of {keep:?}, executed");
            }
            let bounding = mask(&before, "CapBnd");
            assert_eq!(bounding & !bits(Capability::ALL) & !own, 0);
            assert_eq!(bounding & bits(Capability::ALL), kept, "{keep:?}");
        }
    }
}

#[test]
fn no_new_privileges_are_asked_for_or_not() {
    let of = |process| field(&status_of(process), "NoNewPrivs");
    let own = of(process());
    assert_eq!(of(process().no_new_privs(true)), "1");
    assert_eq!(of(process().no_new_privs(true).no_new_privs(false)), own);
    // Without the right to anything else.
    if may_change_user() {
        assert_eq!(of(process().no_new_privs(true).uid(USER)), "1");
    }
}

#[zygote::entry]
fn is_dumpable() -> (bool, u32) {
    let owner = fs::metadata("/proc/self/environ").unwrap().uid();
    (nix::sys::prctl::get_dumpable().unwrap(), owner)
}

#[test]
fn a_worker_is_dumpable_as_said_and_not_after_a_change_of_its_user() {
    let of = |process: Process| process.run(is_dumpable::task()).unwrap().join().unwrap();
    let own = nix::unistd::geteuid().as_raw();
    assert_eq!(of(process().dumpable(true)), (true, own));
    assert_eq!(of(process().dumpable(false)), (false, 0));
    if missing("the right to change users", may_change_user()) {
        return;
    }
    assert_eq!(of(process().uid(USER).gid(GROUP)).1, 0);
    assert_eq!(of(process().dumpable(true).uid(USER)), (true, USER));
}

/// Writes down that it ran.
#[zygote::entry]
fn mark(path: PathBuf) -> io::Result<()> {
    fs::write(path, "ran")
}

/// What each of these gives to one without rights.
#[zygote::entry]
fn tries(path: PathBuf) -> Vec<Result<(), Error>> {
    let task = mark::task(path);
    [
        process().uid(0),
        process().gid(0),
        process().groups([0]),
        process().capabilities([Capability::Kill]),
    ]
    .map(|process| process.run(task.clone()).map(drop))
    .into()
}

#[test]
fn who_has_no_right_gets_a_typed_error_and_runs_nothing() {
    let _limit = watchdog(60);
    alone(|| {
        let census = Census::take();
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let path = dir.path().join("ran");
        let without_rights = match may_change_user() {
            true => process().uid(USER).gid(GROUP),
            // This very process is one.
            false => process(),
        };
        let worker = without_rights
            .fork()
            .unwrap()
            .run(tries::task(path.clone()));
        let results = worker.unwrap().join().unwrap();
        let named = [
            "`uid(0)`",
            "`gid(0)`",
            "`groups(0)`",
            "`capabilities(CAP_KILL)`",
        ];
        assert_eq!(results.len(), named.len());
        for (result, name) in results.into_iter().zip(named) {
            let error = result.unwrap_err();
            assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
            let text = format!("{error:?}");
            assert!(
                text.contains(name) && text.contains("os error 1)"),
                "{text}"
            );
            assert!(text.contains("mark"), "{text}");
        }
        assert!(!path.exists());
        let allowed = without_rights.fork().unwrap();
        allowed
            .run(mark::task(path.clone()))
            .unwrap()
            .join()
            .unwrap()
            .unwrap();
        assert!(path.exists(), "the same task could write");
        drop((dir, without_rights));
        census.check();
    });
}

#[test]
fn what_is_no_id_is_refused_and_not_taken_for_no_change() {
    for process in [process().uid(u32::MAX), process().gid(u32::MAX)] {
        let error = process.run(status::task()).unwrap_err();
        assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
        assert!(error.to_string().contains("id(4294967295)`"), "{error}");
    }
    let error = process()
        .groups([u32::MAX])
        .run(status::task())
        .unwrap_err();
    assert!(error.is_setting(), "{error:?}");
}

/// Says who it is.
#[zygote::entry]
fn rest(name: String, ready: Sender<(String, u32)>) {
    ready.send((name, std::process::id())).unwrap();
    thread::sleep(Duration::from_secs(60));
}

/// A worker that has one, of its own user.
#[zygote::entry]
fn with_one(ready: Sender<(String, u32)>) {
    let worker = rest::spawn("nested".into(), ready.try_clone().unwrap()).unwrap();
    rest("attached".into(), ready);
    drop(worker);
}

/// A program: it has workers of another user, one of which has a worker, and
/// one that is detached.
#[zygote::entry]
fn program(ready: Sender<(String, u32)>) {
    let other = process().uid(USER).gid(GROUP);
    let task = rest::task("detached".into(), ready.try_clone().unwrap());
    let detached = other.fork().unwrap().run(task).unwrap();
    detached.detach().unwrap();
    let task = with_one::task(ready.try_clone().unwrap());
    let worker = other.fork().unwrap().run(task).unwrap();
    ready
        .send(("template".into(), other.id().unwrap()))
        .unwrap();
    rest("program".into(), ready);
    drop(worker);
}

#[test]
fn a_worker_of_another_user_ends_with_its_program_and_its_template_unless_detached() {
    let _limit = watchdog(120);
    if missing("the right to change users", may_change_user()) {
        return;
    }
    for dies in ["program", "template"] {
        let (sender, receiver) = channel::<(String, u32)>().unwrap();
        let started = program::spawn(sender).unwrap();
        let said: BTreeMap<String, u32> = (0..5)
            .map(|_| receiver.recv_timeout(PATIENCE).unwrap())
            .collect();
        for name in ["detached", "attached", "nested"] {
            let status = fs::read_to_string(format!("/proc/{}/status", said[name])).unwrap();
            assert!(
                field(&status, "Uid").starts_with(&USER.to_string()),
                "{name}"
            );
        }
        for name in ["detached", "attached"] {
            assert_eq!(util::stat(said[name]).unwrap().1, said["template"]);
        }
        util::signal(said[dies], libc::SIGKILL);
        for name in [dies, "attached", "nested"] {
            until(name, || !is_alive(said[name]));
        }
        thread::sleep(Duration::from_millis(50));
        assert!(is_alive(said["detached"]));
        util::signal(said["detached"], libc::SIGKILL);
        started.kill().unwrap();
        for (name, pid) in said {
            until(&name, || !is_alive(pid));
        }
    }
}

#[test]
fn a_program_without_rights_cannot_signal_a_worker_of_another_user() {
    let _limit = watchdog(60);
    if missing("the right to change users", may_change_user()) {
        return;
    }
    alone(|| {
        // The template stays what it is.
        util::template();
        let user = nix::unistd::Uid::from_raw(USER + 1);
        nix::unistd::setresuid(user, user, user).unwrap();
        let (sender, receiver) = channel::<(String, u32)>().unwrap();
        let task = rest::task("worker".into(), sender);
        let worker = process().uid(USER).run(task).unwrap();
        assert_eq!(receiver.recv_timeout(PATIENCE).unwrap().1, worker.id());
        let pid = worker.id();
        let refused = [worker.kill(), worker.detach()];
        for result in refused {
            let error = result.unwrap_err();
            assert_eq!(error.pid(), Some(pid));
            let text = format!("{error:?}");
            assert!(
                text.contains("sending signal") && text.contains("os error 1)"),
                "{text}"
            );
        }
        assert!(is_alive(pid));
    });
}
