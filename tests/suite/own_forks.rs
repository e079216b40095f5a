//! A program that forks, and one that is forked as a template. The programs are
//! workers: like any process at its start they have one thread.

use std::{
    collections::BTreeSet, os::unix::process::parent_id, process::id, sync::OnceLock, thread,
    time::Duration,
};

use zygote::Process;

use crate::util::{self, watchdog, within};

static LOADED: OnceLock<String> = OnceLock::new();

#[zygote::entry]
fn loaded() -> Option<String> {
    LOADED.get().cloned()
}

#[zygote::entry]
fn parent() -> u32 {
    parent_id()
}

#[zygote::entry]
fn sleep() {
    thread::sleep(Duration::from_secs(3600));
}

#[zygote::entry]
fn forks_itself_as_a_template() {
    LOADED.set("loaded before".to_owned()).unwrap();
    let current = Process::fork_current().unwrap();
    assert_ne!(current.id().unwrap(), id());
    let worker = current.fork().unwrap().run(loaded::task()).unwrap();
    assert_eq!(worker.join().unwrap().as_deref(), Some("loaded before"));
    let worker = current.fork().unwrap().run(parent::task()).unwrap();
    assert_eq!(worker.join().unwrap(), current.id().unwrap());
    // The default template is another, and knows nothing of it.
    assert_eq!(loaded::spawn().unwrap().join().unwrap(), None);
    let pid = current.id().unwrap();
    drop(current);
    util::until("the template ends", || !util::is_alive(pid));
}

#[test]
fn fork_current_forks_the_program_as_it_is() {
    let _limit = watchdog(30);
    let program = forks_itself_as_a_template::spawn().unwrap();
    program.join().unwrap();
}

#[test]
fn fork_current_is_refused_by_name_of_extra_threads() {
    let _limit = watchdog(30);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let extra = thread::Builder::new().name("the-extra-one".to_owned());
    let extra = extra.spawn(move || stopped.recv()).unwrap();
    // A thread names itself when it first runs.
    util::until("the thread has its name", || {
        let error = Process::fork_current().unwrap_err();
        assert!(error.is_invalid() && error.is_unstarted(), "{error:?}");
        error.to_string().contains("the-extra-one")
    });
    drop(stop);
    assert!(extra.join().unwrap().is_err());
}

#[zygote::entry]
fn forks_itself(count: u32) -> Vec<u32> {
    let (process, worker) = (Process::new().unwrap(), sleep::spawn().unwrap());
    process.id().unwrap();
    let before = util::template();
    let (templates, heard) = zygote::channel::<u32>().unwrap();
    for _ in 0..count {
        let status = util::forked(|| {
            for error in [
                process.fork().unwrap_err(),
                worker.try_wait().unwrap_err(),
                worker.kill().unwrap_err(),
            ] {
                assert!(error.is_invalid(), "{error:?}");
                assert!(error.to_string().contains("fork"), "{error}");
            }
            let own = within(util::PATIENCE, util::template);
            assert_ne!(own, before);
            assert_eq!(util::template(), own, "it is kept");
            templates.send(own).unwrap();
        });
        assert!(status.success(), "{status}");
    }
    // Here nothing has changed.
    assert_eq!(util::template(), before);
    assert!(worker.try_wait().unwrap().is_none());
    worker.kill().unwrap();
    assert!(worker.join().unwrap_err().is_signal());
    assert_eq!(process.run(loaded::task()).unwrap().join().unwrap(), None);
    drop(templates);
    heard.map(Result::unwrap).collect()
}

#[test]
fn a_program_that_forks_gets_a_template_of_its_own() {
    let _limit = watchdog(60);
    let templates = forks_itself::spawn(3).unwrap().join().unwrap();
    let different: BTreeSet<u32> = templates.iter().copied().collect();
    assert_eq!(different.len(), 3, "{templates:?}");
    for template in templates {
        util::until("it dies with its program", || !util::is_alive(template));
    }
}

#[zygote::entry]
fn drops_in_a_fork() {
    let (process, worker) = (
        Process::new().unwrap(),
        sleep::spawn().unwrap().kill_on_drop(true),
    );
    let pid = process.id().unwrap();
    let worker_pid = worker.id();
    let mut both = Some((process, worker));
    let status = util::forked(|| drop(both.take()));
    assert!(status.success(), "{status}");
    let (process, worker) = both.unwrap();
    assert!(util::is_alive(pid) && util::is_alive(worker_pid));
    assert!(worker.try_wait().unwrap().is_none());
    let child = process.fork().unwrap().run(parent::task()).unwrap();
    assert_eq!(child.join().unwrap(), pid);
}

#[test]
fn a_handle_dropped_in_a_copy_ends_nothing() {
    let _limit = watchdog(30);
    drops_in_a_fork::spawn().unwrap().join().unwrap();
}
