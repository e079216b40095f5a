//! Session, group, terminal, cgroup, root directory.

use std::{
    env, fs,
    fs::File,
    os::fd::{FromRawFd, OwnedFd},
    path::{Path, PathBuf},
    process::id,
    thread,
    time::Duration,
};

use nix::unistd::{getpgrp, getsid};
use zygote::{
    Process,
    settings::{Cgroup, Namespaces},
};

use super::namespaces::inside;
use crate::util::{OwnCgroup, is_root, missing, until};

fn process() -> Process {
    Process::new().unwrap()
}

/// Process, group, session.
#[zygote::entry]
fn place() -> (u32, i32, i32) {
    (id(), getpgrp().as_raw(), getsid(None).unwrap().as_raw())
}

#[zygote::entry]
fn sleep() {
    thread::sleep(Duration::from_secs(3600));
}

#[test]
fn a_group_and_a_session_are_its_own_when_asked_for() {
    let (own, group, session) = process().run(place::task()).unwrap().join().unwrap();
    assert!(group != own.cast_signed() && session != own.cast_signed());
    let outside = session;
    let (own, group, session) = process()
        .process_group(0)
        .run(place::task())
        .unwrap()
        .join()
        .unwrap();
    assert_eq!((group, session), (own.cast_signed(), outside));
    // Both may be asked for: they agree.
    for process in [process().session(), process().session().process_group(0)] {
        let (own, group, session) = process.run(place::task()).unwrap().join().unwrap();
        assert_eq!((group, session), (own.cast_signed(), own.cast_signed()));
    }
}

#[test]
fn a_worker_joins_the_group_of_another() {
    let leader = process()
        .process_group(0)
        .run(sleep::task())
        .unwrap()
        .kill_on_drop(true);
    let group = leader.id().cast_signed();
    let worker = process().process_group(group).run(place::task()).unwrap();
    assert_eq!(worker.join().unwrap().1, group);
    let error = process().process_group(-5).run(place::task()).unwrap_err();
    assert!(
        error.is_setting() && error.to_string().contains("`process_group(-5)`"),
        "{error}"
    );
}

#[test]
fn inside_a_pid_namespace_the_worker_leads_its_session() {
    let Some(process) = inside(Namespaces::new().pid()) else {
        return;
    };
    assert_eq!(
        process
            .session()
            .run(place::task())
            .unwrap()
            .join()
            .unwrap(),
        (2, 2, 2)
    );
}

/// Both ends of a new terminal.
#[allow(unsafe_code, reason = "nix has it behind another feature")]
fn terminal() -> Option<(OwnedFd, File)> {
    // SAFETY: it takes a number.
    let master = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    if missing("pseudo-terminals", master >= 0) {
        return None;
    }
    let mut name = [0_u8; 64];
    // SAFETY: it was opened above.
    unsafe { libc::unlockpt(master) };
    let (start, length) = (name.as_mut_ptr().cast(), name.len());
    // SAFETY: the pointer and the length are those of the name.
    let result = unsafe { libc::ptsname_r(master, start, length) };
    assert_eq!(result, 0);
    let name = std::ffi::CStr::from_bytes_until_nul(&name)
        .unwrap()
        .to_str()
        .unwrap();
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    let slave = options
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(name)
        .unwrap();
    // SAFETY: it was made above, and nobody else has it.
    Some((unsafe { OwnedFd::from_raw_fd(master) }, slave))
}

/// The number of the terminal that controls it, and whether it can be opened.
#[zygote::entry]
fn controlling() -> (i64, bool) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let mut fields = stat[stat.rfind(')').unwrap() + 2..].split(' ');
    (
        fields.nth(4).unwrap().parse().unwrap(),
        File::open("/dev/tty").is_ok(),
    )
}

#[test]
fn a_session_has_the_terminal_that_it_is_given() {
    let Some((_master, slave)) = terminal() else {
        return;
    };
    let given = |process: Process| process.controlling_terminal(slave.try_clone().unwrap());
    let worker = given(process().session()).run(controlling::task()).unwrap();
    let (number, opens) = worker.join().unwrap();
    assert!(number != 0 && opens);
    assert_eq!(
        process()
            .session()
            .run(controlling::task())
            .unwrap()
            .join()
            .unwrap(),
        (0, false)
    );
    let error = given(process()).run(controlling::task()).unwrap_err();
    assert!(
        error.is_setting() && error.to_string().contains("`session()`"),
        "{error}"
    );
    let null = File::open("/dev/null").unwrap();
    let error = process()
        .session()
        .controlling_terminal(null)
        .run(controlling::task())
        .unwrap_err();
    assert!(
        format!("{error:?}").contains(&format!("os error {}", libc::ENOTTY)),
        "{error:?}"
    );
}

#[zygote::entry]
fn own_cgroups() -> Vec<String> {
    let list = fs::read_to_string("/proc/self/cgroup").unwrap();
    list.lines().map(str::to_owned).collect()
}

