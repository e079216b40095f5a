//! What the workers of a pool are, and what travels in calls.

use std::{
    fs::File,
    io::{Read, Seek, Write},
    os::unix::process::parent_id,
};

use zygote::{Bytes, Fd, Pool, Process, Receiver, Sender, channel, settings::Resource};

use super::tasks::{LONG, builder, echo, log, ms};
use crate::util::{until, watchdog};

#[zygote::entry]
fn looks() -> (Option<String>, u64, bool) {
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    let session = nix::unistd::getsid(None).unwrap();
    let is_leader = session == nix::unistd::getpid();
    (
        std::env::var("ZYGOTE_POOL").ok(),
        limit.unwrap().0,
        is_leader,
    )
}

#[test]
fn each_worker_has_the_settings_of_the_process() {
    let _limit = watchdog(30);
    let process = || {
        let process = Process::new()?.env("ZYGOTE_POOL", "set").session();
        Ok(process.rlimit(Resource::Nofile, 50, 50))
    };
    for calls in [1, 2] {
        let pool = Pool::builder(process).workers(1..=2).calls(calls);
        let pool = pool.build().unwrap();
        for looked in pool.map((0..6).map(|_| looks::task())) {
            assert_eq!(looked.unwrap(), (Some("set".into()), 50, true));
        }
    }
    let bad = || Ok(Process::new()?.current_dir("/nowhere"));
    let error = Pool::builder(bad)
        .workers(1..=1)
        .build()
        .map(drop)
        .unwrap_err();
    assert!(error.is_setting() && error.is_unstarted(), "{error:?}");
}

#[cfg(feature = "confine")]
#[zygote::entry]
fn reads(path: String) -> Result<usize, String> {
    let bytes = std::fs::read(path).map_err(|error| error.kind().to_string())?;
    Ok(bytes.len())
}

#[cfg(feature = "confine")]
#[zygote::entry]
fn builds() -> String {
    match Pool::new(1) {
        Ok(_) => "a pool".into(),
        Err(error) => error.to_string(),
    }
}

#[cfg(feature = "confine")]
#[test]
fn confined_workers_answer_calls_and_build_no_pool() {
    let _limit = watchdog(30);
    let process = || Ok(Process::new()?.confine(zygote::settings::Confine::compute()));
    let pool = Pool::builder(process).workers(1..=2).build().unwrap();
    assert_eq!(pool.call(echo::task(3)).join().unwrap(), 3);
    let read = pool.call(reads::task("/etc/passwd".into())).join();
    assert!(read.is_err() || read.unwrap().is_err());
    let built = pool.call(builds::task()).join().unwrap();
    assert!(built.contains("confine"), "{built}");
    assert_eq!(pool.call(echo::task(4)).join().unwrap(), 4);
}

#[zygote::preload]
fn zero(start: u64) -> u64 {
    start
}

#[zygote::entry]
fn add(sum: &mut u64, n: u64) -> u64 {
    *sum += n;
    *sum
}

#[test]
fn the_value_is_kept_from_call_to_call_in_each_worker() {
    let _limit = watchdog(30);
    let pool = Pool::builder(|| Process::new()?.preload(zero::task(100)));
    let pool = pool.workers(1..=1).calls(4).build().unwrap();
    let sums: Vec<_> = pool
        .map((1..=8).map(add::task))
        .map(Result::unwrap)
        .collect();
    assert_eq!(sums, [101, 103, 106, 110, 105, 111, 118, 126]);
}

#[zygote::entry]
fn passes(
    mut file: File,
    shared: Bytes,
    from: Receiver<u32>,
    to: Sender<u32>,
) -> (Bytes, Fd<File>) {
    file.write_all(b"written").unwrap();
    to.send(from.map(Result::unwrap).sum()).unwrap();
    (shared, file.into())
}

#[test]
fn descriptors_bytes_and_channels_travel_both_ways() {
    let _limit = watchdog(30);
    for calls in [1, 1000] {
        let pool = builder(2).depth(16).calls(calls).build().unwrap();
        let mut all = Vec::new();
        for n in 0..6 {
            let shared = Bytes::new(vec![n; 100_000]).unwrap();
            let (to, far) = channel::<u32>().unwrap();
            let (back, heard) = channel::<u32>().unwrap();
            let call = pool.call(passes::task(log(), shared.clone(), far, back));
            all.push((call, to, heard, shared));
        }
        for (call, to, heard, shared) in all {
            (1..=3).for_each(|n| to.send(n).unwrap());
            drop(to);
            let (bytes, file) = call.join().unwrap();
            let mut file = &*file;
            assert!(bytes == shared);
            assert_eq!(heard.map(Result::unwrap).collect::<Vec<_>>(), [6]);
            let mut text = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "written");
        }
    }
}

