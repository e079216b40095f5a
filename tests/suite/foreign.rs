//! What is not a frame of ours, to a process and from a worker.

use std::{
    fs,
    io::Write,
    os::fd::{AsRawFd, OwnedFd},
    process::id,
    thread,
    time::Duration,
};

use nix::sys::socket::{MsgFlags, send};
use zygote::Process;

use crate::util::{self, Census, alone, watchdog, within};

const SOON: Duration = Duration::from_secs(3);

/// What somebody may write who does not know the protocol, or half of it.
fn garbage() -> Vec<Vec<u8>> {
    let mut half = b"zyg1".to_vec();
    half.resize(24, 0xff);
    let mut head = b"zyg1".to_vec();
    head.resize(24, 0);
    vec![
        b"x".to_vec(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        vec![0; 24],
        vec![0xff; 24],
        half,
        head,
        vec![0xa5; 60_000],
    ]
}

#[zygote::entry]
fn hello() -> String {
    "hello".to_owned()
}

#[test]
fn a_process_that_is_sent_something_else_ends() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        for bytes in garbage() {
            let process = Process::new().unwrap();
            let pid = process.id().unwrap();
            let fd: OwnedFd = process.into_fd().unwrap();
            send(fd.as_raw_fd(), &bytes, MsgFlags::MSG_NOSIGNAL).unwrap();
            util::until_within(SOON, "the process ends", || util::stat(pid).is_none());
            let error = within(SOON, || Process::<()>::from_fd(fd)).unwrap_err();
            assert!(!error.to_string().is_empty(), "{error:?}");
            assert_eq!(hello::spawn().unwrap().join().unwrap(), "hello");
        }
        before.check();
    });
}

/// Writes to every socket that it finds: its own is one.
#[zygote::entry]
fn hostile(bytes: Vec<u8>, stay: bool) -> String {
    let mut written = 0;
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let entry = entry.unwrap();
        let target = fs::read_link(entry.path()).unwrap_or_default();
        if target.to_string_lossy().starts_with("socket:") {
            let number: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
            written += usize::from(send(number, &bytes, MsgFlags::MSG_NOSIGNAL).is_ok());
        }
    }
    assert!(written > 0);
    let _ = std::io::stdout().flush();
    if stay {
        thread::sleep(Duration::from_secs(3600));
    }
    "the honest result".to_owned()
}

#[test]
fn a_worker_that_writes_something_else_is_an_error_of_join() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        for stay in [false, true] {
            for bytes in garbage() {
                let worker = hostile::spawn(bytes.clone(), stay)
                    .unwrap()
                    .kill_on_drop(true);
                let error = within(SOON, || worker.join()).unwrap_err();
                assert!(!error.is_unstarted(), "{bytes:?}: {error:?}");
                assert!(
                    !error.is_panic() && !error.is_timeout(),
                    "{bytes:?}: {error:?}"
                );
                assert!(error.entry().unwrap().ends_with("hostile"), "{error:?}");
                assert_eq!(hello::spawn().unwrap().join().unwrap(), "hello");
            }
        }
        before.check();
        assert_eq!(util::templates(id()), [util::template()]);
    });
}
