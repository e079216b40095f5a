//! Calls on a live worker.

mod deaths;
mod given_up;
mod held;
mod stays;
mod storm;
#[cfg(feature = "tokio")]
mod tokio;

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use zygote::{Bytes, Call, Process, Receiver, Sender, Service, channel};

use crate::util::{self, Census, alone, until, watchdog};

const LONG: Duration = Duration::from_secs(20);

#[zygote::entry]
fn echo(n: u64) -> u64 {
    n
}

#[zygote::entry]
fn nap(ms: u64) -> u64 {
    thread::sleep(Duration::from_millis(ms));
    ms
}

#[zygote::entry]
fn pid() -> u32 {
    std::process::id()
}

/// Notes that it ran, in one write.
#[zygote::entry]
fn noted(mut log: File, n: u32) -> u32 {
    log.write_all(&[u8::try_from(n).unwrap()]).unwrap();
    n
}

#[zygote::preload]
fn zero(start: u64) -> u64 {
    start
}

#[zygote::entry]
fn add(sum: &mut u64, n: u64) -> u64 {
    assert!(n < 1000, "{n} is too much");
    *sum += n;
    *sum
}

#[zygote::entry]
fn look(sum: &u64, is_good: bool) -> u64 {
    assert!(is_good, "it looks bad");
    *sum
}

fn service() -> Service {
    Process::new().unwrap().serve().unwrap()
}

fn counting() -> Service<u64> {
    Process::new()
        .unwrap()
        .preload(zero::task(5))
        .unwrap()
        .serve()
        .unwrap()
}

/// Waits until the worker has begun the call.
fn begun<R>(call: &Call<R>) -> u32 {
    until("the call begins", || call.pid().is_some());
    call.pid().unwrap()
}

fn log() -> File {
    tempfile::tempfile().unwrap()
}

/// What has run, by the numbers that `noted` wrote.
fn ran(log: &File) -> Vec<u8> {
    let mut log = log.try_clone().unwrap();
    log.rewind().unwrap();
    let mut ran = Vec::new();
    log.read_to_end(&mut ran).unwrap();
    log.seek(io::SeekFrom::End(0)).unwrap();
    ran
}

#[test]
fn calls_run_in_one_process_in_order_and_in_whatever_order_they_are_joined() {
    let _limit = watchdog(30);
    let (service, log) = (service(), log());
    let pids = [(); 3].map(|()| service.call(pid::task()).join().unwrap());
    assert_eq!(pids, [service.id(); 3]);
    let task = |n| noted::task(log.try_clone().unwrap(), n);
    let calls: Vec<_> = (0..100).map(|n| service.call(task(n))).collect();
    for (n, call) in (0..100).zip(calls).rev() {
        assert_eq!(call.join().unwrap(), n);
    }
    assert_eq!(ran(&log), (0..100).collect::<Vec<u8>>());
}

#[test]
fn the_value_stays_from_call_to_call_and_a_panic_that_may_have_changed_it_ends_the_worker() {
    let _limit = watchdog(30);
    let service = counting();
    let sums = [1, 2, 3].map(|n| service.call(add::task(n)));
    assert_eq!(sums.map(|sum| sum.join().unwrap()), [6, 8, 11]);
    assert_eq!(service.call(echo::task(7)).join().unwrap(), 7);
    let error = service.call(look::task(false)).join().unwrap_err();
    assert!(error.is_panic() && !error.is_unstarted(), "{error:?}");
    assert!(error.to_string().contains("look"), "{error}");
    assert_eq!(service.call(look::task(true)).join().unwrap(), 11);

    let (bad, next) = (
        service.call(add::task(1000)),
        service.call(look::task(true)),
    );
    let error = bad.join().unwrap_err();
    assert!(error.is_panic() && error.message().contains("1000 is too much"));
    let error = next.join().unwrap_err();
    assert!(error.is_exit() && error.is_unstarted(), "{error:?}");
    assert_eq!(error.exit().unwrap().status().unwrap().code(), Some(101));
    assert!(service.is_finished());
    let late = service.call(echo::task(1)).join().unwrap_err();
    assert!(late.is_exit() && late.is_unstarted(), "{late:?}");
    assert_eq!(late.pid(), Some(service.id()));
}

#[zygote::entry]
fn variable(name: String) -> Option<String> {
    std::env::var(name).ok()
}

