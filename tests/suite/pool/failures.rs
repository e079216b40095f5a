//! Workers that cannot be started.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    process::id,
    thread,
};

use zygote::{Fd, Pool, Process, Stdio};

use super::tasks::{LONG, builder, echo, log, ms, parent, pid};
use crate::util::{self, Census, alone, children, is_alive, signal, until, watchdog, within};

/// Fails as often as the file says, and counts that down there.
#[zygote::entry]
fn fails(file: Fd<File>) -> io::Result<()> {
    let mut left = [0];
    file.read_exact_at(&mut left, 0)?;
    match left {
        [0] => Ok(()),
        [n] => {
            file.write_all_at(&[n - 1], 0)?;
            Err(io::Error::other("no luck"))
        }
    }
}

/// The first to start takes its time, all others fail.
#[zygote::entry]
fn one_fails(file: Fd<File>) -> io::Result<()> {
    (&*file).write_all(b"x")?;
    if file.metadata()?.len() > 1 {
        return Err(io::Error::other("no luck"));
    }
    thread::sleep(ms(300));
    Ok(())
}

fn failing(file: &File) -> Process {
    let file = file.try_clone().unwrap();
    Process::new().unwrap().init(fails::task(file.into()))
}

fn set(file: &File, times: u8) {
    file.write_all_at(&[times], 0).unwrap();
}

/// The threads of this process that have this name.
fn threads(name: &str) -> usize {
    let all = std::fs::read_dir("/proc/self/task").unwrap();
    let name = format!("{name}\n");
    all.filter(|task| {
        let path = task.as_ref().unwrap().path().join("comm");
        std::fs::read_to_string(path).is_ok_and(|comm| comm == name)
    })
    .count()
}

#[test]
fn a_build_that_fails_says_why_and_leaves_nothing() {
    let _limit = watchdog(60);
    alone(|| {
        echo::spawn(1).unwrap().join().unwrap();
        let (file, other) = (log(), log());
        let before = Census::take();
        set(&file, 255);
        for workers in [1, 3] {
            let build = Pool::builder(failing(&file))
                .workers(workers..=workers)
                .build();
            let error = build.map(drop).unwrap_err();
            assert!(error.is_unstarted(), "{error:?}");
            assert!(format!("{error:?}").contains("no luck"), "{error:?}");
        }
        // The first one may be told after the second has failed.
        let process = Process::new().unwrap();
        let process = process.init(one_fails::task(other.try_clone().unwrap().into()));
        let build = Pool::builder(process).workers(3..=3).build();
        let error = build.map(drop).unwrap_err();
        assert!(format!("{error:?}").contains("no luck"), "{error:?}");
        let panics = builder(1).on_start(|_| std::panic::resume_unwind(Box::new("not this one")));
        let error = panics.build().map(drop).unwrap_err();
        assert!(
            error.is_panic() && error.to_string().contains("not this one"),
            "{error:?}"
        );
        let piped = || Ok(Process::new()?.stdout(Stdio::piped()));
        let error = Pool::builder(piped)
            .workers(1..=1)
            .build()
            .map(drop)
            .unwrap_err();
        assert!(
            error.is_invalid() && error.to_string().contains("Stdio::piped"),
            "{error}"
        );
        let none = || Process::new()?.env("A=B", "no").fork()?.fork();
        let _ = Pool::builder(none).workers(1..=1).build().map(drop);
        until("its threads end", || {
            threads("zygote-pool") + threads("zygote-start") == 0
        });
        before.check();
    });
}

