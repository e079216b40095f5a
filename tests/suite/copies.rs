//! Code of the user's that forks: only the process that was given the task goes
//! on; its copy ends where the code returns in it.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    panic,
    sync::atomic::{AtomicI32, Ordering},
    thread,
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zygote::{Command, Process, Worker, raw::Args};

use crate::util::{self, watchdog};

/// How the copy comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Back {
    Returns,
    Panics,
    /// By the system call, past the C library.
    Bare,
    /// As the copy of a copy.
    Twice,
}

const ALL: [Back; 4] = [Back::Returns, Back::Panics, Back::Bare, Back::Twice];

impl Back {
    fn code(self) -> i32 {
        if self == Self::Panics { 101 } else { 0 }
    }
}

#[allow(unsafe_code, reason = "what a program does that forks by itself")]
fn fork(back: Back) -> i32 {
    let pid = match back {
        // SAFETY: this process has one thread, and does little before it ends.
        Back::Bare => unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) },
        // SAFETY: this process has one thread, so the copy is whole.
        _ => unsafe { libc::fork() }.into(),
    };
    assert!(pid >= 0, "{}", std::io::Error::last_os_error());
    i32::try_from(pid).unwrap()
}

/// Forks. The copy comes back first, with `copy`; the process itself when the copy
/// has ended, with its exit code.
#[allow(unsafe_code, reason = "the exit code of a copy")]
fn fork_and_wait(back: Back) -> Option<i32> {
    let pid = fork(back);
    if pid == 0 {
        if back == Back::Twice {
            let _ = fork(Back::Returns);
        }
        assert!(back != Back::Panics, "the copy's panic");
        return None;
    }
    let mut status = 0;
    // SAFETY: the pointer is to the status.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert!(libc::WIFEXITED(status), "{status}");
    Some(libc::WEXITSTATUS(status))
}

fn mark(mut file: &File) {
    file.write_all(b"x").unwrap();
}

fn marks(mut file: &File) -> usize {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_string(&mut text).unwrap();
    text.len()
}

#[zygote::entry]
fn forks(back: Back) -> i32 {
    fork_and_wait(back).unwrap_or(-1)
}

#[test]
fn the_result_is_that_of_the_process_that_was_asked() {
    let _limit = watchdog(30);
    for back in ALL {
        for _ in 0..3 {
            let worker = forks::spawn(back).unwrap();
            assert_eq!(worker.join().unwrap(), back.code(), "{back:?}");
        }
    }
}

#[zygote::entry]
fn panics_beside_its_copy(back: Back) {
    let code = fork_and_wait(back);
    // The copy of the copy has this as well.
    assert!(code.is_none(), "the worker's own");
}

#[test]
fn a_panic_is_that_of_the_process_that_was_asked() {
    let _limit = watchdog(30);
    for back in ALL {
        let error = panics_beside_its_copy::spawn(back)
            .and_then(Worker::join)
            .unwrap_err();
        assert!(error.is_panic(), "{error:?}");
        assert!(error.to_string().contains("the worker's own"), "{error}");
    }
}

