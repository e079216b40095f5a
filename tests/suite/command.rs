//! Other programs: what they find, and what is said of those that cannot be
//! started.

use std::{
    env, fs,
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{fs::PermissionsExt, process::ExitStatusExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use zygote::{
    Command, Stdio,
    settings::{Capability, Resource},
};

use crate::util::{self, Census, alone, may_change_user, until};

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn output_status_and_arguments_are_those_of_the_program() {
    let output = sh("echo out; echo err >&2; exit 7").output().unwrap();
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"out\n"[..], &b"err\n"[..])
    );
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(sh("kill -TERM $$").status().unwrap().signal(), Some(15));
    let mut printf = Command::new("printf");
    assert_eq!(said(printf.arg("%s|").args(["a b", "", "c"])), "a b||c|");
    assert_eq!(said(sh("echo $0").arg("named")), "named\n");
    let mut named = sh("cat /proc/$$/cmdline");
    assert!(said(named.arg0("other")).starts_with("other\0"));
}

#[test]
fn much_output_on_both_pipes_is_collected() {
    let output = sh("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2")
        .output()
        .unwrap();
    assert_eq!(
        (output.stdout.len(), output.stderr.len()),
        (300_000, 300_000)
    );
}

#[test]
#[allow(unsafe_code, reason = "the environment is changed")]
fn the_program_gets_the_environment_the_directory_and_the_umask_of_now() {
    alone(|| {
        // The template is there already.
        assert_eq!(said(&mut sh("echo ${ZYGOTE_LATE:-unset}")), "unset\n");
        // SAFETY: this program has no other thread that reads it.
        unsafe { env::set_var("ZYGOTE_LATE", "set") };
        env::set_current_dir("/proc").unwrap();
        assert_eq!(said(&mut sh("echo $ZYGOTE_LATE; pwd")), "set\n/proc\n");
        for mask in [0o027, 0o077] {
            let mode = nix::sys::stat::Mode::from_bits_truncate(mask);
            nix::sys::stat::umask(mode);
            assert_eq!(said(&mut sh("umask")), format!("0{mask:03o}\n"));
            assert_eq!(nix::sys::stat::umask(mode), mode, "it was not touched");
        }
        assert_eq!(said(sh("umask").umask(0o002)), "0002\n");
        assert_eq!(
            said(sh("echo ${ZYGOTE_LATE:-unset}").env_remove("ZYGOTE_LATE")),
            "unset\n"
        );
        assert_eq!(said(sh("pwd").current_dir("/dev")), "/dev\n");
        let mut bare = Command::new("/usr/bin/env");
        assert_eq!(said(bare.env("A", "0").env_clear().env("B", "1")), "B=1\n");
    });
}

/// Whether it may read this directory with this mode, and what programs say that
/// are started there.
#[zygote::entry]
fn started_within(dir: PathBuf, mode: u32) -> io::Result<(bool, String)> {
    env::set_current_dir(&dir)?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(mode))?;
    let is_readable = fs::read_dir(".").is_ok();
    let pwd = || {
        let mut pwd = Command::new("pwd");
        pwd.arg("-P");
        pwd
    };
    let said = said(&mut pwd()) + &said(pwd().nice(1));
    Ok((is_readable, said))
}

#[test]
fn the_directory_of_now_need_not_be_readable_or_searchable() {
    for mode in [0o111, 0] {
        let dir = tempfile::tempdir().unwrap();
        let mut process = zygote::Process::new().unwrap();
        if util::is_root() {
            // Or everything is.
            process = process.capabilities([]);
        }
        let task = started_within::task(dir.path().to_owned(), mode);
        let (is_readable, said) = process.run(task).unwrap().join().unwrap().unwrap();
        assert!(!is_readable);
        let dir = dir.path().display();
        assert_eq!(said, format!("{dir}\n{dir}\n"));
    }
}

