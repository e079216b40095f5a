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

#[path = "../probe/mod.rs"]
mod probe;

mod descriptors;
mod image;
mod program;
mod secrets;
mod signals;

use probe::{
    LIMIT, Probe, command, command_of, descriptors, field, hear, is_alive, play, say, send,
    signals, stat, status, until, within,
};

use self::{descriptors::*, image::*, program::*, secrets::*, signals::*};

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

#[track_caller]
fn run(role: &str) {
    let mut probe = Probe::spawn(command(role));
    probe.expect("done");
    probe.finish();
}
