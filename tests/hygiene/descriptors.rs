//! Descriptors: exactly those that a process should have.

use super::*;

pub(crate) fn exact_descriptors() {
    // Without close-on-exec, so that an executed template inherits them.
    let junk: Vec<File> = (0..200).map(|_| File::open("/dev/zero").unwrap()).collect();
    for file in &junk {
        // SAFETY: F_SETFD sets a flag and touches no memory.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) };
    }
    for executed in [false, true] {
        if executed {
            end_early();
        }
        let own = Process::new().unwrap();
        let nested = own.fork().unwrap();
        let fresh = Process::fresh().unwrap();
        let alive: Vec<Worker<()>> = (0..50)
            .map(|n| match n % 3 {
                0 => rest::spawn().unwrap(),
                1 => own.fork().unwrap().run(rest::task()).unwrap(),
                _ => nested.fork().unwrap().run(rest::task()).unwrap(),
            })
            .collect();
        let full = File::open("/dev/full").unwrap();
        let passed: [Vec<&File>; 4] = [vec![], vec![&full], vec![&full; 3], vec![&junk[7]; 300]];
        for files in passed {
            for process in [
                Process::new().unwrap(),
                own.fork().unwrap(),
                nested.fork().unwrap(),
                fresh.fork().unwrap(),
            ] {
                let clones = files.iter().map(|file| {
                    let clone = file.try_clone().unwrap();
                    zygote::Fd::from(OwnedFd::from(clone))
                });
                let task = own_descriptors::task(clones.collect());
                let (list, numbers, inherited) = process.run(task).unwrap().join().unwrap();
                check_worker(&list, &numbers, &files);
                assert_eq!(inherited, "[]", "not close-on-exec");
            }
        }
        for template in [
            default_template(),
            own.id().unwrap(),
            nested.id().unwrap(),
            fresh.id().unwrap(),
        ] {
            check_template(template);
        }
        for worker in &alive {
            // It exists, and takes its task in a moment.
            let standard = || descriptors(worker.id())[..3] == listed()[..3];
            assert!(until(LIMIT, standard));
            check_worker(&descriptors(worker.id()), &[], &[]);
        }
        let parked = own.fork().unwrap();
        let list = descriptors(parked.id().unwrap());
        check_nothing(&list);
        assert_eq!(list.len(), 4, "{list:?}");
    }
    say("done", "");
}

/// 0–2, one socket and what was passed; 0–2 are what the program has there.
pub(crate) fn check_worker(list: &[(i32, String)], passed: &[i32], files: &[&File]) {
    check_standard(list);
    assert_eq!(list.len(), 4 + passed.len(), "{list:?}");
    let sockets = list.iter().filter(|(number, target)| {
        *number > 2 && target.starts_with("socket:") && !passed.contains(number)
    });
    assert_eq!(sockets.count(), 1, "{list:?}");
    for (number, file) in passed.iter().zip(files) {
        let (_, target) = list.iter().find(|(fd, _)| fd == number).unwrap();
        let own = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
        assert_eq!(Path::new(target), own);
    }
}

pub(crate) fn check_standard(list: &[(i32, String)]) {
    let own = listed();
    assert_eq!(list[..3], own[..3]);
}

/// A template keeps nobody waiting for the end of a pipe.
fn check_nothing(list: &[(i32, String)]) {
    let null = |number| (number, "/dev/null".to_owned());
    assert_eq!(list[..3], [0, 1, 2].map(null));
}

