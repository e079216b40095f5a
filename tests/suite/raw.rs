//! The raw layer: octets, descriptors, and an entry by name.

use std::{
    fs::File,
    io::{Read, Seek, Write},
    os::{fd::AsFd, unix::net::UnixStream},
};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use zygote::{
    Process,
    raw::{Arg, Args},
};

use crate::util::{self, watchdog};

/// Answers with what it was given: a letter, the length, the octets.
#[zygote::entry(raw)]
fn repeat(mut conn: UnixStream, args: Args) {
    for arg in args {
        let (letter, bytes) = match arg {
            Arg::Bytes(bytes) => (b'b', bytes),
            Arg::Fd(fd) => {
                assert!(is_close_on_exec(&fd));
                let (mut file, mut bytes) = (File::from(fd), Vec::new());
                file.rewind().unwrap();
                file.read_to_end(&mut bytes).unwrap();
                (b'f', bytes)
            }
        };
        conn.write_all(&[letter]).unwrap();
        conn.write_all(&bytes.len().to_le_bytes()).unwrap();
        conn.write_all(&bytes).unwrap();
    }
}

fn is_close_on_exec(fd: impl AsFd) -> bool {
    let flags = fcntl(fd, FcntlArg::F_GETFD).unwrap();
    FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC)
}

fn is_non_blocking(fd: impl AsFd) -> bool {
    let flags = fcntl(fd, FcntlArg::F_GETFL).unwrap();
    OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK)
}

fn file(text: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// What a `repeat` in this process has to say.
fn repeated(process: Process) -> Vec<(u8, Vec<u8>)> {
    let (worker, mut conn) = process.run_raw("repeat").unwrap();
    conn.set_nonblocking(false).unwrap();
    conn.set_read_timeout(Some(util::PATIENCE)).unwrap();
    let mut all = Vec::new();
    conn.read_to_end(&mut all).unwrap();
    worker.join().unwrap();
    let (mut rest, mut said) = (&all[..], Vec::new());
    while let Some((letter, tail)) = rest.split_first() {
        let (length, tail) = tail.split_first_chunk().unwrap();
        let (bytes, tail) = tail.split_at(usize::from_le_bytes(*length));
        said.push((*letter, bytes.to_vec()));
        rest = tail;
    }
    said
}

fn bytes(bytes: &[u8]) -> (u8, Vec<u8>) {
    (b'b', bytes.to_vec())
}

#[test]
fn raw_arguments_any_octets_in_order_cloned_by_fork() {
    let _limit = watchdog(30);
    let every: Vec<u8> = (0..=255).collect();
    let large = vec![0xa5; 300_000];
    let process = Process::new().unwrap().send_arg(&every);
    let process = process.send_fd(file("first"));
    let process = process.send_arg("").send_arg(&large);
    let process = process.send_fd(file("second"));

    let mut expected = vec![
        bytes(&every),
        (b'f', b"first".to_vec()),
        bytes(b""),
        bytes(&large),
        (b'f', b"second".to_vec()),
    ];
    let (one, two) = (process.fork().unwrap(), process.fork().unwrap());
    let two = two.send_arg("for two alone");
    let process = process.send_arg("for the last");
    assert!(repeated(one) == expected);
    expected.push(bytes(b"for two alone"));
    assert!(repeated(two) == expected);
    expected.pop();
    expected.push(bytes(b"for the last"));
    assert!(repeated(process) == expected);
}

#[test]
fn many_raw_arguments_keep_their_order() {
    let _limit = watchdog(30);
    let mut process = Process::new().unwrap();
    for n in 0..1000_u32 {
        process = process.send_arg(n.to_le_bytes());
    }
    let expected: Vec<_> = (0..1000_u32).map(|n| bytes(&n.to_le_bytes())).collect();
    assert!(repeated(process) == expected);
}

/// Says what the socket is like, then reads a line and says it back.
#[zygote::entry(raw)]
fn describe(mut conn: UnixStream, mut args: Args) {
    let first = match args.next() {
        Some(Arg::Bytes(bytes)) => bytes,
        other => panic!("{other:?} came first"),
    };
    assert!(matches!(args.next(), Some(Arg::Fd(_))));
    assert_eq!(args.len(), 0);
    let told = format!("{} {}\n", is_close_on_exec(&conn), is_non_blocking(&conn));
    conn.write_all(told.as_bytes()).unwrap();
    let mut heard = [0; 5];
    conn.read_exact(&mut heard).unwrap();
    conn.write_all(&heard).unwrap();
    conn.write_all(&first).unwrap();
}

#[test]
fn run_raw_gives_socket_first_then_arguments() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let process = process.send_arg("the argument").send_fd(file(""));
    let name = format!("{}::describe", module_path!());
    let (worker, mut conn) = process.run_raw(&name).unwrap();
    assert!(is_close_on_exec(&conn) && is_non_blocking(&conn));
    conn.set_nonblocking(false).unwrap();
    conn.set_read_timeout(Some(util::PATIENCE)).unwrap();
    conn.write_all(b"hello").unwrap();
    let mut text = String::new();
    conn.read_to_string(&mut text).unwrap();
    assert_eq!(text, "true false\nhellothe argument");
    worker.join().unwrap();
}

#[zygote::entry]
fn typed() {}

/// Two raw entries of one name, and of one path.
fn twins() {
    {
        #[zygote::entry(raw)]
        fn twin(_conn: UnixStream, _args: Args) {}
    }
    #[zygote::entry(raw)]
    fn twin(_conn: UnixStream, _args: Args) {}
}

#[test]
fn a_misnamed_raw_entry_is_an_error() {
    let _limit = watchdog(30);
    twins();
    for (name, part) in [
        ("no such entry", "no raw entry is named `no such entry`"),
        ("twin", "ambiguous"),
        ("typed", "is not a raw entry"),
        ("", "no raw entry is named ``"),
    ] {
        let error = Process::new().unwrap().run_raw(name).unwrap_err();
        assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
    }
    typed::spawn().unwrap().join().unwrap();
}

#[zygote::entry(raw)]
fn panics_raw(_conn: UnixStream, _args: Args) {
    panic!("a raw one");
}

#[test]
fn a_raw_entry_that_panics_is_an_error_and_ends_the_connection() {
    let _limit = watchdog(30);
    let (worker, mut conn) = Process::new().unwrap().run_raw("panics_raw").unwrap();
    conn.set_nonblocking(false).unwrap();
    conn.set_read_timeout(Some(util::PATIENCE)).unwrap();
    assert_eq!(conn.read(&mut [0]).unwrap(), 0);
    let error = worker.join().unwrap_err();
    assert!(error.is_panic(), "{error:?}");
    assert!(error.to_string().contains("a raw one"), "{error}");
}
