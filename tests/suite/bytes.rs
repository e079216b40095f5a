//! Shared memory: written once, whoever has it; nothing else passes for it.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{fs::MetadataExt, net::UnixStream},
    },
    process::id,
    sync::{Arc, Barrier},
    thread,
};

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::{
        memfd::{MFdFlags, memfd_create},
        resource::{Resource, getrlimit, setrlimit},
    },
};
use serde::{Deserialize, Serialize};
use zygote::{Bytes, Fd, Process, Receiver, Sender, channel};

use crate::util::{Census, alone, field, watchdog};

const LARGE: usize = 64 << 20;

#[zygote::entry]
fn same(bytes: Bytes) -> Bytes {
    bytes
}

#[zygote::entry]
fn reversed(bytes: Bytes) -> zygote::Result<Bytes> {
    Bytes::new(bytes.iter().rev().copied().collect::<Vec<u8>>())
}

#[zygote::entry]
fn maybe(bytes: Option<Bytes>) -> Option<Bytes> {
    bytes
}

#[zygote::entry]
fn fallible(bytes: Bytes, fail: bool) -> Result<Bytes, String> {
    if fail {
        Err("as asked".to_owned())
    } else {
        Ok(bytes)
    }
}

/// Has it taken further, by a worker of its own.
#[zygote::entry]
fn through_another(bytes: Bytes) -> zygote::Result<Bytes> {
    same::spawn(bytes.clone())?.join()
}

#[test]
fn they_are_arguments_and_results() {
    let _limit = watchdog(30);
    for length in [0, 1, 4096, 100_000] {
        let bytes = Bytes::new(vec![7; length]).unwrap();
        let back = same::spawn(bytes.clone()).unwrap().join().unwrap();
        assert_eq!(back, bytes);
        assert_eq!(inode(&back), inode(&bytes), "the same memory");
    }
    let bytes = Bytes::new("some").unwrap();
    let back = reversed::spawn(bytes.clone()).unwrap().join().unwrap();
    assert_eq!(*back.unwrap(), *b"emos");
    let back = through_another::spawn(bytes.clone()).unwrap().join();
    assert_eq!(inode(&back.unwrap().unwrap()), inode(&bytes));
    assert_eq!(maybe::spawn(None).unwrap().join().unwrap(), None);
    let some = maybe::spawn(Some(bytes.clone())).unwrap().join().unwrap();
    assert_eq!(some.as_ref(), Some(&bytes));
    let ok = fallible::spawn(bytes.clone(), false).unwrap().join();
    assert_eq!(ok.unwrap(), Ok(bytes.clone()));
    let err = fallible::spawn(bytes, true).unwrap().join().unwrap();
    assert_eq!(err, Err("as asked".to_owned()));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    name: String,
    parts: Vec<Bytes>,
}

#[zygote::entry]
fn on_a_channel(jobs: Receiver<Job>, results: Sender<Bytes>) -> zygote::Result<()> {
    for job in jobs {
        let job = job?;
        assert_eq!(job.parts.len().to_string(), job.name);
        for part in job.parts {
            results.send(part)?;
        }
    }
    Ok(())
}

#[test]
fn they_travel_inside_of_values_and_by_channels() {
    let _limit = watchdog(30);
    let (jobs, from) = channel().unwrap();
    let (to, results) = channel().unwrap();
    let worker = on_a_channel::spawn(from, to).unwrap();
    let parts = ["", "one", "two"].map(|text| Bytes::new(text).unwrap());
    jobs.send(Job {
        name: "3".to_owned(),
        parts: parts.to_vec(),
    })
    .unwrap();
    drop(jobs);
    let back: Vec<Bytes> = results.map(Result::unwrap).collect();
    worker.join().unwrap().unwrap();
    assert_eq!(back, parts);
    assert!(back.iter().map(inode).eq(parts.iter().map(inode)));
}

#[zygote::preload]
fn keep(bytes: Bytes) -> Bytes {
    bytes
}

#[zygote::entry]
fn kept(bytes: &Bytes) -> (Bytes, Vec<(u64, String)>) {
    (bytes.clone(), maps(id()))
}