fn is_in(process: Process, line: &str, group: &OwnCgroup) {
    let all = process.run(own_cgroups::task()).unwrap().join().unwrap();
    let is_it = |own: &&String| own.contains(line) && own.ends_with(&group.name());
    assert_eq!(all.iter().filter(is_it).count(), 1, "{all:?}");
}

#[test]
fn a_worker_is_in_the_cgroup_that_it_was_put_into() {
    let Some(group) = OwnCgroup::make(None, "place") else {
        return;
    };
    is_in(process().cgroup(&group.0), "0::", &group);
    is_in(
        process().cgroup(File::open(&group.0).unwrap()),
        "0::",
        &group,
    );
    // No path leads there from where the worker is.
    let dir = Cgroup::from(OwnedFd::from(File::open(&group.0).unwrap()));
    is_in(process().cgroup(dir), "0::", &group);
    until("all have left", || group.is_empty());
}

#[test]
fn a_worker_is_in_cgroups_of_several_hierarchies() {
    let (Some(pids), Some(freezer)) = (
        OwnCgroup::make(Some("pids"), "place"),
        OwnCgroup::make(Some("freezer"), "place"),
    ) else {
        return;
    };
    let both = || {
        process()
            .cgroup(&pids.0)
            .cgroup(File::open(&freezer.0).unwrap())
    };
    is_in(both(), ":pids:", &pids);
    is_in(both(), ":freezer:", &freezer);
}

#[test]
fn a_cgroup_counts_the_worker_from_the_first() {
    let Some(pids) = OwnCgroup::make(Some("pids"), "limit") else {
        return;
    };
    fs::write(pids.0.join("pids.max"), "2").unwrap();
    let worker = process().cgroup(&pids.0).run(threads::task()).unwrap();
    assert_eq!(worker.join().unwrap(), 1);
}

/// How many of three threads can be started.
#[zygote::entry]
fn threads() -> usize {
    let start = |_| thread::Builder::new().spawn(|| thread::sleep(Duration::from_millis(50)));
    let started: Vec<_> = (0..3).filter_map(|n| start(n).ok()).collect();
    started.len()
}

#[test]
fn a_cgroup_that_cannot_be_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for path in [
        Path::new("/no/such/cgroup"),
        dir.path(),
        Path::new("/dev/null"),
    ] {
        let error = process().cgroup(path).run(place::task()).unwrap_err();
        assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("`cgroup(") && text.contains(path.to_str().unwrap()),
            "{text}"
        );
    }
}

/// What is at `/`, and where the worker is.
#[zygote::entry]
fn view() -> (Vec<String>, PathBuf, usize) {
    let names = fs::read_dir("/").unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mounts = fs::read_to_string("/proc/self/mountinfo");
    let mounts = mounts.map_or(0, |text| text.lines().count());
    (names, env::current_dir().unwrap(), mounts)
}

fn new_root() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("proc")).unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    dir
}

#[test]
fn a_changed_root_is_all_that_a_worker_sees() {
    // An unprivileged user may do it in a user namespace.
    let Some(process) = inside(Namespaces::new().uts()) else {
        return;
    };
    let dir = new_root();
    let worker = process
        .fork()
        .unwrap()
        .chroot(&dir)
        .run(view::task())
        .unwrap();
    let (names, here, _) = worker.join().unwrap();
    assert_eq!(
        (names, here),
        (vec!["proc".into(), "sub".into()], "/".into())
    );
    let worker = process
        .fork()
        .unwrap()
        .chroot(&dir)
        .current_dir("/sub")
        .run(view::task())
        .unwrap();
    assert_eq!(worker.join().unwrap().1, Path::new("/sub"));
}

#[test]
fn a_pivoted_root_is_all_that_is_mounted() {
    let dir = new_root();
    let proc = dir.path().join("proc");
    let Some(process) = inside(Namespaces::new().mount().pid().proc(proc)) else {
        return;
    };
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let worker = process.pivot_root(&dir).run(view::task()).unwrap();
    let (names, here, mounts) = worker.join().unwrap();
    assert_eq!(
        (names, here),
        (vec!["proc".into(), "sub".into()], "/".into())
    );
    // Itself and its /proc.
    assert_eq!(mounts, 2);
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    fs::remove_dir(dir.path().join("sub")).unwrap();
}

#[test]
fn a_root_that_cannot_be_is_an_error() {
    let error = process().pivot_root("/tmp").run(view::task()).unwrap_err();
    assert!(
        error.is_setting() && error.to_string().contains("mount()"),
        "{error}"
    );
    let error = process()
        .chroot("/no/such/root")
        .run(view::task())
        .unwrap_err();
    assert!(
        error.is_setting() && error.to_string().contains("/no/such/root"),
        "{error}"
    );
    if !is_root() {
        let error = process().chroot("/tmp").run(view::task()).unwrap_err();
        assert!(format!("{error:?}").contains("os error 1"), "{error:?}");
    }
    let Some(process) = inside(Namespaces::new().mount()) else {
        return;
    };
    let error = process
        .pivot_root("/no/such/root")
        .run(view::task())
        .unwrap_err();
    assert!(
        error.is_setting() && error.to_string().contains("/no/such/root"),
        "{error}"
    );
}
