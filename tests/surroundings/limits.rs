//! Limits other than that of descriptors.

use super::*;

pub(crate) const ROLES: Roles = &[
    ("works", works_both),
    ("few_processes", few_processes),
    ("starts_with_few", starts_with_few),
    ("little_memory", little_memory),
    ("starts_with_little", starts_with_little),
    ("cores", cores),
    ("small_files", small_files),
];

fn works_both() {
    both(|way| works().unwrap_or_else(|error| panic!("{way}: {error:?}")));
}

/// The user may have no more processes.
fn few_processes() {
    both(|way| {
        let template = default_template();
        let own = Process::new().unwrap();
        for pid in [template, own.id().unwrap()] {
            limit_of(pid, libc::RLIMIT_NPROC, 1).unwrap();
        }
        let mut refused = 0;
        for _ in 0..20 {
            for outcome in [
                typed("small", || echo::spawn(1)?.join()),
                typed("fork", || own.fork()?.run(echo::task(1))?.join()),
            ] {
                let Err(error) = outcome else { continue };
                assert!(is_errno(&error, libc::EAGAIN), "{way}: {error:?}");
                assert!(error.to_string().contains("fork"), "{error}");
                assert!(error.is_unstarted());
                refused += 1;
            }
        }
        assert!(refused > 10, "{way}: {refused}");
        for pid in [template, own.id().unwrap()] {
            limit_of(pid, libc::RLIMIT_NPROC, 10_000).unwrap();
        }
        assert_eq!(default_template(), template, "it lives");
        assert_eq!(
            own.fork()
                .unwrap()
                .run(echo::task(3))
                .unwrap()
                .join()
                .unwrap(),
            3
        );
        works().unwrap();
    });
}