#[test]
fn forks_share_those_of_a_preload() {
    let _limit = watchdog(30);
    let bytes = Bytes::new("some").unwrap();
    let process = Process::new().unwrap();
    let process = process.preload(keep::task(bytes.clone())).unwrap();
    let (back, maps) = kept::spawn(&process).unwrap().join().unwrap();
    assert_eq!(back, bytes);
    assert_eq!(maps, [(inode(&bytes), "r--p".to_owned())]);
}

/// Reads a byte of each page, says the sum, and stays until it may go.
#[zygote::entry]
fn read_all(bytes: Bytes, sum: Sender<u64>, mut stay: UnixStream) -> zygote::Result<()> {
    sum.send(bytes.iter().step_by(1024).copied().map(u64::from).sum())?;
    drop(sum);
    io::copy(&mut stay, &mut io::sink())?;
    Ok(())
}

#[test]
fn eight_workers_have_one_copy_between_them() {
    let _limit = watchdog(120);
    let mut octets = vec![1; LARGE];
    octets[LARGE - 1024] = 3;
    let bytes = Bytes::new(&octets).unwrap();
    drop(octets);
    let (sum, sums) = channel().unwrap();
    let (go, stay) = UnixStream::pair().unwrap();
    let tasks = (0..8).map(|_| {
        let (sum, stay) = (sum.try_clone().unwrap(), stay.try_clone().unwrap());
        read_all::task(bytes.clone(), sum, stay)
    });
    let tasks: Vec<_> = tasks.collect();
    let process = Process::new().unwrap();
    let workers = process.spawn_all(tasks).into_iter().map(Result::unwrap);
    let workers: Vec<_> = workers.collect();
    drop((sum, stay));
    let sums: Vec<u64> = sums.map(Result::unwrap).collect();
    assert_eq!(sums, [(LARGE as u64 / 1024) + 2; 8]);
    // All eight have read it all, and are there.
    for worker in &workers {
        let used = fs::read_to_string(format!("/proc/{}/smaps_rollup", worker.id())).unwrap();
        let kib = |name| -> usize {
            let value = field(&used, name);
            value.strip_suffix(" kB").unwrap().trim().parse().unwrap()
        };
        assert!(kib("Rss") >= LARGE / 1024, "{used}");
        assert!(kib("Private_Clean") + kib("Private_Dirty") < 2048, "{used}");
        let only = [(inode(&bytes), "r--p".to_owned())];
        assert_eq!(maps(worker.id()), only);
    }
    drop(go);
    for worker in workers {
        worker.join().unwrap().unwrap();
    }
}

#[test]
fn descriptors_and_mappings_are_given_back() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        let mapped = maps(id());
        let bytes = Bytes::new("some").unwrap();
        assert_eq!(maps(id()).len(), mapped.len() + 1);
        let task = same::task(bytes.clone());
        for _ in 0..8 {
            let worker = Process::new().unwrap().run(task.clone()).unwrap();
            drop(worker.join().unwrap());
        }
        assert_eq!(maps(id()).len(), mapped.len() + 1);
        drop((bytes, task));
        assert_eq!(maps(id()), mapped);
        before.check();
    });
}

/// A file in memory of this length, that begins with these bytes.
fn memory(bytes: &[u8], length: u64, seals: SealFlag) -> File {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create(c"other", flags).unwrap());
    file.write_all(bytes).unwrap();
    file.set_len(length).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file
}

#[test]
fn what_is_not_sealed_memory_is_refused() {
    let _limit = watchdog(60);
    alone(|| {
        let before = Census::take();
        let needed = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
        let mut wrong: Vec<OwnedFd> = vec![
            File::open("/dev/null").unwrap().into(),
            tempfile::tempfile().unwrap().into(),
            UnixStream::pair().unwrap().0.into(),
            memory(b"some", 1 << 40, needed).into(),
        ];
        for missing in needed {
            wrong.push(memory(b"some", 4, needed - missing).into());
        }
        let (sender, receiver) = channel::<Fd<OwnedFd>>().unwrap();
        let receiver = Receiver::<Bytes>::from(OwnedFd::from(receiver));
        for fd in wrong {
            sender.send(fd.into()).unwrap();
            let error = receiver.recv().unwrap_err();
            assert!(error.is_invalid(), "{error:?}");
            assert!(error.to_string().contains("F_SEAL_WRITE"), "{error}");
        }
        // What another program sealed is taken, whatever its offset.
        let file = memory(b"some", 4, needed).into();
        sender.send(Fd(file)).unwrap();
        assert_eq!(*receiver.recv().unwrap(), *b"some");
        drop((sender, receiver));
        before.check();
    });
}