#[test]
fn a_program_that_cannot_be_executed_is_named_with_the_errno() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("plain");
        fs::write(&plain, "no program").unwrap();
        let census = Census::take();
        for (program, code) in [
            (Path::new("/no/such/program"), libc::ENOENT),
            (Path::new("no-such-program-in-the-path"), libc::ENOENT),
            (&plain, libc::EACCES),
            (dir.path(), libc::EACCES),
        ] {
            let error = Command::new(program).spawn().unwrap_err();
            let text = format!("{error:?}");
            assert!(text.contains(program.to_str().unwrap()), "{text}");
            assert!(text.contains(&format!("(os error {code})")), "{text}");
            assert!(error.is_unstarted());
        }
        let error = Command::new("true").arg("nul\0").spawn().unwrap_err();
        assert!(error.is_invalid(), "{error:?}");
        let error = Command::new("true")
            .current_dir("/no/such/place")
            .spawn()
            .unwrap_err();
        assert!(error.is_setting() && error.to_string().contains("/no/such/place"));
        census.check();
    });
}

#[test]
fn the_descriptors_are_those_given_at_the_numbers_given() {
    let _junk: Vec<File> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
    let open = "for n in $(seq 0 63); do [ -e /proc/self/fd/$n ] && echo $n; done; :";
    assert_eq!(said(&mut sh(open)), "0\n1\n2\n");
    // Numbers among which the worker's own socket and the passed ones are.
    let script = format!("{open}; readlink /proc/self/fd/3 /proc/self/fd/4 /proc/self/fd/40");
    let mut command = sh(&script);
    for (number, path) in [(3, "/proc/uptime"), (4, "/proc/version"), (40, "/dev/zero")] {
        command.fd(number, File::open(path).unwrap());
    }
    for _ in 0..3 {
        let expected = "0\n1\n2\n3\n4\n40\n/proc/uptime\n/proc/version\n/dev/zero\n";
        assert_eq!(said(&mut command), expected);
    }
    // An error is still told when the socket's number was taken.
    let mut missing = Command::new("/no/such/program");
    for number in 3..12 {
        missing.fd(number, File::open("/dev/null").unwrap());
    }
    assert!(
        missing
            .spawn()
            .unwrap_err()
            .to_string()
            .contains("/no/such/program")
    );
}

#[test]
fn streams_can_be_pipes_files_and_null() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let mut cat = Command::new("cat");
    let mut child = cat
        .stdin(Stdio::piped())
        .stdout(File::create(&path).unwrap())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"through").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read(&path).unwrap(), b"through");
    let mut first = sh("echo one; echo two")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let second = Command::new("tail")
        .arg("-n1")
        .stdin(first.stdout.take().unwrap())
        .output()
        .unwrap();
    assert_eq!(second.stdout, b"two\n");
    assert!(first.wait().unwrap().success());
}

#[zygote::entry]
#[allow(unsafe_code, reason = "no safe dup2 takes a number")]
fn open_at(path: PathBuf, number: i32) -> io::Result<()> {
    let file = OwnedFd::from(File::open(path)?);
    // SAFETY: dup2 touches no memory, and nobody owns the number.
    let result = unsafe { libc::dup2(file.as_raw_fd(), number) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[zygote::entry]
fn allocate_and_fail(code: i32) -> io::Result<()> {
    let text = vec![b'x'; 1 << 20];
    std::hint::black_box(&text);
    Err(io::Error::from_raw_os_error(code))
}

#[zygote::entry]
fn panic_before() -> io::Result<()> {
    panic!("not today");
}

#[test]
fn tasks_run_before_the_program_in_order() {
    let mut command = sh("cat <&7; cat <&8");
    command
        .before_exec(open_at::task("/proc/sys/kernel/ostype".into(), 7))
        .before_exec(open_at::task("/proc/sys/kernel/pid_max".into(), 8));
    let text = said(&mut command);
    assert!(text.starts_with("Linux\n") && text.len() > 7, "{text}");
}

#[test]
fn a_task_that_fails_keeps_the_program_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("started");
    let mut touch = Command::new("touch");
    touch
        .arg(&path)
        .before_exec(allocate_and_fail::task(libc::EBUSY));
    let error = touch.spawn().unwrap_err();
    assert!(
        format!("{error:?}").contains("allocate_and_fail"),
        "{error:?}"
    );
    assert!(format!("{error:?}").contains("(os error 16)"), "{error:?}");
    let error = Command::new("touch")
        .arg(&path)
        .before_exec(panic_before::task())
        .spawn();
    let error = error.unwrap_err();
    assert!(
        error.is_panic() && error.to_string().contains("not today"),
        "{error:?}"
    );
    assert!(!path.exists());
}

#[test]
fn a_handle_waits_kills_and_leaves_nothing() {
    alone(|| {
        let census = Census::take();
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(child.try_wait().unwrap().is_none());
        let started = Instant::now();
        assert!(
            child
                .wait_timeout(Duration::from_millis(30))
                .unwrap()
                .is_none()
        );
        assert!(started.elapsed() >= Duration::from_millis(30));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        drop((child, Command::new("true").spawn().unwrap()));
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id();
        drop(child.kill_on_drop(true));
        until("the program is gone", || !crate::util::is_alive(pid));
        census.check();
    });
}

#[test]
fn signals_are_as_a_shell_leaves_them() {
    let text = said(Command::new("cat").arg("/proc/self/status"));
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
    };
    assert_eq!((field("SigBlk:"), field("SigCgt:")), (0, 0));
    assert_eq!(field("SigIgn:") & (1 << (libc::SIGPIPE - 1)), 0);
}

