//! A worker that writes what it wants into its own socket.

use std::{
    fs,
    os::fd::{AsFd, BorrowedFd},
    process::id,
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use zygote::Worker;

use crate::{
    frames::{
        DONE, Dice, EXITS, FAILED, HELLO, IN_CARRIER, IN_MEMORY, STARVED, VALUE, carrier, head,
        made_up, memory, null, pidfd, send,
    },
    hello,
    util::{Census, alone, watchdog, within},
};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Evil {
    Random(u64),
    Gibibyte,
    Descriptors,
    Stranger,
    Reports,
    Starved,
    TwoResults,
    Sparse(i64),
    Unsealed,
    Short,
    Empty,
    Done,
    Failed,
    Carriers,
    Results,
    Flood,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Then {
    Return,
    Die,
    Live,
}

/// This worker's socket: the one that it was not passed.
pub(crate) fn own_socket() -> BorrowedFd<'static> {
    let is_socket = |fd: &i32| {
        fs::read_link(format!("/proc/self/fd/{fd}"))
            .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    let fd = (3..256).find(is_socket).unwrap();
    // SAFETY: it is open, and as long as this process lives.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// The frame with this result, of the task or of the call with this number.
pub(crate) fn result(number: u64, text: &str) -> Vec<u8> {
    let mut body = (text.len() as u64).to_le_bytes().to_vec();
    body.extend(text.as_bytes());
    let mut bytes = head(VALUE, 0, 0, number, body.len() as u64);
    bytes.append(&mut body);
    bytes
}

/// A value in memory of which the head says this.
fn in_memory(length: i64, memory: &impl AsFd) {
    let head = head(VALUE, IN_MEMORY, 0, 0, length.unsigned_abs());
    send(own_socket(), &head, &[memory.as_fd()]).unwrap();
}

pub(crate) fn act(evil: Evil) {
    let socket = own_socket();
    let say = |bytes: &[u8]| send(socket, bytes, &[]).is_ok();
    match evil {
        Evil::Random(seed) => {
            let mut dice = Dice(seed);
            for _ in 0..200 {
                let (bytes, fds) = made_up(&mut dice);
                let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
                let _ = send(socket, &bytes, &fds);
            }
        }
        Evil::Gibibyte => {
            say(&head(VALUE, 0, 0, 0, 1 << 30));
            say(&head(VALUE, IN_MEMORY, 0, 0, 1 << 30));
        }
        Evil::Descriptors => {
            let null = null();
            for _ in 0..1000 {
                let _ = send(socket, &head(VALUE, 0, 9, 0, 0), &[null.as_fd(); 253]);
                let _ = send(socket, &head(HELLO, 0, 253, 7, 0), &[null.as_fd(); 253]);
            }
        }
        Evil::Stranger => {
            let stranger = pidfd(std::os::unix::process::parent_id());
            for _ in 0..50 {
                let _ = send(socket, &head(HELLO, 0, 1, 1, 0), &[stranger.as_fd()]);
            }
        }
        Evil::Reports => {
            for child in 0..64_u64 {
                let mut bytes = head(EXITS, 0, 0, 0, 96);
                bytes.extend(child.to_le_bytes());
                bytes.extend(139_u32.to_le_bytes());
                bytes.extend(1_u32.to_le_bytes());
                bytes.extend([0; 80]);
                say(&bytes);
            }
        }
        // More than there is room for, most of them with what does not belong there.
        Evil::Starved => {
            let null = null();
            for size in 0..100_000_u64 {
                let fds = &[null.as_fd()][..usize::from(size % 2 == 0)];
                let fd = u32::from(size % 2 == 0);
                let mut bytes = head(STARVED, 0, fd, u64::MAX - size, size % 64);
                bytes.resize(bytes.len() + usize::try_from(size % 64).unwrap(), 7);
                let _ = send(socket, &bytes, fds);
            }
        }
        Evil::TwoResults => assert!(say(&result(0, "first")) && say(&result(0, "second"))),
        Evil::Sparse(length) => in_memory(length, &memory(b"some", length, true)),
        Evil::Unsealed => in_memory(5, &memory(b"bytes", 5, false)),
        Evil::Short => in_memory(6, &memory(b"bytes", 5, true)),
        Evil::Empty => drop(say(b"")),
        Evil::Done => drop(say(&head(DONE, 0, 0, 0, 0))),
        Evil::Failed => drop(say(&head(FAILED, 0, 0, 0, 0))),
        Evil::Carriers => {
            for (fds, each) in [(600, 253), (3, 1), (0, 0), (3, 0)] {
                let carrier = carrier(fds, each);
                let head = head(VALUE, IN_CARRIER, u32::MAX, 0, 0);
                let _ = send(socket, &head, &[carrier.as_fd()]);
            }
        }
        // Large ones, as many as the queue takes.
        Evil::Results => {
            let memory = memory(&vec![1; 64 << 20], 64 << 20, true);
            while send(
                socket,
                &head(VALUE, IN_MEMORY, 0, 0, 64 << 20),
                &[memory.as_fd()],
            )
            .is_ok()
            {}
        }
        // Reports take longer to read than to write: the queue is never empty.
        Evil::Flood => {
            let mut bytes = head(EXITS, 0, 0, 0, 600 * 96);
            bytes.resize(bytes.len() + 600 * 96, 1);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        loop {
                            if send(socket, &bytes, &[]).is_err() {
                                thread::yield_now();
                            }
                        }
                    });
                }
            });
        }
    }
}

