//! What becomes of calls whose worker, program or caller dies.

use std::{
    thread,
    time::{Duration, Instant},
};

use zygote::{Call, Process, Sender, Service, channel};

use super::{LONG, begun, echo, log, nap, noted, ran, service};
use crate::util::{self, Census, alone, is_alive, signal, until, watchdog, within};

/// Dies in its own way while it is decoded, runs, is encoded, or after it has answered.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
enum Death {
    Panic,
    Abort,
    Exit,
    Fault,
    Kill,
    Exec,
}

const DEATHS: [Death; 6] = [
    Death::Panic,
    Death::Abort,
    Death::Exit,
    Death::Fault,
    Death::Kill,
    Death::Exec,
];

#[allow(clippy::exit, reason = "what the test is about")]
fn die(how: Death) {
    match how {
        Death::Panic => panic!("on request"),
        Death::Abort => std::process::abort(),
        Death::Exit => std::process::exit(0),
        Death::Fault => signal(std::process::id(), libc::SIGSEGV),
        Death::Kill => signal(std::process::id(), libc::SIGKILL),
        Death::Exec => {
            use std::os::unix::process::CommandExt;
            drop(std::process::Command::new("true").exec());
        }
    }
}

/// A value that dies when it is encoded or decoded in a worker.
#[derive(Debug)]
struct Deadly {
    how: Death,
    to: Option<bool>,
}

impl serde::Serialize for Deadly {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.to == Some(true) {
            die(self.how);
        }
        serde::Serialize::serialize(&(self.how, self.to), to)
    }
}

impl<'de> serde::Deserialize<'de> for Deadly {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (how, to) = serde::Deserialize::deserialize(from)?;
        if to == Some(false) {
            die(how);
        }
        Ok(Self { how, to })
    }
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Decode,
    Run,
    Encode,
    After,
}

#[zygote::entry]
fn decodes(_deadly: Deadly) {}

#[zygote::entry]
fn runs(how: Death) {
    die(how);
}

#[zygote::entry]
fn encodes(how: Death) -> Deadly {
    Deadly {
        how,
        to: Some(true),
    }
}

#[zygote::entry]
fn later(how: Death) {
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        // On another thread a panic ends that thread only.
        if !matches!(how, Death::Panic) {
            die(how);
        }
    });
}

fn deadly(service: &Service, phase: Phase, how: Death) -> Call<()> {
    let to = Some(false);
    match phase {
        Phase::Decode => service.call(decodes::task(Deadly { how, to })),
        Phase::Run => service.call(runs::task(how)),
        // Its result is never read.
        Phase::Encode => {
            service.call(encodes::task(how)).detach();
            service.call(runs::task(how))
        }
        Phase::After => service.call(later::task(how)),
    }
}

#[test]
fn whatever_a_call_dies_of_each_call_has_one_outcome() {
    let _limit = watchdog(120);
    alone(|| {
        // The template is there.
        echo::spawn(1).unwrap().join().unwrap();
        let before = Census::take();
        for how in DEATHS {
            for phase in [Phase::Decode, Phase::Run, Phase::Encode, Phase::After] {
                let (service, log) = (service(), log());
                let note = |n| service.call(noted::task(log.try_clone().unwrap(), n));
                let first = note(1);
                let deadly = deadly(&service, phase, how);
                let behind = [2, 3, 4].map(note);
                assert_eq!(first.join().unwrap(), 1, "{phase:?} {how:?}");
                let goes_on = matches!(how, Death::Panic);
                let outcome = deadly.join();
                match phase {
                    Phase::After => outcome.unwrap(),
                    _ if goes_on => assert!(outcome.unwrap_err().is_panic()),
                    Phase::Encode => assert!(outcome.unwrap_err().is_unstarted()),
                    _ => assert!(!outcome.unwrap_err().is_unstarted(), "{phase:?} {how:?}"),
                }
                let mut expected = vec![1];
                for (n, call) in (2..).zip(behind) {
                    match call.join() {
                        Ok(got) => expected.push(u8::try_from(got).unwrap()),
                        Err(error) => {
                            assert!(!goes_on, "{error:?}");
                            assert!(error.is_unstarted(), "{n}: {phase:?} {how:?}: {error:?}");
                            assert!(error.exit().is_some());
                        }
                    }
                }
                assert_eq!(ran(&log), expected, "{phase:?} {how:?}");
            }
        }
        before.check();
    });
}