#[test]
fn one_command_starts_many_programs() {
    let mut command = sh("echo $$");
    let mut children: Vec<_> = (0..20)
        .map(|_| command.stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    for child in &mut children {
        let mut text = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text.trim(), child.id().to_string());
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn the_settings_of_a_process_are_those_of_a_program_too() {
    let show = "cat /proc/self/status /proc/self/limits /proc/self/oom_score_adj; \
                nice; cut -d ' ' -f 1,5,6 /proc/self/stat; echo $$";
    let mut command = sh(show);
    command
        .rlimit(Resource::Nofile, 50, 60)
        .cpu_time(Duration::from_secs(30))
        .nice(19)
        .oom_score_adj(900)
        .affinity([0])
        .session()
        .no_new_privs(true)
        .umask(0o011);
    let may = may_change_user();
    if may {
        command.uid(54_324).gid(54_325).groups([7, 9]);
        if util::may(Capability::Kill) {
            command.capabilities([Capability::Kill]);
        }
    }
    let text = said(&mut command);
    let status = |name: &str| util::field(&text, name);
    assert_eq!((&*status("Umask"), &*status("NoNewPrivs")), ("0011", "1"));
    assert_eq!(status("Cpus_allowed_list"), "0");
    if may {
        assert_eq!(status("Uid"), ["54324"; 4].join("\t"));
        assert_eq!(status("Gid"), ["54325"; 4].join("\t"));
        assert_eq!(status("Groups"), "7 9");
        let kept = if util::may(Capability::Kill) {
            1 << 5
        } else {
            0
        };
        for set in ["CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(
                u64::from_str_radix(&status(set), 16).unwrap(),
                kept,
                "{set}"
            );
        }
    }
    let limit = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let words = line.unwrap().split_whitespace().take(2);
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max open files"), ["50", "60"]);
    assert_eq!(limit("Max cpu time"), ["30", "31"]);
    let last: Vec<&str> = text.lines().rev().take(4).collect();
    let [own, stat, nice, oom] = last[..] else {
        panic!("{text}");
    };
    assert_eq!((oom, nice), ("900", "19"));
    // `cut`'s group and session are the shell's.
    let stat: Vec<&str> = stat.split(' ').collect();
    assert_eq!(stat[1..], [own, own]);
}

#[test]
fn a_setting_that_fails_keeps_the_program_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("started");
    let mut touch = Command::new("touch");
    touch.arg(&path).rlimit(Resource::Nofile, 11, 10);
    let error = touch.spawn().unwrap_err();
    assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
    assert!(
        error.to_string().contains("`rlimit(Nofile, 11, 10)`"),
        "{error}"
    );
    assert!(!path.exists());
}
