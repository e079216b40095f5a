//! The program's file, and what a file system lacks.

use std::os::unix::fs::MetadataExt;

use super::*;

pub(crate) const ROLES: Roles = &[
    ("works_here", works_here),
    ("early_only", early_only),
    ("truncated", truncated),
    ("unmounted", unmounted),
    ("without_null", without_null),
    ("unloaded", unloaded),
];

#[zygote::entry]
fn executable() -> (u64, u64) {
    let file = fs::metadata("/proc/self/exe").unwrap();
    (file.dev(), file.ino())
}

fn works_here() {
    both(|way| works().unwrap_or_else(|error| panic!("{way}: {error:?}")));
    let fresh = Process::fresh().unwrap();
    assert_eq!(fresh.run(echo::task(1)).unwrap().join().unwrap(), 1);
}

/// The file system of the program, from which nothing may be executed while the
/// role is played.
const NOEXEC: &str = "ZYGOTE_PROBE_NOEXEC";

/// The early template works; another cannot be, and the error says why.
fn early_only() {
    if let Some(mount) = env::var_os(NOEXEC) {
        let mut remount = Command::new("mount");
        remount.args(["-o", "remount,noexec"]).arg(mount);
        assert!(remount.status().unwrap().success());
    }
    works().unwrap();
    let template = default_template();
    for _ in 0..2 {
        let error = typed("fresh", Process::fresh).unwrap_err();
        assert!(
            error.to_string().contains("early!()") && error.is_unstarted(),
            "{error:?}"
        );
    }
    send(template, libc::SIGKILL);
    // What was in stock may still answer, or be about to die.
    let mut error = None;
    until(LIMIT, || {
        error = settled(|| echo::spawn(1)?.join()).err();
        error.is_some()
    });
    let error = error.unwrap();
    assert!(
        error.to_string().contains("early!()") && error.is_unstarted(),
        "{error:?}"
    );
}

/// The program in a mount namespace of its own, where a shell executes it as `$0`
/// with `$@`, at the end of these words.
fn among_mounts(words: &str, role: &str) -> Command {
    let program = env::current_exe().unwrap();
    within(&["unshare", "-m", "sh", "-c", words], &program, role)
}

/// Plays a role, if that can be, from a copy of the program on a file system of
/// its own, `$ROOT`, where it is called `program`.
fn run_on_own_mount(words: &str, role: &str) {
    if !can_unshare("-m") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().display();
    run_command(among_mounts(
        &format!(
            "export ROOT={root} && mount -t tmpfs none {root} && cp \"$0\" {root}/program && \
             cd / && {words}"
        ),
        role,
    ));
}

/// The kernel does not let anybody write to it while it runs; it tries, and the
/// program goes on.
fn truncated() {
    let own = executable();
    let error = File::options()
        .write(true)
        .truncate(true)
        .open(env::current_exe().unwrap());
    assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::ETXTBSY));
    both(|_| {
        works().unwrap();
        assert_eq!(executable::spawn().unwrap().join().unwrap(), own);
        let fresh = Process::fresh().unwrap();
        assert_eq!(fresh.run(executable::task()).unwrap().join().unwrap(), own);
    });
}

#[test]
fn a_running_program_cannot_be_truncated_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    run_command(command_of(&copy_to(directory.path()), "truncated"));
}

/// It lies on a file system that nobody can reach any more.
fn unmounted() {
    let own = executable();
    let mount = env::current_exe().unwrap();
    let mount = mount.parent().unwrap();
    let done = Command::new("umount")
        .arg("-l")
        .arg(mount)
        .status()
        .unwrap();
    assert!(done.success());
    assert!(!mount.join("program").exists());
    both(|_| {
        works().unwrap();
        assert_eq!(executable::spawn().unwrap().join().unwrap(), own);
    });
}

#[test]
fn a_program_on_a_file_system_that_was_unmounted_goes_on() {
    run_on_own_mount("exec $ROOT/program \"$@\"", "unmounted");
}

