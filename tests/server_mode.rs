//! The hidden server mode is reached by the program itself and by nobody else.

#![allow(
    unsafe_code,
    clippy::print_stdout,
    reason = "the test passes descriptors through exec and says what it cannot try"
)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers that several tests share"
)]

use std::{
    env,
    fs::{self, File},
    io::IoSlice,
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::{
            fs::PermissionsExt,
            net::{UnixDatagram, UnixStream},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, recv, send, sendmsg,
    socket, socketpair,
};

#[path = "probe/mod.rs"]
mod probe;

use probe::{Probe, command, play, say, within};

/// As in `src/start.rs`.
const VARIABLE: &str = concat!(
    "ZYGOTE_",
    env!("CARGO_PKG_VERSION_MAJOR"),
    "_",
    env!("CARGO_PKG_VERSION_MINOR"),
    "_SERVER"
);

/// A number that stands for no other descriptor.
const NUMBER: RawFd = 77;

const TOKEN: u64 = 0x1234_5678_9abc;

#[test]
fn probe_roles() {
    play(|role| match role {
        "normal" => {
            say("normal", env::var(VARIABLE).unwrap_or_default());
            // A library that is asked for a process still gives one.
            if env::var_os("SPAWN").is_some() {
                say("echo", echo::spawn(5).unwrap().join().unwrap());
            }
        }
        "once" => {
            say("main", "");
            say("error", echo::spawn(5).unwrap_err());
        }
        "refused" => {
            say("main", std::process::id());
            let error = echo::spawn(5).unwrap_err();
            assert!(error.is_unstarted(), "{error:?}");
            say("refused", error);
        }
        "real" => {
            assert_eq!(seen::spawn().unwrap().join().unwrap(), [""; 2]);
            let fresh = zygote::Process::fresh().unwrap();
            let below = fresh.run(nested::task()).unwrap().join().unwrap();
            assert_eq!(below, [""; 2]);
            assert!(env::var_os(VARIABLE).is_none());
            say("done", "");
        }
        _ => panic!("no role {role}"),
    });
}

#[zygote::entry]
fn echo(n: u32) -> u32 {
    n
}

/// The variable, as Rust and as the kernel show it.
#[zygote::entry]
fn seen() -> [String; 2] {
    let own = env::var(VARIABLE).unwrap_or_default();
    let environ = fs::read("/proc/self/environ").unwrap();
    let text = String::from_utf8_lossy(&environ).into_owned();
    let shown = if text.contains(VARIABLE) {
        text
    } else {
        String::new()
    };
    [own, shown]
}

#[zygote::entry]
fn nested() -> [String; 2] {
    seen::spawn().unwrap().join().unwrap()
}

/// A frame as `src/wire/frame/head.rs` has it, without a body.
fn frame(kind: u8, number: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..4].copy_from_slice(b"zyg1");
    bytes[4] = kind;
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    bytes
}

const TOKEN_FRAME: u8 = 11;

fn pair() -> (OwnedFd, OwnedFd) {
    let flags = SockFlag::SOCK_CLOEXEC;
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap()
}

fn pidfd(pid: u32) -> OwnedFd {
    // SAFETY: pidfd_open takes two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: the kernel made this descriptor for this call.
    unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) }
}

