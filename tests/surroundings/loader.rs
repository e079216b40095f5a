//! `/proc/self/exe` is not this program, or cannot be looked at.

use std::{io::Seek, os::unix::fs::PermissionsExt};

use super::*;

pub(crate) const ROLES: Roles = &[("loaded", loaded), ("works_anyhow", works_anyhow)];

/// What `/proc/self/exe` is, where it is not this program.
const LOADER: &str = "ZYGOTE_PROBE_LOADER";

/// What a loader would run that takes this program's first argument for a program.
/// It reports what is never to be heard.
const BAIT: [&str; 2] = ["/bin/echo", "@ran"];

#[zygote::entry]
fn nested() -> Result<u32> {
    echo::spawn(3)?.join()
}

/// The early template works; another is refused, in workers, too.
fn loaded() {
    let loader = env::var(LOADER).unwrap();
    let refused = |error: Error| {
        let text = error.to_string();
        assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
        assert!(
            text.contains("early!()") && text.contains(&loader),
            "{text}"
        );
    };
    works().unwrap();
    refused(nested::spawn().unwrap().join().unwrap().unwrap_err());
    end_early();
    assert!(until(LIMIT, || settled(|| echo::spawn(1)?.join()).is_err()));
    for _ in 0..3 {
        refused(settled(|| echo::spawn(1)?.join()).unwrap_err());
        refused(Process::fresh().unwrap_err());
    }
}

/// The loader of this program, if it has one.
fn own_loader() -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut words = maps.split_whitespace();
    let path = words.find(|word| word.contains("/ld-linux") || word.contains("/ld-musl"));
    if path.is_none() {
        println!("not tried with a loader: the program is static");
    }
    path.map(PathBuf::from)
}

/// Plays the role in a program that was started as the last of these words.
#[track_caller]
fn run_loaded(loader: &Path, words: &[&str], program: &Path, directory: &Path) {
    let mut command = Command::new(loader);
    command.args(words).arg(program).args(BAIT);
    command.args(["probe", "--nocapture", "--test-threads=1"]);
    command.env("ZYGOTE_PROBE", "loaded");
    command.env("RUST_BACKTRACE", "0");
    command.env_remove(probe::REPORT);
    command.env(LOADER, fs::canonicalize(loader).unwrap());
    command.current_dir(directory);
    let (text, status) = probe::output(command);
    assert!(!text.contains(BAIT[1]), "an argument was run: {text}");
    assert!(
        status.success() && text.contains("@done"),
        "{status} {text}"
    );
}

#[test]
fn a_loader_called_by_hand_runs_nothing_and_is_named() {
    let Some(loader) = own_loader() else { return };
    let directory = tempfile::tempdir().unwrap();
    let program = copy_to(directory.path());
    let other = directory.path().join("a loader");
    fs::copy(&loader, &other).unwrap();
    let library = fs::read_to_string("/proc/self/maps").unwrap();
    let mut words = library.split_whitespace();
    let library = words.find(|word| word.contains("/libc.so")).unwrap();
    let run = |loader: &Path, words: &[&str]| {
        run_loaded(loader, words, &program, directory.path());
    };
    run(&loader, &[]);
    run(&loader, &["--argv0", "program"]);
    run(&loader, &["--preload", library]);
    run(&other, &["--inhibit-cache"]);
    run_loaded(&loader, &[], Path::new("./program"), directory.path());
}

/// Both templates work. The file may not be readable.
fn works_anyhow() {
    both(|way| works().unwrap_or_else(|error| panic!("{way}: {error:?}")));
    assert_eq!(nested::spawn().unwrap().join().unwrap().unwrap(), 3);
}

#[test]
fn a_program_that_is_only_in_memory_works() {
    // SAFETY: the name ends in NUL.
    let file = unsafe { libc::memfd_create(c"program".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(file >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the kernel made this descriptor for this call.
    let mut file = File::from(unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(file) });
    let mut program = File::open(env::current_exe().unwrap()).unwrap();
    io::copy(&mut program, &mut file).unwrap();
    file.rewind().unwrap();
    // Nobody may write to it while it runs.
    let own = std::process::id();
    let path = format!("/proc/{own}/fd/{}", file.as_raw_fd());
    let readable = File::open(&path).unwrap();
    drop(file);
    let path = format!("/proc/{own}/fd/{}", readable.as_raw_fd());
    run_command(command_of(Path::new(&path), "works_anyhow"));
}

#[test]
fn a_program_that_was_deleted_works() {
    let directory = tempfile::tempdir().unwrap();
    let program = copy_to(directory.path());
    let words = "rm \"$0\" && exec /proc/self/fd/7 \"$@\"";
    let mut command = within(&["sh", "-c", words], &program, "works_anyhow");
    let file = File::open(&program).unwrap();
    let give = move || {
        // SAFETY: dup2 takes two numbers.
        match unsafe { libc::dup2(file.as_raw_fd(), 7) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    // SAFETY: dup2 is async-signal-safe.
    unsafe { command.pre_exec(give) };
    run_command(command);
}

#[test]
fn a_program_that_may_be_executed_and_not_read_works() {
    if !is_root() {
        println!("not tried: this needs root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let command = as_nobody(directory.path(), "works_here");
    let program = directory.path().join("program");
    fs::set_permissions(program, fs::Permissions::from_mode(0o711)).unwrap();
    run_command(command);
}
