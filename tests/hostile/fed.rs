//! A program that feeds rubbish to processes of its template.

use std::{
    env,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use zygote::Process;

use crate::{
    frames::{Dice, carrier, made_up, send},
    hello,
    util::{self, Census, alone, watchdog, within},
};

/// How many frames are sent in all.
fn frames() -> u64 {
    let number = env::var("ZYGOTE_FUZZ_FRAMES").ok();
    number.map_or(20_000, |number| number.parse().unwrap())
}

/// Feeds one process; gives how many frames it took.
fn feed(dice: &mut Dice) -> u64 {
    let fd: OwnedFd = Process::new().unwrap().into_fd().unwrap();
    let mut sent = 0;
    for _ in 0..=dice.below(60) {
        let (bytes, fds) = made_up(dice);
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        // It may have ended, or be slower than this.
        sent += u64::from(send(fd.as_fd(), &bytes, &fds).is_ok());
    }
    if dice.below(20) == 0 {
        take_over(fd);
    }
    sent
}

/// Asks what is left of a process for its work: it has an answer.
fn take_over(fd: OwnedFd) {
    let Ok(process) = Process::<()>::from_fd(fd) else {
        return;
    };
    let Ok(worker) = process.run(hello::task()) else {
        return;
    };
    let mut worker = worker.kill_on_drop(true);
    match worker.join_timeout(Duration::from_secs(9)) {
        Ok(text) => assert_eq!(text.as_deref(), Some("hello")),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[test]
fn a_template_outlives_what_its_forks_are_fed() {
    let wanted = frames();
    let _limit = watchdog(60 + wanted / 500);
    let output = alone(|| {
        let before = Census::take();
        let start = Instant::now();
        let (mut dice, mut sent, mut fed) = (Dice(0x7a79_676f_7465), 0, 0_u64);
        while sent < wanted {
            sent += feed(&mut dice);
            fed += 1;
            if fed % 50 == 0 {
                assert_eq!(hello::spawn().unwrap().join().unwrap(), "hello");
            }
        }
        println!("{sent} frames to {fed} processes, {:.2?}", start.elapsed());
        assert!(sent / fed > 5, "{sent} frames for {fed} processes");
        before.check();
    });
    // The long form wants to know how many those were.
    let said = output.map(|output| String::from_utf8(output.stdout).unwrap());
    let figures = said.iter().flat_map(|said| said.lines());
    figures
        .filter(|line| line.contains("frames to"))
        .for_each(|line| println!("{line}"));
}

#[test]
fn a_process_that_is_fed_ends_with_its_socket() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        let mut dice = Dice(99);
        for _ in 0..50 {
            let process = Process::new().unwrap();
            let pid = process.id().unwrap();
            let fd = process.into_fd().unwrap();
            for _ in 0..20 {
                let (bytes, fds) = made_up(&mut dice);
                let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
                let _ = send(fd.as_fd(), &bytes, &fds);
            }
            drop(fd);
            util::until("the process ends", || util::stat(pid).is_none());
        }
        before.check();
    });
}

#[test]
fn what_is_no_process_is_not_taken_over() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        for _ in 0..10 {
            let (far, near) = crate::frames::pair();
            drop(far);
            for fd in [crate::frames::null(), near, carrier(9, 3)] {
                let error = within(util::PATIENCE, || Process::<()>::from_fd(fd)).unwrap_err();
                assert!(!error.to_string().is_empty());
            }
        }
        before.check();
    });
}