#[zygote::entry]
fn evil(evil: Evil, then: Then) -> String {
    act(evil);
    match then {
        Then::Return => "returned".to_owned(),
        // SAFETY: it ends this process, and nothing here needs an end.
        Then::Die => unsafe { libc::_exit(3) },
        Then::Live => loop {
            thread::sleep(Duration::from_secs(60));
        },
    }
}

fn start(what: Evil, then: Then) -> Worker<String> {
    evil::spawn(what, then).unwrap().kill_on_drop(true)
}

const ALL: [Evil; 16] = [
    Evil::Random(3),
    Evil::Random(1234),
    Evil::Gibibyte,
    Evil::Descriptors,
    Evil::Stranger,
    Evil::Reports,
    Evil::Starved,
    Evil::TwoResults,
    Evil::Sparse(1 << 30),
    Evil::Sparse(1 << 40),
    Evil::Unsealed,
    Evil::Short,
    Evil::Empty,
    Evil::Done,
    Evil::Failed,
    Evil::Carriers,
];

/// What `join` may give for it.
fn check(what: Evil, then: Then, outcome: zygote::Result<Option<String>>) {
    let harmless = matches!(what, Evil::Stranger | Evil::Reports | Evil::Starved);
    match (what, then, outcome) {
        (Evil::Random(_), _, Ok(text)) => assert!(text.is_none_or(|text| text == "returned")),
        (Evil::TwoResults, _, Ok(text)) => assert_eq!(text.as_deref(), Some("first")),
        (Evil::Empty, Then::Live, Ok(None)) => {}
        (_, Then::Live, Ok(None)) if harmless => {}
        (_, Then::Return, Ok(Some(text))) if harmless => assert_eq!(text, "returned"),
        (_, Then::Die, Err(error)) if harmless => {
            assert_eq!(error.exit().unwrap().status().unwrap().code(), Some(3));
        }
        (Evil::TwoResults, ..) => panic!("{what:?} was not the first result"),
        (_, _, Err(error)) => assert!(!error.to_string().is_empty() && !error.is_unstarted()),
        (_, _, Ok(text)) => panic!("{what:?}, {then:?}: {text:?}"),
    }
}

/// The most memory that this process had at any time, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