#[test]
fn a_root_that_cannot_be_written_to_will_do() {
    if can_unshare("-m") {
        let words = "mount -o remount,ro,bind / / && ! touch /x && exec \"$0\" \"$@\"";
        run_command(among_mounts(words, "works_here"));
    }
}

/// Nothing there may be executed any more, once the program runs.
#[test]
fn without_the_right_to_execute_early_works_and_the_other_says_what_to_do() {
    let words = format!("export {NOEXEC}=$ROOT && exec $ROOT/program \"$@\"");
    run_on_own_mount(&words, "early_only");
}

/// No /proc, no /dev, no environment but the role: a directory with the
/// program and its libraries.
#[test]
fn in_a_bare_root_early_works_and_the_other_says_what_to_do() {
    let libraries: String = ["/lib", "/lib64", "/usr/lib"]
        .into_iter()
        .filter(|path| Path::new(path).exists())
        .map(|path| format!("mkdir -p $ROOT{path} && mount --bind {path} $ROOT{path} && "))
        .collect();
    let words = format!(
        "{libraries} exec env -i ZYGOTE_PROBE=early_only \"$(command -v chroot)\" $ROOT \
         /program \"$@\""
    );
    run_on_own_mount(&words, "early_only");
}

/// Without /dev/null, and with nothing at 0 to 2.
fn without_null() {
    assert!(!Path::new("/dev/null").exists());
    both(|way| works().unwrap_or_else(|error| panic!("{way}: {error:?}")));
}

#[test]
fn without_the_null_device_and_the_standard_streams_it_works() {
    if !can_unshare("-m") {
        return;
    }
    let report = tempfile::NamedTempFile::new().unwrap();
    let words = "mount -t tmpfs none /dev && exec 0<&- 1>&- 2>&- && exec \"$0\" \"$@\"";
    let mut command = among_mounts(words, "without_null");
    command.env("ZYGOTE_PROBE_REPORT", report.path());
    let (text, status) = probe::output(command);
    let said = fs::read_to_string(report.path()).unwrap();
    assert!(
        status.success() && said.contains("@done"),
        "{status} {said} {text}"
    );
}

#[test]
fn an_empty_environment_will_do() {
    let program = env::current_exe().unwrap();
    run_command(within(
        &["env", "-i", "ZYGOTE_PROBE=works_here"],
        &program,
        "works_here",
    ));
}

/// Another file stands where the C library was, for a while.
fn unloaded() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let library = maps
        .split_whitespace()
        .find(|word| word.contains("/libc.so"));
    let Some(library) = library else {
        println!("not tried without libraries: the program is static");
        return;
    };
    let library = std::ffi::CString::new(library).unwrap();
    let null = std::ptr::null();
    let (file, flags) = (c"/dev/null".as_ptr(), libc::MS_BIND);
    // SAFETY: both paths end in NUL; the other pointers may be null.
    let hidden = unsafe { libc::mount(file, library.as_ptr(), null, flags, null.cast()) };
    assert_eq!(hidden, 0, "{}", io::Error::last_os_error());
    works().unwrap();
    end_early();
    assert!(until(LIMIT, || settled(|| echo::spawn(1)?.join()).is_err()));
    for _ in 0..3 {
        let error = typed("small", || settled(|| echo::spawn(1)?.join())).unwrap_err();
        assert!(error.is_exit() && error.is_unstarted(), "{error:?}");
        assert!(error.to_string().contains("could not be loaded"), "{error}");
    }
    // SAFETY: the path ends in NUL.
    let shown = unsafe { libc::umount2(library.as_ptr(), libc::MNT_DETACH) };
    assert_eq!(shown, 0, "{}", io::Error::last_os_error());
    works().unwrap();
}

#[test]
fn a_program_whose_libraries_are_gone_says_so_and_tries_again() {
    if can_unshare("-m") {
        run_command(among_mounts("exec \"$0\" \"$@\"", "unloaded"));
    }
}
