//! Typed frames between any two processes.

use std::{
    fs::File,
    io::{Read, Seek, Write},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use sendfd::{RecvWithFd, SendWithFd};
use zygote::{Fd, Receiver, Sender, channel};

use crate::util::{self, Census, alone, watchdog};

/// Squares until its queue ends; says how many it took.
#[zygote::entry]
fn squares(jobs: Receiver<u64>, results: Sender<(u64, u64)>) -> zygote::Result<u64> {
    let mut count = 0;
    for n in jobs {
        let n = n?;
        results.send((n, n * n))?;
        count += 1;
    }
    Ok(count)
}

#[test]
fn several_receivers_share_one_queue() {
    let _limit = watchdog(60);
    let (jobs, queue) = channel().unwrap();
    let (done, results) = channel().unwrap();
    let workers: Vec<_> = (0..4)
        .map(|_| squares::spawn(queue.try_clone().unwrap(), done.try_clone().unwrap()).unwrap())
        .collect();
    drop((queue, done));
    let sender = thread::spawn(move || {
        for n in 0..2000 {
            jobs.send(n).unwrap();
        }
    });
    let mut all: Vec<(u64, u64)> = results.map(Result::unwrap).collect();
    all.sort_unstable();
    assert_eq!(all, (0..2000).map(|n| (n, n * n)).collect::<Vec<_>>());
    sender.join().unwrap();
    let counts = workers
        .into_iter()
        .map(|worker| worker.join().unwrap().unwrap());
    assert_eq!(counts.sum::<u64>(), 2000);
}

#[test]
fn values_arrive_in_order_and_whole() {
    let _limit = watchdog(30);
    let (sender, receiver) = channel::<(u32, Vec<u8>)>().unwrap();
    let sends = thread::spawn(move || {
        for n in 0..100_u32 {
            let length = if n % 10 == 0 { 300_000 } else { n as usize };
            sender.send((n, vec![n.to_le_bytes()[0]; length])).unwrap();
        }
    });
    for n in 0..100_u32 {
        let (number, bytes) = receiver.recv_timeout(util::PATIENCE).unwrap();
        assert_eq!(number, n);
        assert_eq!(bytes.len(), if n % 10 == 0 { 300_000 } else { n as usize });
        assert!(bytes.iter().all(|byte| *byte == n.to_le_bytes()[0]));
    }
    sends.join().unwrap();
    assert!(receiver.recv().unwrap_err().is_disconnected());
}

#[test]
fn a_receiver_waits_no_longer_than_it_was_told() {
    let _limit = watchdog(30);
    let (sender, receiver) = channel::<u8>().unwrap();
    let started = Instant::now();
    let error = receiver
        .recv_timeout(Duration::from_millis(30))
        .unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert!(started.elapsed() >= Duration::from_millis(30));
    assert!(
        receiver
            .recv_timeout(Duration::ZERO)
            .unwrap_err()
            .is_timeout()
    );
    sender.send(1).unwrap();
    assert_eq!(receiver.recv_timeout(Duration::ZERO).unwrap(), 1);
}

#[test]
fn a_sender_waits_no_longer_than_it_was_told() {
    let _limit = watchdog(30);
    let (sender, receiver) = channel::<Vec<u8>>().unwrap();
    let full = loop {
        if let Err(error) = sender.send_timeout(vec![1; 10_000], Duration::from_millis(20)) {
            break error;
        }
    };
    assert!(full.is_timeout(), "{full:?}");
    assert_eq!(receiver.recv().unwrap().len(), 10_000);
    sender.send_timeout(vec![2], util::PATIENCE).unwrap();
}

#[test]
fn the_end_of_the_other_side_is_an_error_of_its_own() {
    let _limit = watchdog(30);
    let (sender, receiver) = channel::<u8>().unwrap();
    let other = sender.try_clone().unwrap();
    other.send(5).unwrap();
    drop(sender);
    drop(other);
    assert_eq!(receiver.recv().unwrap(), 5);
    assert!(receiver.recv().unwrap_err().is_disconnected());
    assert!(
        receiver
            .recv_timeout(util::PATIENCE)
            .unwrap_err()
            .is_disconnected()
    );
    assert_eq!(receiver.into_iter().count(), 0);

    let (sender, receiver) = channel::<u8>().unwrap();
    drop(receiver);
    let error = sender.send(1).unwrap_err();
    assert!(error.is_disconnected(), "{error:?}");
}

#[test]
fn the_death_of_a_worker_ends_its_side() {
    let _limit = watchdog(30);
    let (jobs, queue) = channel::<u64>().unwrap();
    let (done, results) = channel().unwrap();
    let worker = squares::spawn(queue, done).unwrap();
    jobs.send(3).unwrap();
    assert_eq!(results.recv_timeout(util::PATIENCE).unwrap(), (3, 9));
    worker.kill().unwrap();
    let error = results.recv_timeout(util::PATIENCE).unwrap_err();
    assert!(error.is_disconnected(), "{error:?}");
    util::until("nobody receives", || jobs.send(1).is_err());
}

#[zygote::entry]
fn writes(files: Receiver<(String, Fd<File>)>) -> zygote::Result<u32> {
    let mut count = 0;
    for next in files {
        let (text, file) = next?;
        file.into_inner().write_all(text.as_bytes())?;
        count += 1;
    }
    Ok(count)
}

#[test]
fn descriptors_travel_inside() {
    let _limit = watchdog(30);
    let (sender, receiver) = channel().unwrap();
    let worker = writes::spawn(receiver).unwrap();
    let mut files = Vec::new();
    for n in 0..20 {
        let file = tempfile::tempfile().unwrap();
        sender
            .send((format!("text {n}"), file.try_clone().unwrap().into()))
            .unwrap();
        files.push(file);
    }
    drop(sender);
    assert_eq!(worker.join().unwrap().unwrap(), 20);
    for (n, mut file) in files.into_iter().enumerate() {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("text {n}"));
    }
}

