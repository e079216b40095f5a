//! A program that closes every descriptor, as daemons do, and ours with them.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use super::*;

pub(crate) const ROLES: Roles = &[("closes_all", closes_all), ("closes_in_worker", in_worker)];

/// `closefrom(3)`.
fn close_all() {
    // SAFETY: close_range touches no memory. What it closes is this library's, and
    // whether that survives is what is tested; all else was let go before.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    assert_eq!(result, 0);
}

/// Connections that take the numbers that are free now, and have data to read.
fn take_numbers() -> Vec<(UnixStream, UnixStream)> {
    let mut pairs: Vec<_> = (0..60).map(|_| UnixStream::pair().unwrap()).collect();
    for (near, far) in &mut pairs {
        near.write_all(b"theirs").unwrap();
        far.write_all(b"theirs").unwrap();
    }
    pairs
}

/// Nobody has read from them, written to them or closed them.
fn look_at(pairs: Vec<(UnixStream, UnixStream)>, way: &str) {
    for (mut near, mut far) in pairs {
        for end in [&mut near, &mut far] {
            end.set_nonblocking(true).unwrap();
            let mut bytes = [0; 99];
            let length = end.read(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"theirs", "{way}");
            let error = end.read(&mut bytes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{way}");
        }
    }
}

/// With every kind of handle alive, whose numbers become somebody else's.
fn closes_all() {
    both(|way| {
        let idle = Process::new().unwrap();
        let process = Process::new().unwrap();
        process.id().unwrap();
        for _ in 0..3 {
            echo::spawn(1).unwrap().join().unwrap();
            process
                .fork()
                .unwrap()
                .run(echo::task(1))
                .unwrap()
                .join()
                .unwrap();
            zygote::Command::new("true").status().unwrap();
        }
        let mut worker = rest::spawn().unwrap();
        let dropped = rest::spawn().unwrap().kill_on_drop(true);
        close_all();
        let pairs = take_numbers();
        assert_eq!(
            typed("echo", || echo::spawn(2)?.join()).unwrap(),
            2,
            "{way}"
        );
        assert_eq!(
            typed("echo", || echo::spawn(3)?.join()).unwrap(),
            3,
            "{way}"
        );
        assert!(zygote::Command::new("true").status().unwrap().success());
        // What was made before is a typed error.
        for error in [
            typed("fork", || process.fork()?.id()).unwrap_err(),
            typed("wait", || worker.try_wait()).unwrap_err(),
            typed("kill", || worker.kill()).unwrap_err(),
            typed("join", || worker.join_timeout(Duration::ZERO)).unwrap_err(),
        ] {
            assert!(error.is_template_gone() || error.is_invalid(), "{error:?}");
        }
        // Nobody has told this one anything: another one does as well.
        let _ = typed("run", || idle.run(echo::task(1)));
        drop((dropped, worker, process));
        works().unwrap();
        look_at(pairs, way);
    });
}

#[test]
fn nothing_of_the_programs_is_touched_after_it_has_closed_all() {
    run("closes_all");
}

/// Closes all, opens its own, and returns.
#[zygote::entry]
fn closes(panics: bool) -> u32 {
    close_all();
    let pairs = take_numbers();
    thread::spawn(move || look_at_later(pairs));
    assert!(!panics, "as it was told");
    7
}

/// What a worker's end leaves in its own connections is seen by a copy of it.
fn look_at_later(pairs: Vec<(UnixStream, UnixStream)>) {
    thread::sleep(LIMIT);
    drop(pairs);
}

#[zygote::entry]
fn closes_and_hands_over(report: zygote::Sender<()>) -> u32 {
    let _ = report.send(());
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    // The library's socket becomes the program's own connection.
    let socket = (3..64).find(|number| is_socket_of_packets(*number));
    if let Some(socket) = socket {
        // SAFETY: dup2 touches no memory; the number is nobody's but the library's.
        assert_eq!(unsafe { libc::dup2(far.as_raw_fd(), socket) }, socket);
    }
    // SAFETY: fork touches no memory; the copy does nothing but look.
    if unsafe { libc::fork() } == 0 {
        thread::sleep(Duration::from_millis(200));
        let mut near = near;
        let clean = near
            .read(&mut [0; 99])
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        drop(far);
        let verdict = if clean && socket.is_some() {
            "clean"
        } else {
            "dirty"
        };
        fs::write(env::var("VERDICT").unwrap(), verdict).unwrap();
        // SAFETY: it ends the process.
        unsafe { libc::_exit(0) };
    }
    9
}

fn is_socket_of_packets(number: i32) -> bool {
    let mut kind: libc::c_int = 0;
    let mut length = 4;
    // SAFETY: both pointers are to live values of the type that is asked for.
    let got = unsafe {
        libc::getsockopt(
            number,
            libc::SOL_SOCKET,
            libc::SO_TYPE,
            (&raw mut kind).cast(),
            &raw mut length,
        )
    };
    got == 0 && kind == libc::SOCK_SEQPACKET
}

fn in_worker() {
    let verdict = PathBuf::from(env::var("VERDICT").unwrap());
    both(|way| {
        for panics in [false, true] {
            let error = closes::spawn(panics).unwrap().join().unwrap_err();
            assert!(error.is_exit(), "{way}: {error:?}");
        }
        fs::write(&verdict, "").unwrap();
        let (tell, _told) = zygote::channel().unwrap();
        let error = closes_and_hands_over::spawn(tell)
            .unwrap()
            .join()
            .unwrap_err();
        assert!(error.is_exit(), "{way}: {error:?}");
        let said = || fs::read_to_string(&verdict).unwrap();
        assert!(until(LIMIT, || !said().is_empty()), "{way}: no verdict");
        assert_eq!(said(), "clean", "{way}");
    });
}

#[test]
fn a_worker_that_closes_all_answers_into_nothing_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = command("closes_in_worker");
    command.env("VERDICT", directory.path().join("verdict"));
    run_command(command);
}
