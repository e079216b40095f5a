//! Descriptors at any number, passed in any order.

use std::os::{
    fd::{AsFd, BorrowedFd, FromRawFd},
    unix::fs::MetadataExt,
};

use sendfd::SendWithFd;

use super::*;

pub(crate) const ROLES: Roles = &[
    ("junk", junk),
    ("swapped", swapped),
    ("closed_later", closed_later),
    ("machinery", machinery),
    ("grandchildren", grandchildren),
];

/// What is inherited at these numbers stays where it is, and nobody else gets
/// it.
fn junk() {
    let first: i32 = env::var("JUNK").unwrap().parse().unwrap();
    both(|way| {
        works().unwrap_or_else(|error| panic!("{way}: {error:?}"));
        let template = default_template();
        let worker = rest::spawn().unwrap();
        for pid in [template, worker.id()] {
            let list = listed(pid);
            let stray = list.iter().any(|(_, target)| target.ends_with("/zero"));
            assert!(!stray, "{way}: {list:?}");
        }
        worker.kill().unwrap();
        for number in first..first + 40 {
            assert_eq!(
                inode(&junk_at(number)),
                inode(&File::open("/dev/zero").unwrap())
            );
        }
    });
}

fn inode(file: &impl AsFd) -> u64 {
    let file = File::from(file.as_fd().try_clone_to_owned().unwrap());
    file.metadata().unwrap().rdev()
}

fn junk_at(number: i32) -> BorrowedFd<'static> {
    // SAFETY: it is only looked at, and nobody in this program closes it.
    unsafe { BorrowedFd::borrow_raw(number) }
}

#[test]
fn junk_at_any_number_is_left_alone_and_handed_to_nobody() {
    for first in [3, 4, 5, 10, 16, 17, 100, 1000] {
        let mut command = command("junk");
        command.env("JUNK", first.to_string());
        let open = move || {
            for number in [3].into_iter().chain(first..first + 40) {
                // SAFETY: the path ends in NUL; open is async-signal-safe.
                let fd = unsafe { libc::open(c"/dev/zero".as_ptr(), libc::O_RDONLY) };
                // SAFETY: two numbers; the harness' own are not needed here.
                if fd != number && (unsafe { libc::dup2(fd, number) } < 0) {
                    return Err(io::Error::last_os_error());
                }
                if fd == number {
                    continue;
                }
                // SAFETY: it was opened just above.
                unsafe { libc::close(fd) };
            }
            Ok(())
        };
        // SAFETY: the calls in it are async-signal-safe.
        unsafe { command.pre_exec(open) };
        run_command(command);
    }
}

#[zygote::entry]
fn lengths(files: Vec<zygote::Fd<File>>) -> Vec<u64> {
    files
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .collect()
}