#[test]
fn a_start_that_fails_is_tried_again() {
    let _limit = watchdog(30);
    let file = log();
    set(&file, 2);
    let pool = Pool::builder(failing(&file))
        .workers(0..=2)
        .build()
        .unwrap();
    assert_eq!(pool.call(echo::task(1)).join().unwrap(), 1);
    assert_eq!(pool.stats().started, 1);
    // While one worker lives, no call fails.
    set(&file, 20);
    let calls: Vec<_> = (0..200).map(|n| pool.call(echo::task(n))).collect();
    assert!((0..).zip(calls).all(|(n, call)| call.join().unwrap() == n));
    // Without any calls fail in the end, and later ones as soon as that is known again.
    let file = log();
    set(&file, 255);
    let pool = Pool::builder(failing(&file))
        .workers(0..=2)
        .build()
        .unwrap();
    for n in 0..5 {
        let error = within(ms(2000), || pool.call(echo::task(n)).join().unwrap_err());
        assert!(error.is_unstarted(), "{error:?}");
        assert!(
            error.to_string().contains("no worker can be started"),
            "{error}"
        );
        assert!(format!("{error:?}").contains("no luck"), "{error:?}");
    }
    set(&file, 0);
    until("it has healed", || {
        pool.call(echo::task(7)).join().is_ok_and(|n| n == 7)
    });
    assert_eq!(pool.stats().workers, 1);
}

#[test]
fn a_pool_outlives_its_process_if_it_can_make_another() {
    let _limit = watchdog(30);
    for workers in [1..=1, 0..=2] {
        let pool = Pool::builder(Process::new)
            .workers(workers)
            .build()
            .unwrap();
        for _ in 0..3 {
            let template = pool.call(parent::task()).join().unwrap();
            let worker = pool.call(pid::task()).join().unwrap();
            signal(template, libc::SIGKILL);
            until("the worker ends with it", || !is_alive(worker));
            assert_ne!(pool.call(parent::task()).join().unwrap(), template);
        }
        pool.shutdown(LONG).unwrap();
    }
}

#[test]
fn a_pool_whose_process_is_gone_says_what_to_do() {
    let _limit = watchdog(30);
    let pool = Pool::builder(Process::new().unwrap()).workers(1..=1);
    let pool = pool.build().unwrap();
    let template = pool.call(parent::task()).join().unwrap();
    let worker = pool.call(pid::task()).join().unwrap();
    signal(template, libc::SIGKILL);
    until("the worker ends with it", || !is_alive(worker));
    for n in 0..4 {
        let error = within(ms(2000), || pool.call(echo::task(n)).join().unwrap_err());
        assert!(
            error.is_template_gone() && error.is_unstarted(),
            "{error:?}"
        );
        assert!(error.to_string().contains("closure"), "{error}");
        let error = pool
            .with()
            .timeout(LONG)
            .call(echo::task(n))
            .join()
            .unwrap_err();
        assert!(error.is_template_gone(), "{error:?}");
    }
    pool.reload(Process::new).unwrap();
    assert_eq!(pool.call(echo::task(9)).join().unwrap(), 9);
    let template = pool.call(parent::task()).join().unwrap();
    signal(template, libc::SIGKILL);
    assert_eq!(
        pool.with().retries(3).call(echo::task(9)).join().unwrap(),
        9
    );
    pool.shutdown(LONG).unwrap();
}

#[test]
fn a_program_without_room_for_descriptors_gets_errors_and_heals() {
    let _limit = watchdog(60);
    alone(|| {
        let pool = Pool::builder(Process::new).workers(0..=2).build().unwrap();
        assert_eq!(pool.call(echo::task(1)).join().unwrap(), 1);
        pool.call(super::tasks::dies::task()).join().unwrap_err();
        until("none is there", || pool.stats().workers == 0);
        let before = util::limit_fds(id(), util::fds(id()) as u64);
        let error = within(LONG, || pool.call(echo::task(2)).join());
        util::limit_fds(id(), before);
        if let Err(error) = error {
            assert!(error.is_unstarted(), "{error:?}");
        }
        until("it has healed", || pool.call(echo::task(3)).join().is_ok());
        pool.shutdown(LONG).unwrap();
        until("nothing is left", || {
            children(id()).iter().all(|pid| !util::is_zombie(*pid))
        });
    });
}