#[zygote::entry]
fn set_variable(name: String, value: String) {
    // SAFETY: this worker has one thread.
    #[allow(unsafe_code, reason = "what an entry may do")]
    unsafe {
        std::env::set_var(name, value);
    }
}

#[test]
fn settings_are_applied_once_and_what_a_call_changes_stays() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap().env("ZYGOTE_CALLS", "set");
    let service = process.fork().unwrap().serve().unwrap();
    let get = || {
        service
            .call(variable::task("ZYGOTE_CALLS".into()))
            .join()
            .unwrap()
    };
    assert_eq!(get().as_deref(), Some("set"));
    let set = set_variable::task("ZYGOTE_CALLS".into(), "changed".into());
    service.call(set).join().unwrap();
    assert_eq!(get().as_deref(), Some("changed"));

    let bad = Process::new().unwrap().current_dir("/nowhere");
    let bad = bad.serve().unwrap_err();
    assert!(bad.is_setting() && bad.is_unstarted(), "{bad:?}");
}

#[zygote::entry]
fn prints(text: String) {
    io::stdout().write_all(text.as_bytes()).unwrap();
}

#[test]
fn output_is_written_before_the_result() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap().stdout(zygote::Stdio::piped());
    let mut service = process.serve().unwrap();
    let mut out = service.take_stdout().unwrap();
    for text in ["one", "two"] {
        service.call(prints::task(text.into())).join().unwrap();
        let mut got = [0; 3];
        out.read_exact(&mut got).unwrap();
        assert_eq!(got, text.as_bytes());
    }
}

#[zygote::entry]
fn passes(mut file: File, shared: Bytes, from: Receiver<u32>, to: Sender<u32>) -> (Bytes, u32) {
    file.write_all(b"written").unwrap();
    let sum = from.map(Result::unwrap).sum();
    to.send(sum).unwrap();
    (shared, sum)
}

#[zygote::entry]
fn gives(path: PathBuf) -> io::Result<File> {
    File::open(path)
}

#[test]
fn descriptors_bytes_and_channels_travel_both_ways() {
    let _limit = watchdog(30);
    let service = service();
    for n in 0..3 {
        let (mut file, shared) = (log(), Bytes::new(vec![n; 100_000]).unwrap());
        let (to, far) = channel::<u32>().unwrap();
        let (back, heard) = channel::<u32>().unwrap();
        let task = passes::task(file.try_clone().unwrap(), shared.clone(), far, back);
        let call = service.call(task);
        (1..=3).for_each(|n| to.send(n).unwrap());
        drop(to);
        let (bytes, sum) = call.join().unwrap();
        assert!(bytes == shared && sum == 6);
        assert_eq!(heard.map(Result::unwrap).collect::<Vec<_>>(), [6]);
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "written");
    }
    let mut text = String::new();
    let mut file = service
        .call(gives::task("Cargo.toml".into()))
        .join()
        .unwrap()
        .unwrap();
    file.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("[workspace]"));
    let missing = service.call(gives::task("/nowhere".into())).join().unwrap();
    assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[zygote::entry]
fn grow(bytes: Vec<u8>, length: usize) -> Vec<u8> {
    vec![bytes.first().copied().unwrap_or(9); length]
}

#[test]
fn two_full_sockets_do_not_wait_for_each_other() {
    let _limit = watchdog(60);
    let service = service();
    for (sent, returned, count) in [
        (60_000, 60_000, 300),
        (10, 60_000, 600),
        (200_000, 200_000, 60),
    ] {
        let calls: Vec<_> = (0..count)
            .map(|n: u32| service.call(grow::task(vec![n.to_le_bytes()[0]; sent], returned)))
            .collect();
        for (n, call) in (0..).zip(calls) {
            let n: u32 = n;
            assert!(
                call.join().unwrap() == vec![n.to_le_bytes()[0]; returned],
                "{n}"
            );
        }
    }
}