/// The copy goes on; the process itself ends, and not by a panic.
fn fork_and_die(back: Back) {
    if fork_and_wait(back).is_some() {
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}

#[zygote::entry]
fn forks_in_a_panic_hook(back: Back) {
    panic::set_hook(Box::new(move |_| fork_and_die(back)));
    panic!("out of cheese")
}

struct Dies(Back);

impl Drop for Dies {
    fn drop(&mut self) {
        fork_and_die(self.0);
    }
}

#[zygote::entry]
fn forks_while_it_unwinds(back: Back) {
    let _dies = Dies(back);
    panic!("out of cheese");
}

#[zygote::entry]
fn forks_in_a_payload(back: Back) {
    panic::panic_any(Dies(back));
}

#[test]
fn the_copy_of_a_panic_is_not_the_outcome() {
    let _limit = watchdog(30);
    for back in [Back::Returns, Back::Bare, Back::Twice] {
        for task in [
            forks_in_a_panic_hook::task(back),
            forks_while_it_unwinds::task(back),
        ] {
            let entry = task.entry();
            let worker = Process::new().unwrap().run(task).unwrap();
            let error = worker.join().unwrap_err();
            assert!(error.is_signal(), "{entry} {back:?}: {error:?}");
        }
        // A payload is not dropped.
        let worker = forks_in_a_payload::spawn(back).unwrap();
        let error = worker.join().unwrap_err();
        assert!(error.is_panic(), "{back:?}: {error:?}");
    }
}

#[zygote::entry]
fn forks_on_a_thread() -> i32 {
    let thread = thread::spawn(|| fork_and_wait(Back::Returns).unwrap_or(-1));
    thread.join().unwrap()
}

#[test]
fn a_thread_that_forks_has_one_outcome() {
    let _limit = watchdog(30);
    assert_eq!(forks_on_a_thread::spawn().unwrap().join().unwrap(), 0);
}

#[zygote::entry(raw)]
fn forks_raw(mut conn: std::os::unix::net::UnixStream, args: Args) {
    drop(args);
    if let Some(code) = fork_and_wait(Back::Returns) {
        conn.write_all(&code.to_le_bytes()).unwrap();
    }
}

#[test]
fn a_raw_entry_that_forks_has_one_outcome() {
    let _limit = watchdog(30);
    let (worker, mut conn) = Process::new().unwrap().run_raw("forks_raw").unwrap();
    conn.set_nonblocking(false).unwrap();
    let mut said = Vec::new();
    conn.read_to_end(&mut said).unwrap();
    assert_eq!(said, [0; 4]);
    worker.join().unwrap();
}

/// Forks while it is encoded, decoded or dropped.
#[derive(Debug)]
struct Forking(When, Back);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum When {
    Encoded,
    Decoded,
    Dropped,
}

impl Serialize for Forking {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        // In the program it is left alone.
        if self.0 == When::Encoded && IN_WORKER.load(Ordering::Relaxed) != 0 {
            fork_and_wait(self.1);
        }
        (self.0, self.1).serialize(out)
    }
}

impl<'de> Deserialize<'de> for Forking {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let (when, back) = Deserialize::deserialize(input)?;
        if when == When::Decoded && IN_WORKER.load(Ordering::Relaxed) == 0 {
            IN_WORKER.store(1, Ordering::Relaxed);
            fork_and_wait(back);
        }
        Ok(Self(when, back))
    }
}

impl Drop for Forking {
    fn drop(&mut self) {
        if self.0 == When::Dropped && IN_WORKER.load(Ordering::Relaxed) == 1 {
            IN_WORKER.store(2, Ordering::Relaxed);
            fork_and_wait(self.1);
        }
    }
}

static IN_WORKER: AtomicI32 = AtomicI32::new(0);

#[zygote::entry]
fn takes_and_gives(forking: Forking, file: File) -> (Forking, u32) {
    mark(&file);
    IN_WORKER.store(1, Ordering::Relaxed);
    let again = Forking(forking.0, forking.1);
    drop(forking);
    (again, 7)
}

#[test]
fn types_that_fork_have_one_outcome() {
    let _limit = watchdog(60);
    // What decodes in the program must not fork there.
    IN_WORKER.store(3, Ordering::Relaxed);
    for when in [When::Encoded, When::Decoded, When::Dropped] {
        for back in ALL {
            let file = tempfile::tempfile().unwrap();
            let argument = Forking(when, back);
            IN_WORKER.store(0, Ordering::Relaxed);
            let task = takes_and_gives::task(argument, file.try_clone().unwrap());
            IN_WORKER.store(3, Ordering::Relaxed);
            let worker = Process::new().unwrap().run(task).unwrap();
            assert_eq!(worker.join().unwrap().1, 7, "{when:?} {back:?}");
            // A copy of its drop goes on in the entry, and ends at its end.
            assert_eq!(marks(&file), 1, "{when:?} {back:?}");
        }
    }
}