#[test]
fn a_user_without_room_for_processes_gets_the_error_of_fork() {
    if !is_root() {
        println!("not tried as another user: this needs root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    run_command(as_nobody(directory.path(), "few_processes"));
}

/// From the first instruction on: there may be no early template.
fn starts_with_few() {
    let mut refused = 0;
    for _ in 0..3 {
        let tried = [
            typed("small", || settled(|| echo::spawn(1)?.join().map(drop))),
            typed("process", || {
                Process::new()?.fork()?.run(echo::task(1))?.join().map(drop)
            }),
            typed("fresh", || {
                Process::fresh()?.run(echo::task(1))?.join().map(drop)
            }),
        ];
        for error in tried.into_iter().filter_map(Result::err) {
            assert!(error.is_unstarted(), "{error:?}");
            assert!(is_errno(&error, libc::EAGAIN), "{error:?}");
            refused += 1;
        }
    }
    limit(libc::RLIMIT_NPROC, 10_000).unwrap();
    for pid in at_rest(std::process::id()) {
        let _ = limit_of(pid, libc::RLIMIT_NPROC, 10_000);
    }
    works().unwrap();
    say("refused", refused);
}

#[test]
fn every_limit_of_processes_gives_success_or_a_typed_error() {
    if !is_root() {
        println!("not tried as another user: this needs root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut refused = Vec::new();
    for few in (1..=10).chain([64]) {
        let mut command = as_nobody(directory.path(), "starts_with_few");
        // SAFETY: prlimit is async-signal-safe.
        unsafe { command.pre_exec(move || limit(libc::RLIMIT_NPROC, few)) };
        let mut probe = Probe::spawn(command);
        refused.push(probe.expect("refused").parse::<u32>().unwrap());
        probe.expect("done");
        probe.finish();
    }
    assert!(refused[0] > 0 && refused.last() == Some(&0), "{refused:?}");
}

/// The address space in bytes.
fn size(pid: u32) -> u64 {
    let text = field(&status(pid), "VmSize");
    let kilobytes: u64 = text.trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1024
}

/// No memory in a worker and in a template.
fn little_memory() {
    const MEBIBYTE: u64 = 1 << 20;
    both(|way| {
        let template = default_template();
        let own = Process::new().unwrap();
        let pid = own.id().unwrap();
        limit_of(pid, libc::RLIMIT_AS, size(pid) + 8 * MEBIBYTE).unwrap();
        let large = || bytes_back::task(vec![3; 24 << 20]);
        // Its arguments do not fit.
        let error = typed("large", || own.fork()?.run(large())?.join()).unwrap_err();
        let is_told = is_errno(&error, libc::ENOMEM) || error.is_signal();
        assert!(is_told, "{way}: {error:?}");
        // They do, and not a second time.
        limit_of(pid, libc::RLIMIT_AS, size(pid) + 36 * MEBIBYTE).unwrap();
        let error = typed("large", || own.fork()?.run(large())?.join()).unwrap_err();
        let is_told = is_errno(&error, libc::ENOMEM) || error.is_signal();
        assert!(is_told, "{way}: {error:?}");
        assert_eq!(
            own.fork()
                .unwrap()
                .run(echo::task(1))
                .unwrap()
                .join()
                .unwrap(),
            1
        );
        // Not a page more. It forks, or says why not, or dies; not this program.
        limit_of(pid, libc::RLIMIT_AS, 0).unwrap();
        for _ in 0..5 {
            let _ = typed("small", || own.fork()?.run(echo::task(1))?.join());
        }
        assert_eq!(default_template(), template, "another lives");
        works().unwrap();
    });
}

#[test]
fn a_worker_or_a_template_without_memory_is_a_typed_error() {
    run("little_memory");
}

/// From the first instruction on.
fn starts_with_little() {
    for _ in 0..2 {
        let _ = typed("small", || echo::spawn(1)?.join());
        let _ = typed("large", || bytes_back::spawn(vec![3; 1 << 20])?.join());
        let _ = typed("fresh", || Process::fresh()?.run(echo::task(1))?.join());
        end_early();
    }
}

#[test]
fn a_program_with_little_memory_gets_an_answer() {
    // The loader and the harness need some; below that nothing of ours runs.
    for mebibytes in [32_u64, 48, 64, 128] {
        let mut command = limited("starts_with_little", libc::RLIMIT_AS, mebibytes << 20);
        command.env("MALLOC_ARENA_MAX", "1");
        let mut probe = Probe::spawn(command);
        probe.expect("done");
        probe.finish();
    }
}

#[test]
fn stacks_of_every_size_will_do() {
    for size in [
        64 << 10,
        128 << 10,
        256 << 10,
        64 << 20,
        libc::RLIM_INFINITY,
    ] {
        run_command(limited("works", libc::RLIMIT_STACK, size));
    }
}

#[zygote::entry]
fn abort() {
    std::process::abort();
}

/// A core is written or not; the outcome is the same.
fn cores() {
    both(|_| {
        for size in [0, libc::RLIM_INFINITY] {
            let process = Process::new().unwrap();
            let directory = tempfile::tempdir().unwrap();
            limit_of(process.id().unwrap(), libc::RLIMIT_CORE, size).unwrap();
            let worker = process.run(abort::task()).unwrap();
            let exit = worker.wait().unwrap();
            assert!(exit.to_string().contains("SIGABRT"), "{exit}");
            assert!(worker.join().unwrap_err().is_signal());
            drop(directory);
        }
        works().unwrap();
    });
}

#[test]
fn a_core_changes_no_outcome() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = command("cores");
    // Where cores come to lie if nothing else is said.
    command.current_dir(&directory);
    run_command(command);
}

#[zygote::entry]
fn makes(length: usize) -> Vec<u8> {
    vec![9; length]
}

/// What does not fit into a message stands in memory that is a file, too. The
/// kernel's signal about its size would end the program.
fn small_files() {
    const LARGE: usize = 300_000;
    both(|way| {
        let own = Process::new().unwrap();
        let pids = [0, own.id().unwrap()];
        for pid in pids {
            limit_of(pid, libc::RLIMIT_FSIZE, 4096).unwrap();
        }
        let error = typed("argument", || {
            own.fork()?.run(bytes_back::task(vec![1; LARGE]))
        });
        let error = error.map(drop).unwrap_err();
        assert!(
            is_errno(&error, libc::EFBIG) && error.is_unstarted(),
            "{way}: {error:?}"
        );
        let error = typed("result", || own.fork()?.run(makes::task(LARGE))?.join()).unwrap_err();
        assert!(is_errno(&error, libc::EFBIG), "{way}: {error:?}");
        assert_eq!(
            own.fork()
                .unwrap()
                .run(makes::task(60_000))
                .unwrap()
                .join()
                .unwrap()
                .len(),
            60_000
        );
        for pid in pids {
            limit_of(pid, libc::RLIMIT_FSIZE, libc::RLIM_INFINITY).unwrap();
        }
        works().unwrap();
    });
}

#[test]
fn a_limit_of_file_size_is_a_typed_error_and_no_signal() {
    run("small_files");
}

#[test]
fn other_limits_are_not_felt() {
    let others = [
        libc::RLIMIT_SIGPENDING,
        libc::RLIMIT_MEMLOCK,
        libc::RLIMIT_MSGQUEUE,
    ];
    for resource in others {
        run_command(limited("works", resource, 0));
    }
}
