//! What a program does with itself, and process ids that come again.

use super::*;

pub(crate) const ROLES: Roles = &[
    ("daemonises", daemonises),
    ("executes_itself", executes_itself),
    ("unshares", unshares),
    ("short_thread", short_thread),
    ("reused", reused),
    ("secrets", secrets),
    ("gives_up_rights", gives_up_rights),
];

/// Forks, ends, makes a session, forks again, as daemons do. The program is a
/// worker, which has one thread.
#[zygote::entry]
fn becomes_a_daemon(early: bool, report: zygote::Sender<(u32, u32)>) {
    if early {
        echo::spawn(1).unwrap().join().unwrap();
    }
    let process = early.then(|| Process::new().unwrap());
    for round in 0..2 {
        // SAFETY: a worker has one thread, so the copy is whole.
        match unsafe { libc::fork() } {
            0 => {}
            _ => {
                // Whether it lives changes nothing.
                thread::sleep(Duration::from_secs(5));
                // SAFETY: it ends this process.
                unsafe { libc::_exit(0) };
            }
        }
        if round == 0 {
            nix::unistd::setsid().unwrap();
        }
        if let Some(process) = &process {
            assert!(process.fork().unwrap_err().is_invalid());
        }
        works().unwrap();
    }
    env::set_current_dir("/").unwrap();
    works().unwrap();
    let template = default_template();
    report.send((std::process::id(), template)).unwrap();
    rest();
}

fn daemonises() {
    for early in [false, true] {
        let (report, heard) = zygote::channel().unwrap();
        let worker = becomes_a_daemon::spawn(early, report).unwrap();
        let (daemon, template) = heard.recv_timeout(LIMIT).unwrap();
        assert_ne!(daemon, worker.id());
        worker.kill().unwrap();
        worker.wait().unwrap();
        thread::sleep(Duration::from_millis(50));
        assert!(
            is_alive(daemon) && is_alive(template),
            "they do not depend on it"
        );
        send(daemon, libc::SIGKILL);
        assert!(
            until(LIMIT, || !is_alive(template)),
            "it dies with its program"
        );
    }
}

#[test]
fn a_daemon_has_templates_of_its_own() {
    run("daemonises");
}

/// Executes itself again and again, with workers alive.
fn executes_itself() {
    const STAGE: &str = "ZYGOTE_PROBE_STAGE";
    let stage: u32 = env::var(STAGE).map_or(0, |stage| stage.parse().unwrap());
    if let Ok(gone) = env::var("ZYGOTE_PROBE_GONE") {
        for pid in gone.split(' ').map(|pid| pid.parse().unwrap()) {
            assert!(
                until(LIMIT, || !is_alive(pid)),
                "stage {stage}: {pid} lives"
            );
        }
    }
    works().unwrap();
    if stage % 2 == 1 {
        end_early();
        works().unwrap();
    }
    if stage == 3 {
        return;
    }
    let (template, worker) = (default_template(), rest::spawn().unwrap());
    let error = command("executes_itself")
        .env(STAGE, (stage + 1).to_string())
        .env("ZYGOTE_PROBE_GONE", format!("{template} {}", worker.id()))
        .exec();
    panic!("{error}");
}

#[test]
fn a_program_that_executes_itself_starts_anew() {
    run("executes_itself");
}

/// Namespaces of its own, after its start.
fn unshares() {
    both(|way| {
        for flags in [
            libc::CLONE_NEWNET,
            libc::CLONE_NEWNS,
            libc::CLONE_NEWUTS,
            libc::CLONE_FS,
        ] {
            // SAFETY: it takes a number.
            assert_eq!(unsafe { libc::unshare(flags) }, 0, "{flags:#x}");
            works().unwrap_or_else(|error| panic!("{way}, {flags:#x}: {error:?}"));
            Process::fresh()
                .unwrap()
                .run(echo::task(1))
                .unwrap()
                .join()
                .unwrap();
        }
    });
    // The first process there must stay, and is not this library's to make.
    // SAFETY: it takes a number.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
    works().unwrap();
    let error = typed("fresh", Process::fresh).unwrap_err();
    assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
    assert!(error.to_string().contains("pid namespace"), "{error}");
    let mut first = Command::new("sleep").arg("60").spawn().unwrap();
    let fresh = Process::fresh().unwrap();
    assert_eq!(
        fresh
            .fork()
            .unwrap()
            .run(echo::task(1))
            .unwrap()
            .join()
            .unwrap(),
        1
    );
    first.kill().unwrap();
    first.wait().unwrap();
    works().unwrap();
}