#[test]
#[allow(unsafe_code, reason = "the traits speak of raw descriptors")]
fn the_traits_of_sendfd_are_implemented() {
    let _limit = watchdog(30);
    let (sender, receiver) = channel::<Vec<u8>>().unwrap();
    let file = tempfile::tempfile().unwrap();
    let sent = sender.send_with_fd(b"bytes", &[file.as_raw_fd()]).unwrap();
    assert_eq!(sent, 5);
    let (mut bytes, mut fds) = ([0; 16], [-1; 4]);
    let got = receiver.recv_with_fd(&mut bytes, &mut fds).unwrap();
    assert_eq!(got, (5, 1));
    assert_eq!(&bytes[..5], b"bytes");
    // SAFETY: it was received just now, and nobody else owns it.
    let mut arrived = File::from(unsafe { OwnedFd::from_raw_fd(fds[0]) });
    arrived.write_all(b"through it").unwrap();
    assert_eq!(file.metadata().unwrap().len(), 10);

    // What does not fit is lost whole, and no descriptor with it.
    sender
        .send_with_fd(b"too long for the room", &[file.as_raw_fd()])
        .unwrap();
    sender.send_with_fd(b"next", &[]).unwrap();
    assert!(receiver.recv_with_fd(&mut [0; 4], &mut [-1]).is_err());
    assert_eq!(receiver.recv_with_fd(&mut bytes, &mut fds).unwrap(), (4, 0));
    drop(sender);
    assert_eq!(receiver.recv_with_fd(&mut bytes, &mut fds).unwrap(), (0, 0));
}

#[test]
fn an_end_that_is_of_another_type_is_an_error() {
    let _limit = watchdog(30);
    let (sender, receiver) = channel::<u8>().unwrap();
    let texts = Receiver::<String>::from(OwnedFd::from(receiver));
    sender.send(9).unwrap();
    let error = texts.recv_timeout(util::PATIENCE).unwrap_err();
    assert!(error.is_invalid(), "{error:?}");
    // A socket that somebody else writes to.
    let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    near.write_all(b"not a frame at all, whatever it may be")
        .unwrap();
    let foreign = Receiver::<String>::from(OwnedFd::from(far));
    let error = foreign.recv_timeout(util::PATIENCE).unwrap_err();
    assert!(!error.is_timeout() && !error.is_disconnected(), "{error:?}");
}

#[test]
fn channels_leave_no_descriptor() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        for _ in 0..10 {
            let (jobs, queue) = channel().unwrap();
            let (done, results) = channel().unwrap();
            let worker = squares::spawn(queue, done).unwrap();
            jobs.send(2).unwrap();
            assert_eq!(results.recv().unwrap(), (2, 4));
            drop(jobs);
            assert_eq!(worker.join().unwrap().unwrap(), 1);
            let (files, unread) = channel::<Fd<File>>().unwrap();
            files.send(tempfile::tempfile().unwrap().into()).unwrap();
            drop(unread);
        }
        before.check();
    });
}