#[test]
fn what_a_killed_worker_had_not_begun_is_unstarted_and_what_it_had_answered_is_there() {
    let _limit = watchdog(60);
    for round in 0..40 {
        let (service, log) = (service(), log());
        let calls: Vec<_> = (0..100)
            .map(|n| service.call(noted::task(log.try_clone().unwrap(), n)))
            .collect();
        (0..round * 50).for_each(|_| std::hint::spin_loop());
        signal(service.id(), libc::SIGKILL);
        let outcomes: Vec<_> = calls.into_iter().map(Call::join).collect();
        let ran = ran(&log);
        let mut lost = 0;
        for (n, outcome) in (0..).zip(&outcomes) {
            match outcome {
                Ok(_) => assert!(ran.contains(&n), "{n}"),
                Err(error) if error.is_unstarted() => assert!(!ran.contains(&n), "{n} ran"),
                Err(error) => {
                    assert!(error.is_signal(), "{error:?}");
                    lost += 1;
                }
            }
        }
        assert!(lost <= 1, "{lost} calls ran when it was killed");
    }
}

#[allow(unsafe_code, reason = "what an entry may do")]
#[zygote::entry]
fn leaves_a_child() {
    // SAFETY: the child only sleeps and leaves.
    if unsafe { libc::fork() } == 0 {
        thread::sleep(Duration::from_secs(4));
        // SAFETY: it ends this process.
        unsafe { libc::_exit(0) };
    }
    std::process::abort();
}

#[test]
fn a_child_that_holds_the_socket_does_not_hide_the_end() {
    let _limit = watchdog(30);
    let service = service();
    let [dies, behind] = [
        service.call(leaves_a_child::task()),
        service.call(leaves_a_child::task()),
    ];
    let error = within(Duration::from_secs(3), || dies.join()).unwrap_err();
    assert!(error.is_signal() && !error.is_unstarted(), "{error:?}");
    assert!(behind.join().unwrap_err().is_unstarted());
}

#[zygote::entry]
fn forks_with_a_service() {
    let service = service();
    let (mut mine, other) = (service.call(nap::task(300)), service.call(echo::task(2)));
    begun(&mine);
    let mut other = Some(other);
    let status = util::forked(|| {
        let start = Instant::now();
        for error in [
            service.call(echo::task(1)).join().unwrap_err(),
            service.call_timeout(echo::task(1), LONG).unwrap_err(),
            mine.join_timeout(LONG).unwrap_err(),
            mine.kill().unwrap_err(),
            service.kill().unwrap_err(),
            other.take().unwrap().join().unwrap_err(),
        ] {
            assert!(error.is_invalid(), "{error:?}");
            assert!(error.to_string().contains("fork"), "{error}");
        }
        assert!(!mine.cancel());
        assert!(start.elapsed() < Duration::from_millis(200));
        assert!(service.stop(LONG).unwrap_err().is_invalid());
    });
    assert!(status.success(), "{status}");
    assert_eq!(mine.join_timeout(LONG).unwrap(), Some(300));
    assert_eq!(other.unwrap().join().unwrap(), 2);
}

#[test]
fn in_a_copy_of_the_program_every_handle_is_an_error_and_the_program_is_unharmed() {
    let _limit = watchdog(30);
    forks_with_a_service::spawn().unwrap().join().unwrap();
}

#[zygote::entry]
fn serves(to: Sender<u32>) {
    let service = service();
    let call = service.call(nap::task(3_600_000));
    to.send(begun(&call)).unwrap();
    call.join().unwrap();
}

#[test]
fn a_service_dies_with_its_program() {
    let _limit = watchdog(30);
    let (to, from) = channel().unwrap();
    let program = serves::spawn(to).unwrap();
    let service = from.recv().unwrap();
    assert!(is_alive(service));
    program.kill().unwrap();
    until("it dies", || !is_alive(service));
}

#[test]
fn calls_go_on_while_the_template_is_stopped_and_die_with_it() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let service = process.fork().unwrap().serve().unwrap();
    let template = process.id().unwrap();
    signal(template, libc::SIGSTOP);
    for n in 0..10 {
        assert_eq!(service.call(echo::task(n)).join().unwrap(), n);
    }
    signal(template, libc::SIGCONT);
    let calls = [3_600_000, 1].map(|ms| service.call(nap::task(ms)));
    begun(&calls[0]);
    signal(template, libc::SIGKILL);
    let [ran, behind] = calls.map(|call| call.join().unwrap_err());
    assert!(ran.is_template_gone() && !ran.is_unstarted(), "{ran:?}");
    assert!(
        behind.is_template_gone() && behind.is_unstarted(),
        "{behind:?}"
    );
}