#[test]
fn a_program_in_new_namespaces_goes_on() {
    if can_unshare("-m") {
        run("unshares");
    }
}

/// A thread that executes the template and ends; the kernel ties a
/// parent-death signal to the thread.
fn short_thread() {
    end_early();
    let template = thread::spawn(default_template).join().unwrap();
    let (own, worker) = thread::spawn(|| {
        let own = Process::new().unwrap();
        own.id().unwrap();
        (own, rest::spawn().unwrap())
    })
    .join()
    .unwrap();
    let fresh = thread::spawn(|| Process::fresh().unwrap()).join().unwrap();
    thread::sleep(Duration::from_millis(300));
    assert!(is_alive(template));
    assert!(worker.try_wait().unwrap().is_none());
    assert_eq!(default_template(), template);
    for process in [&own, &fresh] {
        assert_eq!(
            process
                .fork()
                .unwrap()
                .run(echo::task(2))
                .unwrap()
                .join()
                .unwrap(),
            2
        );
    }
}

#[test]
fn a_template_outlives_the_thread_that_executed_it() {
    run("short_thread");
}

/// A process with this id, which must be free.
fn stranger(pid: u32) -> std::process::Child {
    let start = Instant::now();
    loop {
        if stat(pid).is_some() {
            // A spare has it that was forked just now.
            send(pid, libc::SIGKILL);
        }
        fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        if child.id() == pid {
            return child;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(start.elapsed() < LIMIT, "{pid} is not to be had");
    }
}

/// In a pid namespace of its own, so that ids can be chosen.
fn reused() {
    both(|way| {
        let own = Process::new().unwrap().stock(0);
        for by in 0..6 {
            let worker = own.fork().unwrap().run(leave::task(7)).unwrap();
            let pid = worker.id();
            // Only the pidfd is looked at; the status is not asked for yet.
            assert!(until(LIMIT, || stat(pid).is_none()), "{way}, {by}");
            let mut victim = stranger(pid);
            match by {
                0 => worker.kill().unwrap(),
                1 => worker.signal(libc::SIGTERM).unwrap(),
                2 => drop(worker.kill_on_drop(true)),
                3 => assert_eq!(worker.wait().unwrap().status().unwrap().code(), Some(7)),
                4 => assert!(worker.join().unwrap_err().is_exit()),
                _ => worker.detach().unwrap(),
            }
            thread::sleep(Duration::from_millis(20));
            assert!(
                victim.try_wait().unwrap().is_none(),
                "{way}, {by}: a stranger died"
            );
            victim.kill().unwrap();
            victim.wait().unwrap();
        }
        // A process in stock, a template and what it forked.
        let template = own.id().unwrap();
        let (parked, resting) = (own.fork().unwrap(), own.fork().unwrap());
        let parked_id = parked.id().unwrap();
        let resting = resting.run(rest::task()).unwrap();
        let ids = [template, parked_id, resting.id()];
        send(template, libc::SIGKILL);
        assert!(until(LIMIT, || ids.iter().all(|pid| stat(*pid).is_none())));
        let mut victims: Vec<_> = ids.into_iter().map(stranger).collect();
        assert!(own.fork().and_then(|process| process.id()).is_err());
        drop(parked);
        resting.kill().unwrap();
        assert!(resting.wait().unwrap().rusage().is_none());
        drop((own, resting));
        thread::sleep(Duration::from_millis(50));
        for victim in &mut victims {
            assert!(
                victim.try_wait().unwrap().is_none(),
                "{way}: a stranger died"
            );
            victim.kill().unwrap();
            victim.wait().unwrap();
        }
        // Before `end_early`, which knows one child only.
        works().unwrap();
    });
}

#[test]
fn an_old_handle_never_touches_a_process_that_has_the_same_id() {
    if !can_unshare("-p") {
        return;
    }
    let wrapper = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let program = env::current_exe().unwrap();
    // The first process of a namespace must wait for orphans.
    let words = "\"$0\" \"$@\" & wait $!";
    let wrapper = [&wrapper[..], &["sh", "-c", words]].concat();
    run_command(within(&wrapper, &program, "reused"));
}

/// Whether the bytes stand anywhere in a process's memory.
fn has_in_memory(pid: u32, wanted: &[u8]) -> bool {
    use std::os::unix::fs::FileExt;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    maps.lines()
        .filter(|line| line.contains(" rw"))
        .any(|line| {
            let (range, _) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            let read = memory.read_at(&mut bytes, start).unwrap_or(0);
            bytes[..read]
                .windows(wanted.len())
                .any(|window| window == wanted)
        })
}

#[zygote::entry]
fn keeps(secret: String) -> usize {
    let length = secret.len();
    rest();
    length
}

/// What was passed to a worker stands in no other process.
fn secrets() {
    both(|way| {
        // Made now, so that it does not stand in the program's file.
        let number = std::process::id().to_string();
        let secret: String = "terces-"
            .chars()
            .rev()
            .chain(way.chars())
            .chain(number.chars())
            .collect();
        let own = Process::new().unwrap();
        let (small, large) = (secret.clone(), secret.repeat(20_000));
        let workers = [
            keeps::spawn(small.clone()).unwrap(),
            keeps::spawn(large.clone()).unwrap(),
            own.fork().unwrap().run(keeps::task(small)).unwrap(),
            own.fork().unwrap().run(keeps::task(large)).unwrap(),
        ];
        let later = own.fork().unwrap().run(rest::task()).unwrap();
        for pid in [default_template(), own.id().unwrap(), later.id()] {
            assert!(!has_in_memory(pid, secret.as_bytes()), "{way}: {pid}");
        }
        for worker in workers {
            let found = until(LIMIT, || has_in_memory(worker.id(), secret.as_bytes()));
            assert!(found, "{way}: the search finds nothing");
            worker.kill().unwrap();
        }
        later.kill().unwrap();
    });
}

#[test]
fn arguments_stand_in_the_memory_of_their_worker_only() {
    run("secrets");
}

/// User, soft limit of descriptors, nice value.
#[zygote::entry]
fn rights() -> (u32, u64, i32) {
    let (soft, _) =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    // SAFETY: it takes numbers.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    (nix::unistd::geteuid().as_raw(), soft, nice)
}

/// The program becomes another user, and its template does not; until it is
/// given up.
fn gives_up_rights() {
    let of = |process: Process| process.run(rights::task()).unwrap().join().unwrap();
    let before = rights();
    assert_eq!(of(Process::new().unwrap()), before);
    let template = default_template();
    limit(libc::RLIMIT_NOFILE, 77).unwrap();
    // SAFETY: it takes numbers.
    assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 7) }, 0);
    let user = nix::unistd::Uid::from_raw(nobody());
    // All threads of the program: the C library sees to that.
    nix::unistd::setresuid(user, user, user).unwrap();
    let own = (user.as_raw(), 77, 7);
    assert_eq!(rights(), own);
    // Not in silence: it is what the docs say.
    assert_eq!(of(Process::new().unwrap()), before);
    assert_eq!(of(Process::fresh().unwrap()), own);
    zygote::renew_template();
    assert!(
        until(LIMIT, || !is_alive(template)),
        "nothing of it is left"
    );
    assert_eq!(of(Process::new().unwrap()), own);
    assert_eq!(rights::spawn().unwrap().join().unwrap(), own);
    let error = Process::new().unwrap().uid(0).run(rights::task());
    assert!(error.unwrap_err().is_setting(), "no way back");
}

#[test]
fn a_program_that_gave_up_its_rights_leaves_no_template_that_has_them() {
    if !is_root() {
        println!("not tried with other users: this needs root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // The other user executes it again.
    let mut command = command_of(&copy_to(directory.path()), "gives_up_rights");
    command.current_dir("/");
    run_command(command);
}