#[zygote::preload]
fn preload_forks(back: Back) -> i32 {
    // The copy is quicker than the process that was asked.
    fork_and_wait(back).map_or(-1, |code| {
        thread::sleep(Duration::from_millis(20));
        code
    })
}

#[zygote::preload]
fn takes_a_forking(forking: Forking) -> i32 {
    drop(forking);
    9
}

#[zygote::entry]
fn value(value: &i32) -> i32 {
    *value
}

#[test]
fn one_template_serves_when_a_preload_forks() {
    let _limit = watchdog(60);
    for back in ALL {
        let process = Process::new().unwrap();
        let process = process.preload(preload_forks::task(back)).unwrap();
        for _ in 0..20 {
            let worker = value::spawn(&process).unwrap();
            assert_eq!(worker.join().unwrap(), back.code(), "{back:?}");
        }
        let template = process.id().unwrap();
        util::until("the copies are gone", || {
            util::children(template) == util::in_stock(template)
        });
    }
    for back in ALL {
        let argument = takes_a_forking::task(Forking(When::Decoded, back));
        let process = Process::new().unwrap().preload(argument).unwrap();
        for _ in 0..5 {
            assert_eq!(value::spawn(&process).unwrap().join().unwrap(), 9);
        }
    }
}

#[zygote::entry]
fn step_forks(back: Back) -> std::io::Result<()> {
    fork_and_wait(back);
    Ok(())
}

#[test]
fn a_program_is_executed_once_when_a_step_before_it_forks() {
    let _limit = watchdog(30);
    for back in ALL {
        let mut command = Command::new("echo");
        command.arg("once").before_exec(step_forks::task(back));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{back:?} {}", output.status);
        assert_eq!(output.stdout, b"once\n", "{back:?}");
    }
}

/// Writes without a newline, so that the text stands in the buffer when it forks.
#[zygote::entry]
fn prints_and_forks(to: File) -> i32 {
    #[allow(unsafe_code, reason = "stdout is this file from here on")]
    // SAFETY: dup2 touches no memory.
    unsafe {
        libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&to), 1)
    };
    std::io::stdout().write_all(b"x").unwrap();
    forks(Back::Returns)
}

#[test]
fn a_copy_writes_no_buffer_out() {
    let _limit = watchdog(30);
    let file = tempfile::tempfile().unwrap();
    let worker = prints_and_forks::spawn(file.try_clone().unwrap()).unwrap();
    assert_eq!(worker.join().unwrap(), 0);
    assert_eq!(marks(&file), 1);
}

/// The copy is asked to live on, and answers nobody. The worker ignores it.
#[zygote::entry]
fn urgent_in_a_copy(ready: zygote::Sender<()>, on_a_thread: bool) {
    let urge = || {
        if fork(Back::Returns) == 0 {
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGURG).unwrap();
            #[expect(clippy::exit, reason = "the copy's end")]
            std::process::exit(0);
        }
        nix::sys::wait::wait().unwrap();
    };
    if on_a_thread {
        thread::spawn(urge).join().unwrap();
    } else {
        urge();
    }
    #[allow(unsafe_code, reason = "a worker that cannot be detached")]
    // SAFETY: SIG_IGN is no handler.
    unsafe {
        libc::signal(libc::SIGURG, libc::SIG_IGN)
    };
    ready.send(()).unwrap();
    thread::sleep(Duration::from_secs(3600));
}

#[test]
fn a_copy_answers_no_detach() {
    let _limit = watchdog(60);
    for on_a_thread in [false, true] {
        let (ready, told) = zygote::channel().unwrap();
        let worker = urgent_in_a_copy::spawn(ready, on_a_thread).unwrap();
        told.recv().unwrap();
        let pid = worker.id();
        let error = worker.detach().unwrap_err();
        assert!(!error.is_unstarted(), "{error:?}");
        util::signal(pid, libc::SIGKILL);
    }
}
