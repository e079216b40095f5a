//! No room for descriptors.

use std::os::{fd::AsFd, unix::net::UnixDatagram};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::*;

pub(crate) const ROLES: Roles = &[
    ("few_numbers", few_numbers),
    ("lowered", lowered),
    ("in_flight", in_flight),
];

/// An error that says that there is no room for descriptors.
#[track_caller]
fn is_no_room<T>(what: &str, result: Result<T>) -> bool {
    let Err(error) = typed(what, || result) else {
        return false;
    };
    let said = format!("{error:?}");
    let known = ["os error 24", "RLIMIT_NOFILE"]
        .iter()
        .any(|text| said.contains(text));
    assert!(known, "{what}: {said}");
    true
}

/// Everything, with a limit from before the program's first instruction.
fn few_numbers() {
    let few: u64 = env::var("NUMBERS").unwrap().parse().unwrap();
    let own = std::process::id();
    let mut refused = 0;
    for way in ["early", "executed"] {
        let what = format!("{few}, {way}");
        let mut tries = |what: &str| {
            let mut refuses = |result: Result<()>| refused += u32::from(is_no_room(what, result));
            for _ in 0..3 {
                refuses(typed(what, || settled(|| echo::spawn(5)?.join().map(drop))));
                refuses(typed(what, || {
                    settled(|| bytes_back::spawn(vec![0; 300_000])?.join().map(drop))
                }));
                refuses(typed(what, || {
                    settled(|| Process::new()?.fork()?.run(echo::task(1))?.join().map(drop))
                }));
                refuses(typed(what, || {
                    Process::fresh()?.run(echo::task(1))?.join().map(drop)
                }));
                refuses(typed(what, || zygote::channel::<u32>().map(drop)));
            }
        };
        tries(&what);
        // Relief: the template has the limit, too.
        limit(libc::RLIMIT_NOFILE, 256).unwrap();
        for pid in living(own) {
            // What is in stock may end just now.
            let _ = limit_of(pid, libc::RLIMIT_NOFILE, 256);
        }
        works().unwrap_or_else(|error| panic!("{what}, with relief: {error:?}"));
        end_early();
        limit(libc::RLIMIT_NOFILE, few).unwrap();
    }
    say("refused", refused);
}

#[test]
fn every_limit_of_descriptors_gives_success_or_a_typed_error() {
    let mut refused = Vec::new();
    for few in 3..=40 {
        let mut command = limited("few_numbers", libc::RLIMIT_NOFILE, few);
        command.env("NUMBERS", few.to_string());
        let mut probe = Probe::spawn(command);
        if few == 3 {
            // The loader cannot open the C library; a static program gets on.
            probe.end();
            continue;
        }
        let count: u32 = probe.expect("refused").parse().unwrap();
        refused.push(count);
        probe.expect("done");
        probe.finish();
    }
    assert!(refused[0] > 0 && refused.last() == Some(&0), "{refused:?}");
}

/// A limit that is lower than what is open: poll takes fewer entries then.
fn lowered() {
    both(|way| {
        let template = default_template();
        let own = Process::new().unwrap();
        let (alive, ended) = (rest::spawn().unwrap(), leave::spawn(3).unwrap());
        let (late, later) = (own.fork().unwrap(), own.fork().unwrap());
        let pids = [
            own.id().unwrap(),
            late.id().unwrap(),
            later.id().unwrap(),
            alive.id(),
            template,
            0,
        ];
        for few in (0..5).rev() {
            for pid in pids {
                limit_of(pid, libc::RLIMIT_NOFILE, few).unwrap();
            }
            let short = Duration::from_millis(20);
            assert!(alive.wait_timeout(short).unwrap().is_none(), "{way}, {few}");
            let exit = ended.wait().unwrap();
            assert_eq!(exit.status().unwrap().code(), Some(3));
            assert_eq!(zygote::wait_any([&alive, &ended]).unwrap(), [1]);
            assert_eq!(
                zygote::wait_any_timeout([&alive, &alive, &alive], short).unwrap(),
                []
            );
            // A request that the template can only refuse, and lives.
            let refused = typed("fork", || own.fork()?.run(echo::task(1))?.join());
            assert!(is_no_room("fork", refused), "{way}, {few}");
        }
        // What exists already needs three, for its streams.
        let refused = typed("late", || late.run(echo::task(8))?.join());
        assert!(is_no_room("late", refused), "{way}");
        limit_of(later.id().unwrap(), libc::RLIMIT_NOFILE, 8).unwrap();
        assert_eq!(later.run(echo::task(8)).unwrap().join().unwrap(), 8);
        alive.kill().unwrap();
        assert!(alive.join().unwrap_err().is_signal());
        // Those that have ended need none. What is in stock has the limit of its
        // template.
        for pid in pids {
            let _ = limit_of(pid, libc::RLIMIT_NOFILE, 1024);
        }
        for pid in at_rest(std::process::id()) {
            let _ = limit_of(pid, libc::RLIMIT_NOFILE, 1024);
        }
        assert_eq!(
            own.fork()
                .unwrap()
                .run(echo::task(9))
                .unwrap()
                .join()
                .unwrap(),
            9
        );
        assert_eq!(default_template(), template, "it lives");
        works().unwrap();
        drop(own);
    });
}

#[test]
fn a_limit_that_is_lowered_below_what_is_open_stops_no_wait() {
    run("lowered");
}

/// Descriptors in messages that nobody has read count for the user.
fn in_flight() {
    both(|way| {
        let process = Process::new().unwrap();
        // Asked for while there is room, forked when there is none.
        let template = process.id().unwrap();
        send(template, libc::SIGSTOP);
        let late = process.fork().unwrap();
        let mut queues = Vec::new();
        let full = 'fill: loop {
            let (near, far) = UnixDatagram::pair().unwrap();
            let numbers = [near.as_fd().as_raw_fd(); 10];
            loop {
                let rights = [ControlMessage::ScmRights(&numbers)];
                let parts = [io::IoSlice::new(b"x")];
                let flags = MsgFlags::MSG_DONTWAIT;
                match sendmsg::<()>(near.as_raw_fd(), &parts, &rights, flags, None) {
                    Ok(_) => {}
                    Err(nix::errno::Errno::EAGAIN) => break,
                    Err(error) => {
                        queues.push((near, far));
                        break 'fill error;
                    }
                }
            }
            queues.push((near, far));
        };
        assert_eq!(full, nix::errno::Errno::ETOOMANYREFS);
        send(template, libc::SIGCONT);
        let error = typed("late", || late.id()).unwrap_err();
        assert!(is_errno(&error, libc::ETOOMANYREFS), "{way}: {error:?}");
        let mut refused = 0;
        for _ in 0..20 {
            let outcome = typed("small", || settled(|| echo::spawn(1)?.join()));
            if let Err(error) = outcome {
                assert!(is_errno(&error, libc::ETOOMANYREFS), "{way}: {error:?}");
                assert!(error.is_unstarted());
                refused += 1;
            }
        }
        assert!(refused > 0, "{way}");
        let asked = typed("process", || process.fork()?.id());
        assert!(is_errno(&asked.unwrap_err(), libc::ETOOMANYREFS));
        drop(queues);
        works().unwrap();
    });
}

#[test]
fn too_many_descriptors_in_flight_are_a_typed_error() {
    if !is_root() {
        println!("not tried as another user: this needs root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut command = as_nobody(directory.path(), "in_flight");
    // SAFETY: prlimit is async-signal-safe.
    unsafe { command.pre_exec(|| limit(libc::RLIMIT_NOFILE, 64)) };
    run_command(command);
}
