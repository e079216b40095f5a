//! Services whose settings hold more than one process together, or hold it down.

use std::{process::Command, thread, time::Duration};

use zygote::{Process, Service};

use super::{LONG, begun, echo, grow, nap};
use crate::{
    suite::namespaces::in_pid,
    util::{is_alive, until, watchdog},
};

#[zygote::entry]
#[allow(clippy::zombie_processes, reason = "it is left behind")]
fn leaves_and_hangs() {
    let _child = Command::new("sleep").arg("60").spawn().unwrap();
    thread::sleep(Duration::from_secs(3600));
}

fn answers(service: &Service) {
    for n in 0..10 {
        assert_eq!(service.call(echo::task(n)).join().unwrap(), n);
    }
    let long = service.call(grow::task(vec![7; 300_000], 300_000));
    assert!(long.join().unwrap() == vec![7; 300_000]);
}

#[test]
fn killing_a_call_kills_what_it_has_started_as_far_as_settings_hold_that() {
    let _limit = watchdog(30);
    let service = Process::new().unwrap().session().serve().unwrap();
    answers(&service);
    let call = service.call(leaves_and_hangs::task());
    let group = begun(&call);
    let members = || {
        let all = crate::util::processes();
        let stat = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/stat"));
        let is_member = |pid: &&u32| {
            let stat = stat(pid).unwrap_or_default();
            let mut fields = stat[stat.rfind(')').map_or(0, |at| at + 1)..].split_whitespace();
            is_alive(**pid) && fields.nth(2) == Some(&group.to_string())
        };
        all.iter().filter(is_member).count()
    };
    until("both are there", || members() == 2);
    call.kill().unwrap();
    assert!(call.join().unwrap_err().is_cancelled());
    until("both are gone", || members() == 0);
}

#[test]
fn a_service_in_a_pid_namespace_answers_and_ends_as_any_other() {
    let _limit = watchdog(30);
    let Some(process) = in_pid() else { return };
    let service = process.fork().unwrap().serve().unwrap();
    answers(&service);
    assert!(service.stop(LONG).unwrap().success());

    let service = process.serve().unwrap();
    let calls = [3_600_000, 1].map(|ms| service.call(nap::task(ms)));
    begun(&calls[0]);
    service.kill().unwrap();
    let [hangs, behind] = calls.map(|call| call.join().unwrap_err());
    assert!(hangs.is_signal() && !hangs.is_unstarted(), "{hangs:?}");
    assert!(behind.is_signal() && behind.is_unstarted(), "{behind:?}");
}

#[cfg(feature = "confine")]
#[test]
fn a_confined_service_answers() {
    let _limit = watchdog(30);
    let compute = zygote::settings::Confine::compute();
    let service = Process::new().unwrap().confine(compute).serve().unwrap();
    answers(&service);
    let mut slow = service.call(nap::task(50));
    assert_eq!(slow.join_timeout(LONG).unwrap(), Some(50));
    assert!(service.stop(LONG).unwrap().success());
}
