//! No room for descriptors, in each of the three processes: one typed error,
//! soon, nothing lost, and everything goes on afterwards.

use std::{error::Error as _, fs::File, io, process::id, time::Duration};

use zygote::{Error, Fd, Process, Receiver, Sender, channel};

use crate::util::{self, Census, alone, watchdog, within};

const SOON: Duration = Duration::from_secs(3);

#[zygote::entry]
fn count(files: Vec<Fd<File>>) -> usize {
    files.len()
}

#[zygote::entry]
fn gives(count: usize) -> Vec<Fd<File>> {
    (0..count)
        .map(|_| File::open("/dev/null").unwrap().into())
        .collect()
}

#[zygote::entry]
fn takes_from(files: Receiver<Fd<File>>, ready: Sender<bool>) -> (bool, u64) {
    // Those that stand below are taken; none may come.
    let before = util::limit_fds(id(), 3);
    let failed = files
        .recv_timeout(util::PATIENCE)
        .is_err_and(|error| is_no_room(&error));
    util::limit_fds(id(), before);
    ready.send(failed).unwrap();
    (
        failed,
        files
            .recv()
            .map_or(0, |file| file.metadata().unwrap().len()),
    )
}

fn files(count: usize) -> Vec<Fd<File>> {
    (0..count)
        .map(|_| File::open("/dev/null").unwrap().into())
        .collect()
}

/// An error of the operating system, of which the text or the cause says that
/// there is no room.
fn is_no_room(error: &Error) -> bool {
    let cause = error.source().and_then(|it| it.downcast_ref::<io::Error>());
    let code = cause.and_then(io::Error::raw_os_error);
    let said = format!("{error:?}");
    let is_typed =
        !(error.is_panic() || error.is_exit() || error.is_timeout() || error.is_signal());
    is_typed
        && (code == Some(libc::EMFILE)
            || said.contains("RLIMIT_NOFILE")
            || said.contains("Too many open files")
            || said.contains("no room"))
}

/// Leaves this process room for so many more descriptors, until it is dropped.
struct Cramped {
    before: u64,
    _filled: Vec<File>,
}

impl Cramped {
    fn new(room: usize) -> Self {
        let mut filled = Vec::new();
        let before = util::limit_fds(id(), 128);
        while let Ok(file) = File::open("/dev/null") {
            filled.push(file);
        }
        filled.truncate(filled.len() - room);
        Self {
            before,
            _filled: filled,
        }
    }
}

impl Drop for Cramped {
    fn drop(&mut self) {
        util::limit_fds(id(), self.before);
    }
}

#[test]
fn a_program_without_room_gets_a_typed_error() {
    let _limit = watchdog(120);
    alone(|| {
        let before = Census::take();
        let mut failures = 0;
        for room in 0..12 {
            let cramped = Cramped::new(room);
            // More at once than there are in stock.
            let workers: Vec<_> = (0..10).map(|_| within(SOON, || gives::spawn(0))).collect();
            let outcomes: Vec<_> = workers
                .into_iter()
                .map(|worker| within(SOON, || worker.and_then(|worker| worker.join())))
                .collect();
            drop(cramped);
            for error in outcomes.iter().filter_map(|it| it.as_ref().err()) {
                assert!(is_no_room(error), "room for {room}: {error:?}");
                failures += 1;
            }
            assert_eq!(gives::spawn(0).unwrap().join().unwrap().len(), 0);
            before.check();
        }
        assert!(failures > 10, "{failures}");
    });
}

#[test]
fn a_program_without_room_for_a_result_gets_a_typed_error() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        for count in [10, 200, 300] {
            let worker = gives::spawn(count).unwrap();
            worker.wait().unwrap();
            let cramped = Cramped::new(5);
            let error = within(SOON, || worker.join()).unwrap_err();
            drop(cramped);
            assert!(is_no_room(&error), "{count}: {error:?}");
            assert!(!error.is_unstarted(), "{error:?}");
            assert_eq!(gives::spawn(3).unwrap().join().unwrap().len(), 3);
        }
        before.check();
    });
}

#[test]
fn a_template_without_room_gives_a_typed_error() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        let template = util::template();
        let limit = util::limit_fds(template, 3);
        // What is in stock exists already.
        let mut failed = 0;
        for _ in 0..20 {
            match within(SOON, || gives::spawn(0)) {
                Ok(worker) => assert!(worker.join().unwrap().is_empty()),
                Err(error) => {
                    assert!(is_no_room(&error) && error.is_unstarted(), "{error:?}");
                    failed += 1;
                }
            }
        }
        assert!(failed > 0);
        util::limit_fds(template, limit);
        assert_eq!(gives::spawn(1).unwrap().join().unwrap().len(), 1);
        assert_eq!(util::template(), template, "it has not died of it");
        before.check();
    });
}

#[test]
fn a_worker_without_room_gives_a_typed_error() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        for many in [1, 20, 253, 300] {
            let process = Process::new().unwrap();
            let pid = process.id().unwrap();
            util::limit_fds(pid, 3);
            let outcome = within(SOON, || process.run(count::task(files(many)))?.join());
            let error = outcome.unwrap_err();
            assert!(
                is_no_room(&error) && error.is_unstarted(),
                "{many}: {error:?}"
            );
            util::until("it has ended", || util::stat(pid).is_none());
            assert_eq!(count::spawn(files(many)).unwrap().join().unwrap(), many);
        }
        before.check();
    });
}

#[test]
fn a_channel_without_room_loses_one_value() {
    let _limit = watchdog(60);
    let (sender, receiver) = channel::<Fd<File>>().unwrap();
    let (ready, said) = channel::<bool>().unwrap();
    let worker = takes_from::spawn(receiver, ready).unwrap();
    sender.send(tempfile::tempfile().unwrap().into()).unwrap();
    assert!(
        said.recv_timeout(util::PATIENCE).unwrap(),
        "one typed error"
    );
    let file = tempfile::tempfile().unwrap();
    file.set_len(77).unwrap();
    sender.send(file.into()).unwrap();
    assert_eq!(worker.join().unwrap(), (true, 77));
}