#[test]
fn a_call_waits_for_room_no_longer_than_it_may() {
    let _limit = watchdog(30);
    let service = service();
    let slow = service.call(nap::task(3_600_000));
    begun(&slow);
    let mut calls = Vec::new();
    let full = loop {
        match service.call_timeout(echo::task(1), Duration::ZERO) {
            Ok(call) => calls.push(call),
            Err(error) => break error,
        }
    };
    assert!(full.is_timeout() && full.is_unstarted(), "{full:?}");
    assert!(calls.len() > 100, "{}", calls.len());
    let start = Instant::now();
    let late = service.call_timeout(echo::task(1), Duration::from_millis(50));
    assert!(late.unwrap_err().is_timeout());
    assert!(start.elapsed() >= Duration::from_millis(50));
    // A thread that waits for room goes on when there is room, or none for ever.
    thread::scope(|scope| {
        let waits = scope.spawn(|| service.call(echo::task(8)).join());
        thread::sleep(Duration::from_millis(20));
        service.kill().unwrap();
        let error = waits.join().unwrap().unwrap_err();
        assert!(error.is_signal() && error.is_unstarted(), "{error:?}");
    });
    assert!(slow.join().unwrap_err().is_signal());
    for call in calls {
        let error = call.join().unwrap_err();
        assert!(error.is_signal() && error.is_unstarted(), "{error:?}");
    }
}

#[test]
fn any_number_of_threads_may_call_and_join() {
    let _limit = watchdog(60);
    let service = service();
    thread::scope(|scope| {
        for thread in 0..8_u64 {
            let service = &service;
            scope.spawn(move || {
                for n in 0..300 {
                    let n = thread * 1000 + n;
                    let mut calls = [n, n + 1].map(|n| service.call(echo::task(n)));
                    if n % 3 == 0 {
                        calls.reverse();
                    }
                    let [first, mut second] = calls;
                    let soon = second.join_timeout(Duration::from_micros(50)).unwrap();
                    let first = first.join().unwrap();
                    let second = soon.or_else(|| second.join_timeout(LONG).unwrap()).unwrap();
                    assert_eq!(first + second, 2 * n + 1);
                }
            });
        }
    });
}

/// Where a [`Picky`] value refuses to go on.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum At {
    Encode,
    Decode,
    Nowhere,
}

#[derive(Debug, PartialEq)]
struct Picky(At);

impl serde::Serialize for Picky {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            At::Encode => Err(serde::ser::Error::custom("it stays here")),
            at => at.serialize(to),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Picky {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match At::deserialize(from)? {
            At::Decode => Err(serde::de::Error::custom("it is not wanted")),
            at => Ok(Self(at)),
        }
    }
}

#[zygote::entry]
fn takes_picky(_value: Picky) {}

#[zygote::entry]
fn gives_picky(at: At) -> Picky {
    Picky(at)
}

#[test]
fn what_does_not_travel_costs_its_own_call_alone() {
    let _limit = watchdog(30);
    let service = service();
    for at in [At::Encode, At::Decode, At::Nowhere] {
        let (taken, given) = (
            service.call(takes_picky::task(Picky(at))),
            service.call(gives_picky::task(at)),
        );
        let behind = service.call(echo::task(3));
        let (taken, given) = (taken.join(), given.join());
        if at == At::Nowhere {
            taken.unwrap();
            assert_eq!(given.unwrap(), Picky(at));
        } else {
            let (taken, given) = (taken.unwrap_err(), given.unwrap_err());
            assert!(taken.is_invalid() && taken.is_unstarted(), "{taken:?}");
            assert!(given.is_invalid() && !given.is_unstarted(), "{given:?}");
        }
        assert_eq!(behind.join().unwrap(), 3);
    }
}

#[test]
fn a_result_beyond_the_limit_is_an_error_of_its_call_alone() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap().result_limit(100_000);
    let too_long = process
        .spawn(grow::task(vec![], 200_000))
        .unwrap()
        .join()
        .unwrap_err();
    assert!(
        too_long.is_invalid() && !too_long.is_unstarted(),
        "{too_long:?}"
    );
    assert!(too_long.message().contains("100000"), "{too_long}");
    assert_eq!(
        process
            .spawn(grow::task(vec![], 99_000))
            .unwrap()
            .join()
            .unwrap()
            .len(),
        99_000
    );
    let short = process.fork().unwrap().result_limit(1000);
    let service = short.serve().unwrap();
    let calls = [10, 2000, 100_000, 11].map(|n| service.call(grow::task(vec![], n)));
    let lengths = calls.map(|call| call.join().map(|it| it.len()));
    let [Ok(10), Err(short), Err(long), Ok(11)] = lengths else {
        panic!("{lengths:?}");
    };
    assert!(
        short.is_invalid() && long.is_invalid(),
        "{short:?} {long:?}"
    );
}