/// 0–2, and what a template needs: a socket, its children's signals, its
/// owner's pidfd.
pub(crate) fn check_template(pid: u32) {
    // One that forks for the stock holds an end for a moment.
    assert!(until(LIMIT, || descriptors(pid).len() <= 6));
    let list = descriptors(pid);
    check_nothing(&list);
    let kind = |(_, target): &(i32, String)| {
        let end = target.find(":[").filter(|_| target.starts_with("socket"));
        target[..end.unwrap_or(target.len())].to_owned()
    };
    let mut kinds: Vec<String> = list[3..].iter().map(kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let known = ["anon_inode:[pidfd]", "anon_inode:[signalfd]", "socket"];
    // Where pidfds have a file system of their own.
    let is_known = |kind: &String| known.contains(&kind.as_str()) || kind.starts_with("pidfd:");
    assert!(kinds.iter().all(is_known), "{list:?}");
}

#[test]
fn templates_and_workers_have_their_own_and_the_passed_descriptors_only() {
    run("descriptors");
}

/// The program has its own files at 0–2, and passes these.
pub(crate) fn low_numbers() {
    let path = env::temp_dir().join(format!("zygote-low-{}", std::process::id()));
    for executed in [false, true] {
        if executed {
            end_early();
        }
        fs::write(&path, "").unwrap();
        let low: Vec<OwnedFd> = [0, 2]
            .into_iter()
            .map(|number| {
                // SAFETY: nothing but the standard streams owns this number.
                unsafe { libc::close(number) };
                let fd = OwnedFd::from(File::options().append(true).open(&path).unwrap());
                assert_eq!(fd.as_raw_fd(), number);
                fd
            })
            .collect();
        let passed = low.iter().map(|fd| fd.try_clone().unwrap().into());
        let task = own_descriptors::task(passed.collect());
        let (list, numbers, _) = Process::new().unwrap().run(task).unwrap().join().unwrap();
        assert_eq!(list.len(), 6, "{list:?}");
        assert!(numbers.iter().all(|number| *number > 2), "{numbers:?}");
        for number in numbers {
            let (_, target) = list.iter().find(|(fd, _)| *fd == number).unwrap();
            assert_eq!(Path::new(target), path);
        }
        if executed {
            fs::remove_file(&path).unwrap();
        }
        for fd in low {
            let number = fd.into_raw_fd();
            // SAFETY: the number was taken out of its owner just above.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
            let null = File::options().read(true).write(true).open("/dev/null");
            // It stands for the standard stream from here on.
            assert_eq!(null.unwrap().into_raw_fd(), number);
        }
    }
    say("done", "");
}

#[test]
fn files_at_the_numbers_of_standard_streams_are_passed_like_others() {
    run("low_numbers");
}

/// Some of 0–2 were closed at the start.
pub(crate) fn standard() {
    let missing = env::var("MISSING").unwrap();
    for round in ["early", "executed"] {
        let task = own_descriptors::task(vec![File::open("/dev/full").unwrap().into_fd()]);
        let (list, numbers, _) = Process::new().unwrap().run(task).unwrap().join().unwrap();
        let all: Vec<i32> = list.iter().map(|(number, _)| *number).collect();
        assert_eq!(all[..3], [0, 1, 2], "{round}: {list:?}");
        assert_eq!(all.len(), 5, "{round}: {list:?}");
        assert!(numbers[0] > 2, "{numbers:?}");
        for (number, (_, target)) in list[..3].iter().enumerate() {
            if missing.contains(&number.to_string()) {
                assert_eq!(target, "/dev/null", "{round}");
            }
        }
        // Output goes where there is nobody, and not into the protocol.
        assert_eq!(shout::spawn().unwrap().join().unwrap(), 9);
        let template = default_template();
        check_nothing(&descriptors(template));
        say("done", round);
        end_early();
    }
}

pub(crate) trait IntoFd {
    fn into_fd(self) -> zygote::Fd<OwnedFd>;
}

impl IntoFd for File {
    fn into_fd(self) -> zygote::Fd<OwnedFd> {
        OwnedFd::from(self).into()
    }
}

#[zygote::entry]
pub(crate) fn shout() -> u32 {
    let _ = std::io::stdout().write_all(&[b'x'; 10_000]);
    let _ = std::io::stderr().write_all(b"(a worker's words)\n");
    9
}

#[test]
fn standard_streams_that_are_missing_at_the_start_are_nobodys() {
    for missing in ["0", "1", "2", "01", "02", "12", "012"] {
        let report = tempfile::NamedTempFile::new().unwrap();
        let closes: String = missing
            .chars()
            .map(|fd| {
                if fd == '0' {
                    "0<&- ".to_owned()
                } else {
                    format!("{fd}>&- ")
                }
            })
            .collect();
        let script = format!("exec {closes}; exec \"$0\" \"$@\"");
        let program = env::current_exe().unwrap();
        let mut command = within(&["sh", "-c", &script], &program, "standard");
        command
            .env("MISSING", missing)
            .env("ZYGOTE_PROBE_REPORT", report.path());
        let (text, status) = probe::output(command);
        let said = fs::read_to_string(report.path()).unwrap();
        assert!(
            status.success(),
            "without {missing}: {status} {said} {text}"
        );
        let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, ["@done early", "@done executed"], "{missing}");
    }
}