#[cfg(feature = "confine")]
#[test]
fn a_confined_worker_takes_and_gives_them() {
    use zygote::settings::Confine;

    let _limit = watchdog(60);
    let bytes = Bytes::new((0..200).collect::<Vec<u8>>().repeat(1000)).unwrap();
    for form in [Confine::compute(), Confine::compute().strict()] {
        let process = Process::new().unwrap().confine(form);
        let worker = process.fork().unwrap().run(same::task(bytes.clone()));
        let back = worker.unwrap().join().unwrap();
        assert_eq!(inode(&back), inode(&bytes));
        let back = process.run(reversed::task(bytes.clone())).unwrap().join();
        let back = back.unwrap().unwrap();
        assert!(back.iter().rev().eq(bytes.iter()));
    }
}

#[zygote::entry]
fn length(bytes: Vec<u8>) -> usize {
    bytes.len()
}

/// How many memory files this program has open.
fn memory_files() -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let links = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    let is_ours = |link: &std::path::PathBuf| link.starts_with("/memfd:zygote (deleted)");
    links.filter(is_ours).count()
}

#[test]
fn a_long_argument_is_written_once_for_all_runs() {
    let _limit = watchdog(120);
    alone(|| {
        let before = Census::take();
        let run = |task| Process::new().unwrap().run(task);
        let task = length::task(vec![7; LARGE]);
        let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        let limit = |soft| setrlimit(Resource::RLIMIT_FSIZE, soft, hard).unwrap();

        // Nothing may be written: an error, and nothing is kept.
        limit(1 << 20);
        for _ in 0..2 {
            let error = run(task.clone()).unwrap_err();
            assert!(error.is_unstarted(), "{error:?}");
            assert!(error.to_string().contains("memfd_create"), "{error}");
        }
        assert_eq!(memory_files(), 0);

        // It is written at the first run that can.
        limit(soft);
        assert_eq!(run(task.clone()).unwrap().join().unwrap(), LARGE);
        assert_eq!(memory_files(), 1);
        limit(1 << 20);
        for _ in 0..7 {
            assert_eq!(run(task.clone()).unwrap().join().unwrap(), LARGE);
        }
        limit(soft);
        assert_eq!(memory_files(), 1);
        drop(task);
        assert_eq!(memory_files(), 0);
        before.check();
    });
}

#[test]
fn threads_that_run_a_task_at_once_write_its_argument_once() {
    let _limit = watchdog(60);
    alone(|| {
        for _ in 0..20 {
            let task = length::task(vec![7; 1 << 20]);
            let start = Arc::new(Barrier::new(4));
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let (task, start) = (task.clone(), Arc::clone(&start));
                    let process = Process::new().unwrap();
                    process.id().unwrap();
                    thread::spawn(move || {
                        start.wait();
                        process.run(task).unwrap().join().unwrap()
                    })
                })
                .collect();
            for thread in threads {
                assert_eq!(thread.join().unwrap(), 1 << 20);
            }
            assert_eq!(memory_files(), 1);
        }
        assert_eq!(memory_files(), 0);
    });
}

#[test]
fn short_arguments_need_no_memory_file() {
    let _limit = watchdog(30);
    alone(|| {
        let task = length::task(vec![7; 64 << 10]);
        let worker = Process::new().unwrap().run(task.clone()).unwrap();
        assert_eq!(worker.join().unwrap(), 64 << 10);
        assert_eq!(memory_files(), 0);
        drop(task);
    });
}

/// Which memory it is.
fn inode(bytes: &Bytes) -> u64 {
    let fd = bytes.as_fd().try_clone_to_owned().unwrap();
    File::from(fd).metadata().unwrap().ino()
}

/// The inodes of memory files that a process has mapped, and how.
fn maps(of: u32) -> Vec<(u64, String)> {
    let text = fs::read_to_string(format!("/proc/{of}/maps")).unwrap();
    let lines = text.lines().filter(|line| line.contains("/memfd:zygote"));
    let found: BTreeSet<(u64, String)> = lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[4].parse().unwrap(), words[1].to_owned())
        })
        .collect();
    found.into_iter().collect()
}