#[test]
fn a_process_with_workers_takes_no_calls_and_one_from_stock_does() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    for _ in 0..20 {
        let service = process.fork().unwrap().serve().unwrap();
        assert_eq!(service.call(pid::task()).join().unwrap(), service.id());
    }
    let worker = process
        .spawn(nap::task(3_600_000))
        .unwrap()
        .kill_on_drop(true);
    let error = process.serve().unwrap_err();
    assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
    drop(worker);
}

#[zygote::entry]
fn takes(files: Vec<zygote::Fd<File>>) -> usize {
    files.len()
}

#[zygote::entry]
fn gives_many(count: usize) -> Vec<zygote::Fd<File>> {
    let open = |_| File::open("/dev/null").unwrap().into();
    (0..count).map(open).collect()
}

#[test]
fn a_worker_without_room_for_descriptors_refuses_that_call_alone() {
    let _limit = watchdog(30);
    let process = Process::new().unwrap();
    let process = process.rlimit(zygote::settings::Resource::Nofile, 20, 20);
    let service = process.serve().unwrap();
    let many = || (0..30).map(|_| log().into()).collect();
    let [bad, good] = [
        service.call(takes::task(many())),
        service.call(takes::task(vec![])),
    ];
    let error = bad.join().unwrap_err();
    assert!(error.is_unstarted(), "{error:?}");
    assert_eq!(error_code(&error), Some(libc::EMFILE));
    assert_eq!(good.join().unwrap(), 0);
}

#[test]
fn a_program_without_room_for_descriptors_loses_that_result_alone() {
    let _limit = watchdog(60);
    alone(|| {
        let own = std::process::id();
        let service = service();
        assert_eq!(service.call(gives_many::task(40)).join().unwrap().len(), 40);
        let before = util::limit_fds(own, util::fds(own) as u64 + 10);
        let calls = [40, 3].map(|count| service.call(gives_many::task(count)));
        let [bad, good] = calls.map(|call| call.join().map(|files| files.len()));
        util::limit_fds(own, before);
        let error = bad.unwrap_err();
        assert!(!error.is_unstarted(), "{error:?}");
        assert_eq!(error_code(&error), Some(libc::EMFILE));
        assert_eq!(good.unwrap(), 3);
    });
}

fn error_code(error: &zygote::Error) -> Option<i32> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref::<io::Error>()?.raw_os_error()
}

#[zygote::entry]
fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn many_calls_leave_nothing_behind() {
    let _limit = watchdog(120);
    alone(|| {
        echo::spawn(1).unwrap().join().unwrap();
        let before = Census::take();
        let service = service();
        let fds = |service: &Service| {
            (
                service.call(open_fds::task()).join().unwrap(),
                util::fds(std::process::id()),
            )
        };
        let at_first = fds(&service);
        for n in 0..2000 {
            let call = service.call(noted::task(log(), n % 100));
            match n % 5 {
                0 => drop(call),
                1 => call.detach(),
                2 => drop(call.cancel()),
                _ => assert_eq!(call.join().unwrap(), n % 100),
            }
            if n % 3 == 0 {
                drop(
                    service
                        .call(gives::task("Cargo.toml".into()))
                        .join()
                        .unwrap(),
                );
                service.call(gives::task("Cargo.toml".into())).detach();
            }
        }
        assert_eq!(fds(&service), at_first);
        drop(service);
        before.check();
    });
}

#[test]
fn a_service_has_the_streams_of_its_program() {
    let _limit = watchdog(30);
    // The streams that std's type names are lent with the first frame.
    let process = Process::new().unwrap().stdout(zygote::Stdio::null());
    let service = process.serve().unwrap();
    let link = service.call(link_of::task(1)).join().unwrap();
    assert_eq!(link, PathBuf::from("/dev/null"));
    let own = std::fs::read_link("/proc/self/fd/2").unwrap();
    assert_eq!(service.call(link_of::task(2)).join().unwrap(), own);
    // They, its socket, and the directory that is read: the page has no descriptor.
    assert_eq!(service.call(open_fds::task()).join().unwrap(), 5);
}

#[zygote::entry]
fn link_of(fd: u32) -> PathBuf {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap()
}