/// Each file has its place as its length, whatever its number is.
fn swapped() {
    let files: Vec<OwnedFd> = (0..253)
        .map(|length| {
            let file = tempfile::tempfile().unwrap();
            file.set_len(length).unwrap();
            file.into()
        })
        .collect();
    let pass = |places: &[usize]| {
        let files = places.iter().map(|place| {
            let file = files[*place].try_clone().unwrap();
            zygote::Fd::from(File::from(file))
        });
        let found = lengths::spawn(files.collect()).unwrap().join().unwrap();
        let wanted: Vec<u64> = places.iter().map(|place| *place as u64).collect();
        assert_eq!(found, wanted);
    };
    both(|_| {
        pass(&[]);
        pass(&[1, 0]);
        pass(&[2, 0, 1]);
        pass(&[5; 7]);
        pass(&(0..253).rev().collect::<Vec<_>>());
        pass(&(0..253).map(|n| n * 91 % 253).collect::<Vec<_>>());
        pass(&(0..254).map(|n| n % 253).collect::<Vec<_>>());
    });
    // A number that nothing has is refused, and nothing is sent.
    let (sender, receiver) = zygote::channel::<u32>().unwrap();
    let error = sender.send_with_fd(b"x", &[0, 9_999]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    sender.send(4).unwrap();
    assert_eq!(receiver.recv_timeout(LIMIT).unwrap(), 4);
    works().unwrap();
}

#[test]
fn descriptors_arrive_in_their_order_whatever_their_numbers() {
    run("swapped");
}

/// The program closes 0 to 2 long after its start, as daemons do, and something
/// in it still prints.
fn closed_later() {
    let noise = || {
        for number in 0..3 {
            // SAFETY: the pointer is to as many bytes; a closed number fails.
            unsafe { libc::write(number, b"noise\n".as_ptr().cast(), 6) };
        }
    };
    for number in 0..3 {
        // SAFETY: nothing but the standard streams owns these numbers.
        unsafe { libc::close(number) };
    }
    both(|way| {
        works().unwrap_or_else(|error| panic!("{way}: {error:?}"));
        let process = Process::new().unwrap();
        process.id().unwrap();
        let worker = process.fork().unwrap().run(echo::task(7)).unwrap();
        noise();
        assert_eq!(worker.join().unwrap(), 7);
        assert_eq!(
            process
                .fork()
                .unwrap()
                .run(echo::task(8))
                .unwrap()
                .join()
                .unwrap(),
            8
        );
        let (sender, receiver) = zygote::channel::<u32>().unwrap();
        noise();
        sender.send(9).unwrap();
        assert_eq!(receiver.recv_timeout(LIMIT).unwrap(), 9);
        let fresh = Process::fresh().unwrap();
        assert_eq!(fresh.run(echo::task(3)).unwrap().join().unwrap(), 3);
    });
}

#[test]
fn standard_streams_that_are_closed_later_are_not_taken_by_sockets() {
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut command = command("closed_later");
    command.env("ZYGOTE_PROBE_REPORT", report.path());
    let (text, _) = probe::output(command);
    let said = fs::read_to_string(report.path()).unwrap();
    assert!(said.contains("@done"), "{said} {text}");
}

/// What an event loop has, while a thousand workers come and go.
fn machinery() {
    let epoll = fd(unsafe_fd(|| {
        // SAFETY: it takes a flag.
        unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }
    }));
    let event = fd(unsafe_fd(|| {
        // SAFETY: it takes two numbers.
        unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) }
    }));
    let timer = fd(unsafe_fd(|| {
        // SAFETY: it takes two numbers.
        unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) }
    }));
    let notify = fd(unsafe_fd(|| {
        // SAFETY: it takes a flag.
        unsafe { libc::inotify_init1(libc::IN_CLOEXEC) }
    }));
    let directory = tempfile::tempdir().unwrap();
    let path = std::ffi::CString::new(directory.path().to_str().unwrap()).unwrap();
    // SAFETY: the path ends in NUL.
    let watch =
        unsafe { libc::inotify_add_watch(notify.as_raw_fd(), path.as_ptr(), libc::IN_CREATE) };
    assert!(watch >= 0);
    let every = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000,
    };
    let times = libc::itimerspec {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: the times are a live value, the old ones are not asked for.
    let set = unsafe {
        libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const times, std::ptr::null_mut())
    };
    assert_eq!(set, 0);
    for source in [&event, &timer, &notify] {
        let mut interest = libc::epoll_event {
            events: libc::EPOLLIN.cast_unsigned(),
            u64: source.as_raw_fd().cast_unsigned().into(),
        };
        let added = unsafe {
            // SAFETY: the interest is a live value.
            libc::epoll_ctl(
                epoll.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                source.as_raw_fd(),
                &raw mut interest,
            )
        };
        assert_eq!(added, 0);
    }
    let number = |source: &OwnedFd| u64::from(source.as_raw_fd().cast_unsigned());
    let mut ticks = 0;
    for round in 0..1000_u64 {
        if round == 500 {
            end_early();
        }
        nix::unistd::write(&event, &1_u64.to_ne_bytes()).unwrap();
        if round % 100 == 0 {
            File::create(directory.path().join(round.to_string())).unwrap();
        }
        assert_eq!(settled(|| echo::spawn(3)?.join()).unwrap(), 3);
        let mut found = [libc::epoll_event { events: 0, u64: 0 }; 8];
        // SAFETY: the pointer is to as many events.
        let count = unsafe { libc::epoll_wait(epoll.as_raw_fd(), found.as_mut_ptr(), 8, 1000) };
        let found: Vec<u64> = found[..usize::try_from(count).unwrap()]
            .iter()
            .map(|it| it.u64)
            .collect();
        assert!(found.contains(&number(&event)), "round {round}");
        if round % 100 == 0 {
            assert!(found.contains(&number(&notify)), "round {round}");
            let mut buffer = [0; 4096];
            assert!(nix::unistd::read(&notify, &mut buffer).unwrap() > 0);
        }
        let mut word = [0; 8];
        nix::unistd::read(&event, &mut word).unwrap();
        assert_eq!(u64::from_ne_bytes(word), 1, "counted by nobody else");
        if found.contains(&number(&timer)) {
            nix::unistd::read(&timer, &mut word).unwrap();
            ticks += u64::from_ne_bytes(word);
        }
    }
    assert!(ticks > 20, "{ticks}");
    // Kept by the forks of what opened it.
    let template = Process::new().unwrap().preload(opens::task()).unwrap();
    for _ in 0..3 {
        let worker = template.fork().unwrap().run(opened::task()).unwrap();
        assert_eq!(worker.join().unwrap(), 6, "one counter, shared");
    }
}

