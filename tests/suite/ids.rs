//! Who a worker in a user namespace is, and who a worker behind a keeper is.

use std::fs;

use zygote::{
    Process,
    settings::{Namespaces, UserMap},
};

use super::namespaces::{in_pid, inside, sleep};
use crate::util::{is_root, missing};

#[zygote::entry]
fn identity() -> (u32, u32, Vec<String>) {
    let maps = ["uid_map", "gid_map", "setgroups"].map(|file| {
        let text = fs::read_to_string(format!("/proc/self/{file}")).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    (
        nix::unistd::geteuid().as_raw(),
        nix::unistd::getegid().as_raw(),
        maps.into(),
    )
}

fn identity_with(map: UserMap) -> zygote::Result<(u32, u32, Vec<String>)> {
    let process = Process::new()?.namespaces(Namespaces::new().user(map));
    process.run(identity::task())?.join()
}

#[test]
fn ids_are_mapped_as_told() {
    if inside(Namespaces::new().map_root()).is_none() {
        return;
    }
    let (user, group) = (
        nix::unistd::geteuid().as_raw(),
        nix::unistd::getegid().as_raw(),
    );
    let groups = if is_root() { "allow" } else { "deny" };
    let (uid, gid, maps) = identity_with(UserMap::root()).unwrap();
    assert_eq!((uid, gid), (0, 0));
    assert_eq!(
        maps,
        [
            format!("0 {user} 1"),
            format!("0 {group} 1"),
            groups.to_owned()
        ]
    );
    let (uid, gid, maps) = identity_with(UserMap::current()).unwrap();
    assert_eq!((uid, gid), (user, group));
    assert_eq!(maps[0], format!("{user} {user} 1"));
    let (uid, gid, maps) = identity_with(UserMap::new()).unwrap();
    assert_eq!((uid, gid, &*maps[0]), (65_534, 65_534, ""));
    let many = UserMap::root()
        .uids(1, 100_000, 9)
        .gids(1, 200_000, 8)
        .gids(20, 300_000, 1);
    match identity_with(many) {
        Ok((0, 0, maps)) => {
            assert!(is_root());
            assert_eq!(maps[0], format!("0 {user} 1 1 100000 9"));
            assert_eq!(maps[1], format!("0 {group} 1 1 200000 8 20 300000 1"));
        }
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            assert!(!is_root() && error.is_setting(), "{error:?}");
            assert!(error.to_string().contains("uids 1 100000 9"), "{error}");
        }
    }
}

#[test]
fn a_map_that_cannot_be_is_an_error() {
    if inside(Namespaces::new().map_root()).is_none() {
        return;
    }
    let error = identity_with(UserMap::new().uids(0, 0, 0)).unwrap_err();
    assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
}

#[test]
fn a_worker_inside_may_be_another_user() {
    if missing("the right to be another user", is_root()) {
        return;
    }
    let Some(process) = in_pid() else { return };
    let process = process.gid(54_321).uid(54_321);
    let worker = process.fork().unwrap().run(identity::task()).unwrap();
    let (user, group, _) = worker.join().unwrap();
    assert_eq!((user, group), (54_321, 54_321));
    let worker = process.fork().unwrap().run(sleep::task()).unwrap();
    worker.signal(libc::SIGTERM).unwrap();
    assert_eq!(worker.wait().unwrap().to_string(), "was killed by SIGTERM");
}
