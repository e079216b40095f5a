//! Calls that nobody wants any more, and services that are ended.

use std::{
    fs::File,
    future::Future,
    io::Write,
    os::fd::AsFd,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use zygote::wait_any_timeout;

use super::{LONG, begun, echo, grow, log, nap, noted, ran, service};
use crate::util::{is_alive, signal, until, watchdog};

#[test]
fn what_is_given_up_before_it_began_does_not_run() {
    let _limit = watchdog(30);
    let (service, log) = (service(), log());
    let slow = service.call(nap::task(200));
    begun(&slow);
    let call = |n| service.call(noted::task(log.try_clone().unwrap(), n));
    let [dropped, cancelled, killed, detached, kept] = [1, 2, 3, 4, 5].map(call);
    drop(dropped);
    assert!(cancelled.cancel() && cancelled.cancel() && cancelled.is_finished());
    killed.kill().unwrap();
    detached.detach();
    for call in [cancelled, killed] {
        assert_eq!(call.pid(), None);
        let error = call.join().unwrap_err();
        assert!(error.is_cancelled() && error.is_unstarted(), "{error:?}");
    }
    assert!(!slow.cancel(), "it has begun");
    assert_eq!(slow.join().unwrap(), 200);
    assert!(!kept.cancel() || !ran(&log).contains(&5));
    drop(kept);
    assert_eq!(call(6).join().unwrap(), 6);
    let ran = ran(&log);
    assert!(ran.starts_with(&[4]) && ran.ends_with(&[6]), "{ran:?}");
}

#[test]
fn who_cancels_and_who_begins_never_both_win() {
    let _limit = watchdog(60);
    let (service, log) = (service(), log());
    for n in 0..100 {
        let before = service.call(echo::task(1));
        let call = service.call(noted::task(log.try_clone().unwrap(), n));
        before.join().unwrap();
        (0..n).for_each(|_| std::hint::spin_loop());
        let is_withdrawn = call.cancel();
        let outcome = call.join();
        assert_eq!(is_withdrawn, outcome.is_err(), "{outcome:?}");
        let n = u8::try_from(n).unwrap();
        assert_eq!(ran(&log).contains(&n), !is_withdrawn);
    }
}

#[zygote::entry]
fn until_cancelled(mut started: File) -> u32 {
    started.write_all(b"x").unwrap();
    let mut looks = 0;
    while !zygote::call::is_cancelled() {
        thread::sleep(Duration::from_millis(1));
        looks += 1;
    }
    looks
}

#[zygote::entry]
fn sees_a_cancel() -> bool {
    zygote::call::is_cancelled()
}

#[test]
fn a_call_that_runs_is_told_and_no_other() {
    let _limit = watchdog(30);
    assert!(!zygote::call::is_cancelled(), "this is no worker");
    let service = service();
    let call = service.call(until_cancelled::task(log()));
    begun(&call);
    thread::sleep(Duration::from_millis(5));
    assert!(!call.cancel() && !call.cancel());
    assert!(call.join().unwrap() > 0);
    assert!(!service.call(sees_a_cancel::task()).join().unwrap());
}

#[test]
fn killing_a_call_that_runs_ends_the_service() {
    let _limit = watchdog(30);
    let service = service();
    let calls = [3_600_000, 1].map(|ms| service.call(nap::task(ms)));
    assert_eq!(begun(&calls[0]), service.id());
    let [slow, behind] = calls;
    slow.kill().unwrap();
    let error = slow.join().unwrap_err();
    assert!(error.is_cancelled() && !error.is_unstarted(), "{error:?}");
    assert_eq!(error.exit().unwrap().to_string(), "was killed by SIGKILL");
    let error = behind.join().unwrap_err();
    assert!(error.is_signal() && error.is_unstarted(), "{error:?}");
    let ready = wait_any_timeout([service.as_fd()], LONG).unwrap();
    assert_eq!(ready, [0]);
    let exit = service.stop(LONG).unwrap();
    assert_eq!(exit.to_string(), "was killed by SIGKILL");
}

#[test]
fn a_finished_call_cannot_be_killed_or_cancelled() {
    let _limit = watchdog(30);
    let service = service();
    let mut call = service.call(echo::task(4));
    until("it is there", || call.is_finished());
    assert!(!call.cancel());
    call.kill().unwrap();
    assert!(!service.is_finished());
    assert_eq!(call.join_timeout(Duration::ZERO).unwrap(), Some(4));
    let again = call.join_timeout(Duration::ZERO).unwrap_err();
    assert!(again.is_invalid(), "{again:?}");
    assert!(call.is_finished() && !call.cancel());
}

#[test]
fn a_service_that_is_dropped_runs_its_calls_and_ends() {
    let _limit = watchdog(30);
    let (service, log) = (service(), log());
    let id = service.id();
    let call = |n| service.call(noted::task(log.try_clone().unwrap(), n));
    let [held, detached] = [1, 2].map(call);
    detached.detach();
    drop(service);
    assert_eq!(held.join().unwrap(), 1);
    until("it ends", || !is_alive(id));
    assert_eq!(ran(&log), [1, 2]);
}

#[test]
fn calls_that_nobody_hears_run_to_the_end() {
    let _limit = watchdog(30);
    let (service, log) = (service(), log());
    let id = service.id();
    service.call(nap::task(50)).detach();
    for n in 0..20 {
        service
            .call(noted::task(log.try_clone().unwrap(), n))
            .detach();
    }
    drop(service);
    until("it ends", || !is_alive(id));
    assert_eq!(ran(&log), (0..20).collect::<Vec<u8>>());
}

#[test]
fn a_stop_waits_for_the_calls_and_no_longer_than_it_may() {
    let _limit = watchdog(60);
    let service = self::service();
    // More results than the socket takes, of which nobody takes any.
    let calls: Vec<_> = (0..200)
        .map(|_| service.call(grow::task(vec![], 60_000)))
        .collect();
    let id = service.id();
    assert!(service.stop(LONG).unwrap().success());
    assert!(!is_alive(id));
    assert!(
        calls
            .into_iter()
            .all(|call| call.join().unwrap().len() == 60_000)
    );

    let service = self::service();
    let (hangs, behind) = (
        service.call(nap::task(3_600_000)),
        service.call(echo::task(1)),
    );
    begun(&hangs);
    let start = Instant::now();
    let exit = service.stop(Duration::from_millis(50)).unwrap();
    assert!(!exit.success() && start.elapsed() < Duration::from_secs(1));
    assert!(!hangs.join().unwrap_err().is_unstarted());
    assert!(behind.join().unwrap_err().is_unstarted());
}

#[test]
fn a_worker_that_is_stopped_costs_time_and_nothing_else() {
    let _limit = watchdog(30);
    let service = service();
    signal(service.id(), libc::SIGSTOP);
    let mut call = service.call(echo::task(6));
    assert_eq!(call.join_timeout(Duration::from_millis(30)).unwrap(), None);
    assert!(!call.is_finished() && call.pid().is_none());
    signal(service.id(), libc::SIGCONT);
    assert_eq!(call.join_timeout(LONG).unwrap(), Some(6));
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn outside_of_a_runtime_a_future_names_join_and_the_call_goes_on() {
    let _limit = watchdog(30);
    let service = service();
    let waker = Waker::from(Arc::new(Nobody));
    let mut call = pin!(service.call(nap::task(50)));
    let poll = call.as_mut().poll(&mut Context::from_waker(&waker));
    let Poll::Ready(Err(error)) = poll else {
        panic!("{poll:?}");
    };
    assert!(
        error.is_invalid() && error.to_string().contains("`join`"),
        "{error}"
    );
    assert_eq!(call.join_timeout(LONG).unwrap(), Some(50));
}