fn unsafe_fd(make: impl FnOnce() -> i32) -> i32 {
    let number = make();
    assert!(number >= 0, "{}", io::Error::last_os_error());
    number
}

fn fd(number: i32) -> OwnedFd {
    // SAFETY: the kernel made this number for the call just before.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// An event counter that stands at five.
#[zygote::preload]
fn opens() -> OwnedFd {
    // SAFETY: it takes two numbers.
    fd(unsafe { libc::eventfd(5, libc::EFD_CLOEXEC) })
}

/// Adds one, takes all and puts back what was there.
#[zygote::entry]
fn opened(event: &OwnedFd) -> u64 {
    let mut word = [0; 8];
    nix::unistd::write(event, &1_u64.to_ne_bytes()).unwrap();
    nix::unistd::read(event, &mut word).unwrap();
    nix::unistd::write(event, &5_u64.to_ne_bytes()).unwrap();
    u64::from_ne_bytes(word)
}

#[test]
fn timers_counters_and_watches_of_the_program_and_of_preloads_are_whole() {
    run("machinery");
}

/// Leaves a process behind that holds all it can, the number of its socket
/// among them.
#[zygote::entry]
fn leaves_one_behind(executes: bool) -> u32 {
    if executes {
        let list = listed(std::process::id());
        for (number, _) in list {
            // SAFETY: F_SETFD sets a flag and touches no memory.
            unsafe { libc::fcntl(number, libc::F_SETFD, 0) };
        }
        return Command::new("sleep").arg("60").spawn().unwrap().id();
    }
    // SAFETY: a worker has one thread, so the copy is whole.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        loop {
            thread::sleep(Duration::from_secs(3600));
        }
    }
    pid.cast_unsigned()
}

fn grandchildren() {
    both(|way| {
        for executes in [false, true] {
            let worker = leaves_one_behind::spawn(executes).unwrap();
            let start = Instant::now();
            let exit = worker.wait().unwrap();
            assert!(exit.status().unwrap().success(), "{way}");
            let left = worker.join().unwrap();
            assert!(
                start.elapsed() < Duration::from_secs(2),
                "{way}: {:?}",
                start.elapsed()
            );
            assert!(is_alive(left), "{way}: it was to be left behind");
            // Killed, without a result: the socket is still open there.
            let killed = leaves_and_rests::spawn(executes).unwrap();
            thread::sleep(Duration::from_millis(50));
            killed.kill().unwrap();
            let error = typed("join", || killed.join()).unwrap_err();
            assert!(error.is_signal(), "{way}: {error:?}");
            send(left, libc::SIGKILL);
        }
        works().unwrap();
    });
}

#[zygote::entry]
fn leaves_and_rests(executes: bool) {
    leaves_one_behind(executes);
    rest();
}

#[test]
fn a_wait_does_not_wait_for_what_a_worker_left_behind() {
    run("grandchildren");
}
