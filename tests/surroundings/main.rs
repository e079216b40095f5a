//! Whatever the machine refuses and whatever the program does: it works, or it
//! is a typed error that says why. Never an abort, a panic or a wait without
//! end.

#![allow(
    unsafe_code,
    clippy::exit,
    clippy::print_stdout,
    reason = "the test sets limits and filters, forks, ends programs and says what it cannot try"
)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers that several tests share"
)]

use std::{
    env,
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use zygote::{Error, Process, Result};

#[path = "../probe/mod.rs"]
mod probe;

mod cgroups;
mod closing;
mod descriptors;
mod filters;
mod image;
mod limits;
mod loader;
mod numbers;
mod program;
mod rings;
mod signals;
mod streams;
mod values;

use probe::{
    LIMIT, Probe, STOCK, at_rest, command, command_of, descriptors as listed, field, is_alive,
    living, play, say, send, stat, status, until, within,
};

zygote::early!();

#[test]
fn probe_roles() {
    play(|role| {
        let roles = [
            cgroups::ROLES,
            closing::ROLES,
            descriptors::ROLES,
            filters::ROLES,
            image::ROLES,
            limits::ROLES,
            loader::ROLES,
            numbers::ROLES,
            program::ROLES,
            rings::ROLES,
            signals::ROLES,
            streams::ROLES,
            values::ROLES,
        ];
        let all = roles.into_iter().flatten();
        let (_, act) = all
            .into_iter()
            .find(|(name, _)| *name == role)
            .unwrap_or_else(|| panic!("no role {role}"));
        act();
        say("done", "");
    });
}

/// The roles of one file.
type Roles = &'static [(&'static str, fn())];

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

#[zygote::entry]
fn bytes_back(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[zygote::entry]
fn count(files: Vec<zygote::Fd<File>>) -> usize {
    files.len()
}

#[zygote::entry]
fn rest() {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

#[zygote::entry]
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

#[zygote::entry]
fn leave(code: i32) {
    std::process::exit(code);
}

/// The template that forks by default.
fn default_template() -> u32 {
    settled(|| parent::spawn()?.join()).unwrap()
}

/// The living children of a process.
fn children(of: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap();
    all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| is_alive(*pid) && stat(*pid).is_some_and(|stat| stat.parent == of))
        .collect()
}

/// From here on the default template is one that is executed. For a program
/// that has started nothing else: its only child is the early one.
fn end_early() {
    for pid in children(std::process::id()) {
        send(pid, libc::SIGKILL);
        assert!(until(LIMIT, || !is_alive(pid)));
    }
}

/// Does it again while it fails because the template was just about to die.
fn settled<T>(mut act: impl FnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        match act() {
            Err(error) if error.is_template_gone() && start.elapsed() < LIMIT => {
                thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// With the early template, and with one that is executed.
fn both(mut act: impl FnMut(&str)) {
    act("early");
    end_early();
    settled(|| echo::spawn(1)?.join()).unwrap();
    act("executed");
}

/// What a program does with this library, in short.
fn works() -> Result<()> {
    settled(|| {
        assert_eq!(echo::spawn(5)?.join()?, 5);
        let bytes = vec![7; 300_000];
        assert_eq!(bytes_back::spawn(bytes.clone())?.join()?, bytes);
        let file = File::open("/").unwrap();
        assert_eq!(count::spawn(vec![file.into()])?.join()?, 1);
        let process = Process::new()?;
        assert_eq!(process.fork()?.run(echo::task(6))?.join()?, 6);
        let worker = process.fork()?.run(rest::task())?;
        worker.kill()?;
        let exit = worker.wait()?;
        assert_eq!(exit.to_string(), "was killed by SIGKILL");
        Ok(())
    })
}

/// How long one request may take, when it is not to be had.
const SOON: Duration = Duration::from_secs(10);

/// Checks that a refusal comes soon and is one that can be told apart.
#[track_caller]
fn typed<T>(what: &str, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = act();
    assert!(start.elapsed() < SOON, "{what}: {:?}", start.elapsed());
    if let Err(error) = &result {
        assert!(
            !error.is_panic() && !error.is_timeout(),
            "{what}: {error:?}"
        );
        assert!(!error.to_string().is_empty());
    }
    result
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether namespaces can be made; says so where not.
fn can_unshare(flags: &str) -> bool {
    let tried = Command::new("unshare").args([flags, "true"]).output();
    let can = is_root() && tried.is_ok_and(|output| output.status.success());
    if !can {
        println!("not tried: this needs root and `unshare {flags}`");
    }
    can
}

#[track_caller]
fn run(role: &str) {
    run_command(command(role));
}

#[track_caller]
fn run_command(command: Command) {
    let mut probe = Probe::spawn(command);
    probe.expect("done");
    probe.finish();
}

/// What `prlimit(2)` takes for a resource.
#[cfg(target_env = "gnu")]
type Limit = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Limit = libc::c_int;

/// `setrlimit(2)`, soft only; safe between fork and exec.
fn limit(resource: Limit, soft: u64) -> io::Result<()> {
    limit_of(0, resource, soft).map(drop)
}

/// Sets the soft limit of a process (0 is this one); gives the one before.
fn limit_of(pid: u32, resource: Limit, soft: u64) -> io::Result<u64> {
    // SAFETY: an all-zero rlimit is one.
    let mut before: libc::rlimit = unsafe { std::mem::zeroed() };
    let pid = pid.cast_signed();
    // SAFETY: the new limit is null, the other pointer is to a live value.
    let got = unsafe { libc::prlimit(pid, resource, std::ptr::null(), &raw mut before) };
    if got < 0 {
        return Err(io::Error::last_os_error());
    }
    let new = libc::rlimit {
        rlim_cur: soft.min(before.rlim_max),
        ..before
    };
    // SAFETY: the old limit is null, the other pointer is to a live value.
    let set = unsafe { libc::prlimit(pid, resource, &raw const new, std::ptr::null_mut()) };
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(before.rlim_cur)
}

/// A program that sets this limit before it is executed.
fn limited(role: &str, resource: Limit, soft: u64) -> Command {
    let mut command = command(role);
    // SAFETY: prlimit is async-signal-safe.
    unsafe { command.pre_exec(move || limit(resource, soft)) };
    command
}

/// A user that owns no process but those of the test that asks.
fn nobody() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    100_000 + 16 * std::process::id() + COUNT.fetch_add(1, Ordering::Relaxed)
}

/// A copy of the program that everybody may read and execute.
fn copy_to(directory: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let program = directory.join("program");
    if !program.exists() {
        fs::copy(env::current_exe().unwrap(), &program).unwrap();
    }
    for path in [directory, &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    program
}

/// The program as that user.
fn as_nobody(directory: &Path, role: &str) -> Command {
    let mut command = command_of(&copy_to(directory), role);
    let nobody = nobody();
    command.uid(nobody).gid(nobody).current_dir("/");
    command
}

/// Whether the operating system gave this cause.
fn is_errno(error: &Error, code: i32) -> bool {
    format!("{error:?}").contains(&format!("os error {code})"))
}