#[zygote::entry]
fn turned(mut bytes: Vec<u8>, length: usize) -> Vec<u8> {
    let last = bytes.last().copied().unwrap_or(9);
    bytes.resize(length, last);
    bytes.reverse();
    bytes
}

#[test]
fn long_arguments_and_results_arrive_though_the_sockets_are_full() {
    let _limit = watchdog(60);
    let pool = builder(2).depth(16).build().unwrap();
    for (sent, returned) in [
        (70_000, 70_000),
        (65_536, 10),
        (10, 300_000),
        (1_000_000, 1_000_000),
    ] {
        let calls: Vec<_> = (0..60_u8)
            .map(|n| pool.call(turned::task(vec![n; sent], returned)))
            .collect();
        for (n, call) in (0..).zip(calls) {
            assert!(
                call.join().unwrap() == vec![n; returned],
                "{n}: {sent} {returned}"
            );
        }
    }
    assert_eq!(pool.stats().started, 2);
}

#[test]
fn a_result_beyond_the_limit_is_an_error_of_its_call_alone() {
    let _limit = watchdog(30);
    let pool = Pool::builder(|| Ok(Process::new()?.result_limit(1000)));
    let pool = pool.workers(1..=1).depth(16).build().unwrap();
    let lengths = [10, 2000, 100_000, 11].map(|n| pool.call(turned::task(vec![], n)));
    let [Ok(10), Err(short), Err(long), Ok(11)] =
        lengths.map(|call| call.join().map(|it| it.len()))
    else {
        panic!("other lengths");
    };
    assert!(
        short.is_invalid() && long.is_invalid(),
        "{short:?} {long:?}"
    );
    assert_eq!(pool.stats().started, 1);
}

#[zygote::entry]
fn nested(n: u64) -> (u64, u32) {
    let pool = Pool::new(2).unwrap();
    let sum = pool.map((0..n).map(echo::task)).map(Result::unwrap).sum();
    pool.shutdown(LONG).unwrap();
    (sum, parent_id())
}

#[test]
fn a_worker_may_have_a_pool() {
    let _limit = watchdog(30);
    let pool = builder(2).build().unwrap();
    let calls = [10, 20].map(|n| pool.call(nested::task(n)));
    assert_eq!(calls.map(|call| call.join().unwrap().0), [45, 190]);
    pool.shutdown(LONG).unwrap();
}

#[zygote::preload]
fn builds_a_pool() -> String {
    match Pool::new(1) {
        Ok(_) => "a pool".into(),
        Err(error) => format!("{error} {}", error.is_unstarted()),
    }
}

#[test]
fn a_preload_builds_no_pool() {
    let _limit = watchdog(30);
    let preloaded = Process::new().unwrap().preload(builds_a_pool::task());
    let error = preloaded.map(drop).unwrap_err();
    assert!(
        error.is_invalid() && error.to_string().contains("zygote-pool"),
        "{error:?}"
    );
}

#[zygote::entry]
fn a_program(pids: Sender<u32>) {
    let pool = Pool::new(3).unwrap();
    let calls = [(); 3].map(|()| pool.call(super::tasks::nap::task(3_600_000)));
    for call in &calls {
        pids.send(super::tasks::begun(call)).unwrap();
    }
    std::thread::sleep(LONG);
}

#[test]
fn no_worker_is_left_when_the_program_is_killed() {
    let _limit = watchdog(30);
    let (send, heard) = channel().unwrap();
    let program = a_program::spawn(send).unwrap();
    let pids: Vec<u32> = (0..3).map(|_| heard.recv().unwrap()).collect();
    program.kill().unwrap();
    let is_gone = || pids.iter().all(|pid| !crate::util::is_alive(*pid));
    crate::util::until_within(ms(1000), "they have ended", is_gone);
    assert!(program.join().unwrap_err().is_signal());
    until("nobody holds the channel", || {
        heard.recv_timeout(ms(10)).is_err()
    });
}