#[test]
fn what_a_worker_sends_is_an_error_or_its_first_result() {
    let _limit = watchdog(120);
    alone(|| {
        let (before, peak_before) = (Census::take(), peak());
        for what in ALL {
            for then in [Then::Return, Then::Die, Then::Live] {
                let mut worker = start(what, then);
                let pid = worker.id();
                // Of these there may be none, however long one waits.
                let patience = match (then, what) {
                    (
                        Then::Live,
                        Evil::Random(_)
                        | Evil::Stranger
                        | Evil::Reports
                        | Evil::Starved
                        | Evil::Empty,
                    ) => Duration::from_millis(100),
                    _ => Duration::from_secs(20),
                };
                check(what, then, worker.join_timeout(patience));
                assert_eq!(worker.id(), pid);
                drop(worker);
                assert_eq!(hello::spawn().unwrap().join().unwrap(), "hello");
            }
        }
        let grown = peak() - peak_before;
        assert!(grown < 64 << 10, "{grown} KiB for a length that was a lie");
        before.check();
    });
}

#[test]
fn a_handle_may_be_dropped_whatever_the_worker_sends() {
    let _limit = watchdog(120);
    alone(|| {
        let before = Census::take();
        for what in ALL.into_iter().chain([Evil::Flood, Evil::Results]) {
            for _ in 0..3 {
                drop(start(what, Then::Live));
                if what != Evil::Flood {
                    drop(evil::spawn(what, Then::Return).unwrap());
                }
            }
            assert_eq!(hello::spawn().unwrap().join().unwrap(), "hello");
        }
        before.check();
    });
}

#[test]
fn nobody_but_the_template_reports_and_a_pidfd_stays() {
    let _limit = watchdog(60);
    alone(|| {
        for what in [Evil::Reports, Evil::Stranger] {
            let mut worker = start(what, Then::Live);
            assert!(
                worker
                    .join_timeout(Duration::from_millis(100))
                    .unwrap()
                    .is_none()
            );
            assert!(worker.try_wait().unwrap().is_none(), "it lives");
            worker.kill().unwrap();
            assert_eq!(worker.wait().unwrap().to_string(), "was killed by SIGKILL");
            assert!(worker.join().unwrap_err().is_signal());
        }
        assert!(crate::util::is_alive(crate::util::template()) && crate::util::is_alive(id()));
    });
}

#[test]
fn a_deadline_holds_whatever_a_worker_sends() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        let mut worker = start(Evil::Flood, Then::Live);
        for _ in 0..10 {
            let waited = within(Duration::from_secs(3), || {
                worker.join_timeout(Duration::from_millis(50))
            });
            assert!(waited.unwrap().is_none());
        }
        assert!(
            worker
                .wait_timeout(Duration::from_millis(10))
                .unwrap()
                .is_none()
        );
        worker.kill().unwrap();
        let error = within(Duration::from_secs(5), || worker.join()).unwrap_err();
        assert!(error.is_signal(), "{error:?}");

        let worker = start(Evil::Results, Then::Live);
        let pid = worker.id();
        thread::sleep(Duration::from_millis(200));
        // It may come to it or not: there are results in front.
        let _ = within(Duration::from_secs(9), || worker.detach());
        crate::util::signal(pid, libc::SIGKILL);
        before.check();
    });
}

/// Interrupted as `detach` does, more often than once.
#[zygote::entry]
fn patient() -> u8 {
    thread::sleep(Duration::from_millis(100));
    7
}

#[test]
fn a_result_is_found_behind_other_frames_when_the_worker_has_ended() {
    let _limit = watchdog(60);
    let worker = patient::spawn().unwrap();
    for _ in 0..20 {
        worker.signal(libc::SIGURG).unwrap();
        thread::sleep(Duration::from_millis(1));
    }
    assert!(worker.wait().unwrap().success());
    assert_eq!(worker.join().unwrap(), 7);
}