/// What a program would give its own server, with this token.
fn prepared(token: u64) -> (OwnedFd, OwnedFd) {
    let (near, far) = pair();
    let mut frame = frame(TOKEN_FRAME, token);
    // One descriptor: the handle of the one who asks.
    frame[22] = 1;
    let own = pidfd(std::process::id());
    let (parts, own) = ([IoSlice::new(&frame)], [own.as_raw_fd()]);
    let rights = [ControlMessage::ScmRights(&own)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<UnixAddr>(near.as_raw_fd(), &parts, &rights, flags, None).unwrap();
    (near, far)
}

fn asked(mut command: Command, token: u64) -> Command {
    command.env(VARIABLE, format!("{NUMBER}:{token}"));
    command
}

/// Lets the program inherit this descriptor as [`NUMBER`].
fn inherits(command: &mut Command, fd: impl AsFd) {
    inherits_as(command, fd, NUMBER);
}

fn inherits_as(command: &mut Command, fd: impl AsFd, number: RawFd) {
    let fd = fd.as_fd().try_clone_to_owned().unwrap();
    let dup = move || {
        let result = if fd.as_raw_fd() == number {
            // dup2 would leave it closed on exec.
            // SAFETY: F_SETFD takes numbers.
            unsafe { libc::fcntl(number, libc::F_SETFD, 0) }
        } else {
            // SAFETY: dup2 takes numbers; the child has no other use for it.
            unsafe { libc::dup2(fd.as_raw_fd(), number) }
        };
        match result {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    // SAFETY: fcntl and dup2 are async-signal-safe.
    unsafe { command.pre_exec(dup) };
}

/// The program ran as if nothing were there.
#[track_caller]
fn runs_normally(what: &str, command: Command) {
    let start = Instant::now();
    let (text, status) = probe::output(command);
    assert!(status.success(), "{what}: {status}, {text}");
    assert!(text.contains("\n@normal "), "{what}: {text:?}");
    assert!(text.contains("1 passed"), "{what}: {text:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{what}");
}

#[test]
fn a_variable_alone_does_nothing() {
    let values = [
        "",
        ":",
        "0",
        "0:0",
        "77",
        "77:",
        ":5",
        "77:1:2",
        "-1:5",
        "2147483648:5",
        "3:0",
        "4:0",
        "5:0",
        "1:7",
        "99999999999999999999:5",
        "77:99999999999999999999999",
        "a:b",
    ];
    for value in values {
        let mut command = command("normal");
        command.env(VARIABLE, value);
        runs_normally(value, command);
    }
    // And the program works.
    let mut probe = Probe::spawn({
        let mut command = asked(command("normal"), TOKEN);
        command.env("SPAWN", "1");
        command
    });
    assert_eq!(probe.expect("normal"), format!("{NUMBER}:{TOKEN}"));
    assert_eq!(probe.expect("echo"), "5");
    probe.finish();
}

#[test]
fn other_descriptors_do_nothing() {
    let file = tempfile::tempfile().unwrap();
    fs::write(
        format!("/proc/self/fd/{}", file.as_raw_fd()),
        frame(11, TOKEN),
    )
    .unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (unix, _other) = UnixStream::pair().unwrap();
    let (dead, other) = pair();
    drop(other);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(udp.local_addr().unwrap()).unwrap();
    udp.send(&frame(TOKEN_FRAME, TOKEN)).unwrap();
    let (near, datagrams) = UnixDatagram::pair().unwrap();
    near.send(&frame(TOKEN_FRAME, TOKEN)).unwrap();
    let flags = SockFlag::SOCK_CLOEXEC;
    let alone = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let named = std::os::unix::net::UnixListener::bind(directory.path().join("socket")).unwrap();
    let to_named = UnixStream::connect(directory.path().join("socket")).unwrap();
    let cases: [(&str, OwnedFd); 13] = [
        ("udp", udp.into()),
        ("datagrams", datagrams.into()),
        ("not connected", alone),
        ("file", file.into()),
        ("null", File::open("/dev/null").unwrap().into()),
        ("reader", reader.into()),
        ("writer", writer.into()),
        ("listener", listener.into()),
        ("tcp", stream.into()),
        ("stream", unix.into()),
        ("dead peer", dead),
        ("named", named.into()),
        ("to named", to_named.into()),
    ];
    for (what, fd) in cases {
        let mut command = asked(command("normal"), TOKEN);
        inherits(&mut command, fd);
        runs_normally(what, command);
    }
}

#[test]
fn the_right_socket_needs_the_right_token_in_the_right_frame() {
    let (_near, far) = pair();
    let mut silent = asked(command("normal"), TOKEN);
    inherits(&mut silent, far);
    runs_normally("nothing was sent", silent);

    let (_near, far) = prepared(TOKEN + 1);
    let mut wrong = asked(command("normal"), TOKEN);
    inherits(&mut wrong, far);
    runs_normally("wrong token", wrong);

    for (what, bytes) in [
        ("other kind", frame(1, TOKEN).to_vec()),
        ("no kind", frame(200, TOKEN).to_vec()),
        ("short", frame(TOKEN_FRAME, TOKEN)[..23].to_vec()),
        ("long", [&frame(TOKEN_FRAME, TOKEN)[..], b"more"].concat()),
        ("text", TOKEN.to_string().into_bytes()),
        ("random", vec![0xa5; 5000]),
    ] {
        let (near, far) = pair();
        send(near.as_raw_fd(), &bytes, MsgFlags::MSG_NOSIGNAL).unwrap();
        let mut command = asked(command("normal"), TOKEN);
        inherits(&mut command, far);
        runs_normally(what, command);
    }
}

/// Without this the tests around it would show nothing.
#[test]
fn with_everything_right_it_is_reached() {
    let (near, far) = prepared(TOKEN);
    let mut command = asked(command("normal"), TOKEN);
    inherits(&mut command, far);
    let mut probe = Probe::spawn(command);
    let frame = || {
        let mut bytes = [0; 64];
        let length = recv(near.as_raw_fd(), &mut bytes, MsgFlags::empty()).unwrap();
        assert_eq!(length, 24, "{bytes:?}");
        bytes[4]
    };
    // The program says `Born`, its clone says `Hello`: either may be first.
    let mut said = [frame(), frame()];
    said.sort_unstable();
    assert_eq!(said, [32, 39]);
    drop(near);
    assert!(probe.end().success());
}

#[test]
fn a_standard_stream_is_no_such_socket() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..3 {
        let report = directory.path().join(number.to_string());
        File::create(&report).unwrap();
        let (near, far) = prepared(TOKEN);
        let mut command = command("normal");
        command
            .env(VARIABLE, format!("{number}:{TOKEN}"))
            .env(probe::REPORT, &report);
        inherits_as(&mut command, far, number);
        let (_, status) = probe::output(command);
        assert!(status.success(), "{number}: {status}");
        let text = fs::read_to_string(&report).unwrap();
        assert!(text.contains("\n@normal "), "{number}: {text:?}");
        let mut first = [0; 64];
        let answer = recv(near.as_raw_fd(), &mut first, MsgFlags::MSG_DONTWAIT);
        // On stdout there is what the test harness prints.
        let is_frame = first.starts_with(b"zyg");
        assert!(!is_frame, "{number}: {answer:?}");
    }
}

/// A program that has room for nothing but the socket: whatever it can do, it
/// does as if the variable were not there.
#[test]
fn few_descriptors_make_no_difference() {
    let output = |limit: u64, asked_for: bool| {
        let (near, far) = pair();
        // No token: nothing that could make it a template.
        let mut command = command("normal");
        if asked_for {
            command.env(VARIABLE, format!("3:{TOKEN}"));
        }
        inherits_as(&mut command, far, 3);
        let set = move || {
            let limit = libc::rlimit {
                rlim_cur: limit,
                rlim_max: limit,
            };
            // SAFETY: it reads the struct that it is given.
            match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        };
        // SAFETY: setrlimit is async-signal-safe.
        unsafe { command.pre_exec(set) };
        let (text, status) = probe::output(command);
        drop(near);
        (text.contains("\n@normal"), status)
    };
    let mut ran = 0;
    for limit in 0..9 {
        let without = output(limit, false);
        assert_eq!(output(limit, true), without, "{limit}");
        ran += usize::from(without.0);
    }
    // The loader needs a few for its libraries.
    assert!(ran >= 3, "{ran}");
}

#[test]
fn a_socket_of_a_stranger_does_nothing() {
    // Made here, but the program's parent is a shell.
    let program = env::current_exe().unwrap();
    let shell = ["sh", "-c", "\"$0\" \"$@\"; exit $?"];
    for (what, token) in [("wrong token", TOKEN + 1), ("right token", TOKEN)] {
        let (near, far) = prepared(token);
        let mut command = asked(within(&shell, &program, "normal"), TOKEN);
        inherits(&mut command, far);
        runs_normally(what, command);
        let mut hello = [0; 64];
        let answer = recv(near.as_raw_fd(), &mut hello, MsgFlags::MSG_DONTWAIT);
        assert!(!matches!(answer, Ok(1..)), "{what}: it answered");
    }
}

/// A copy of this program where other users can execute it.
fn public_copy(directory: &tempfile::TempDir) -> PathBuf {
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = directory.path().join("program");
    // By another program: a child that a test beside this one starts meanwhile
    // would hold it open for writing, and it could not be executed.
    let copied = Command::new("cp")
        .arg(env::current_exe().unwrap())
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

const STRANGER: [&str; 6] = [
    "setpriv",
    "--reuid",
    "54321",
    "--regid",
    "54321",
    "--clear-groups",
];

#[test]
fn a_privileged_program_does_not_listen() {
    if !nix::unistd::geteuid().is_root() || !Path::new("/dev/shm").is_dir() {
        println!("not tried with set-user-id and capabilities: this needs root and /dev/shm");
        return;
    }
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let copy = public_copy(&directory);
    // Set-user-id root: the socket's user is right, too.
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).unwrap();
    privileged("set-user-id", &copy);
    does_not_execute_itself(&copy);
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let set = Command::new("setcap")
        .arg("cap_net_bind_service+ep")
        .arg(&copy)
        .status();
    if set.is_ok_and(|status| status.success()) {
        privileged("capabilities", &copy);
    } else {
        println!("not tried with file capabilities: setcap does not work here");
    }
}

/// It would not listen, and run its `main` once more.
fn does_not_execute_itself(copy: &Path) {
    let start = Instant::now();
    let (text, status) = probe::output(within(&STRANGER, copy, "once"));
    assert!(status.success(), "{text}");
    assert_eq!(text.matches("@main").count(), 1, "{text}");
    assert!(text.contains("say `zygote::early!()`"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

fn privileged(what: &str, copy: &Path) {
    let (near, far) = prepared(TOKEN);
    let mut command = asked(within(&STRANGER, copy, "normal"), TOKEN);
    inherits(&mut command, far);
    runs_normally(what, command);
    let answer = recv(near.as_raw_fd(), &mut [0; 64], MsgFlags::MSG_DONTWAIT);
    assert!(!matches!(answer, Ok(1..)), "{what}: it answered");
}

/// It executes itself as a template, which cannot listen: without an end to it
/// that one would be the program again, execute itself again, and so on.
#[test]
fn a_privileged_program_that_asks_itself_does_not_run_again() {
    if !nix::unistd::geteuid().is_root() || !Path::new("/dev/shm").is_dir() {
        println!("not tried with set-user-id: this needs root and /dev/shm");
        return;
    }
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let copy = public_copy(&directory);
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).unwrap();
    let start = Instant::now();
    let (text, status) = probe::output(within(&STRANGER, &copy, "refused"));
    assert!(status.success(), "{status}: {text}");
    assert_eq!(text.matches("@main ").count(), 1, "{text}");
    assert_eq!(text.matches("@refused ").count(), 1, "{text}");
    assert!(start.elapsed() < Duration::from_secs(5), "{text}");
}

#[test]
fn a_socket_of_another_user_does_nothing() {
    if !nix::unistd::geteuid().is_root() {
        println!("not tried with another user: this needs root");
        return;
    }
    // Made by root, given to a program of another user.
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let copy = public_copy(&directory);
    let (near, far) = prepared(TOKEN);
    let mut command = asked(within(&STRANGER, &copy, "normal"), TOKEN);
    inherits(&mut command, far);
    runs_normally("another user", command);
    let answer = recv(near.as_raw_fd(), &mut [0; 64], MsgFlags::MSG_DONTWAIT);
    assert!(!matches!(answer, Ok(1..)), "it answered");
}

#[test]
fn a_real_server_has_no_trace_of_the_variable() {
    let mut probe = Probe::start("real");
    probe.expect("done");
    probe.finish();
}

#[test]
fn a_test_program_lists_its_tests_and_says_nothing_else() {
    for variable in [None, Some("77:5"), Some("nonsense")] {
        let mut command = Command::new(env::current_exe().unwrap());
        command.arg("--list");
        if let Some(value) = variable {
            command.env(VARIABLE, value);
        }
        let output = command.output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let text = String::from_utf8(output.stdout).unwrap();
        let is_known = |line: &str| {
            line.is_empty() || line.ends_with(": test") || line.ends_with("benchmarks")
        };
        assert!(text.lines().all(is_known), "{text}");
        assert!(text.contains("a_variable_alone_does_nothing: test"));
    }
}
