//! Whether this is the only thread of its process.

use std::{fs, io, marker::PhantomData, path::Path, time::Duration};

use super::poll::Deadline;

/// How long a thread that was joined may take to leave the kernel's list.
const LEAVING: Duration = Duration::from_secs(1);

/// How long a thread that was just started may take to give itself its name.
const NAMING: Duration = Duration::from_millis(20);

/// `PF_EXITING` of the kernel, in the flags of `/proc/PID/stat`.
const EXITING: u64 = 4;

/// The proof that this is the only thread of its process. Functions that read or change
/// what all threads share ask for it, by reference.
///
/// It holds only for the moment: it is not kept while user code runs, which may start a
/// thread. So it cannot be copied, and no other thread can have it.
#[derive(Debug)]
pub(crate) struct Single(PhantomData<*const ()>);

/// There are other threads, with these names.
#[derive(Debug)]
pub(crate) struct Threads(pub(crate) Vec<String>);

impl From<Threads> for io::Error {
    fn from(Threads(names): Threads) -> Self {
        Self::other(format!(
            "there must be one thread; the others are: {}. A hook left them",
            names.join(", ")
        ))
    }
}

impl Single {
    /// Checks whether this is the only thread. A thread that was joined is still there
    /// for a moment: `pthread_join` returns before the kernel has let go of it.
    pub(crate) fn check() -> Result<Self, Threads> {
        if is_alone() {
            return Ok(Self(PhantomData));
        }
        let until = Deadline::after(LEAVING);
        while others_are_leaving() && !until.passed() {
            std::thread::sleep(Duration::from_micros(100));
            if is_alone() {
                return Ok(Self(PhantomData));
            }
        }
        Err(Threads(other_threads()))
    }

    /// Makes the proof in the child of a fork, which has only the thread that forked
    /// it.
    pub(super) fn of_child() -> Self {
        Self(PhantomData)
    }
}

/// Tells whether this is the only thread now, by one system call: `unshare(CLONE_VM)`
/// does nothing in a process with one thread and is refused in any other.
fn is_alone() -> bool {
    // SAFETY: with one thread it changes nothing, with more it fails.
    if unsafe { libc::unshare(libc::CLONE_VM) } == 0 {
        return true;
    }
    if io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
        return false;
    }
    // A filter denies unshare, as those of container runtimes do. If there is no /proc
    // either, there is nothing left to ask, and the process is taken to have one
    // thread.
    fs::read_dir("/proc/self/task").map_or(true, |tasks| tasks.count() == 1)
}

/// Gives the names of the threads other than the first. A new thread has the name of
/// the thread that started it until it runs for the first time, so it gets a moment.
fn other_threads() -> Vec<String> {
    let comm = |task: &Path| {
        let name = fs::read_to_string(task.join("comm")).ok()?;
        Some(name.trim_end().to_owned())
    };
    let first = comm(Path::new("/proc/self"));
    let until = Deadline::after(NAMING);
    loop {
        let names = other_tasks(comm).unwrap_or_default();
        let is_new = |name: &String| Some(name) == first.as_ref();
        if !names.iter().any(is_new) || until.passed() {
            return names;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Tells whether all threads but the first are on their way out. Without /proc this is
/// not known.
fn others_are_leaving() -> bool {
    let stat = |task: &Path| fs::read_to_string(task.join("stat")).ok();
    other_tasks(stat).is_ok_and(|stats| stats.iter().all(|stat| is_leaving(stat)))
}

fn is_leaving(stat: &str) -> bool {
    // The name is in parentheses and may have any character.
    let flags = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(6)?.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & EXITING != 0)
}

/// Gives what `read` gives for the threads other than the first; those that end
/// meanwhile are left out.
fn other_tasks(read: impl Fn(&Path) -> Option<String>) -> io::Result<Vec<String>> {
    let first = std::process::id().to_string();
    let tasks = fs::read_dir("/proc/self/task")?;
    Ok(tasks
        .filter_map(Result::ok)
        .filter(|task| task.file_name() != first.as_str())
        .filter_map(|task| read(&task.path()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_leaves_is_told_by_its_flags() {
        let stat = |flags: u64| format!("7 (a) b) R 1 7 7 0 -1 {flags} 0 0");
        assert!(is_leaving(&stat(0x40_0044)));
        assert!(!is_leaving(&stat(0x40_0040)));
        assert!(!is_leaving(""));
        // This test runs in a thread of its own, which does not leave.
        assert!(!others_are_leaving());
    }

    #[test]
    fn other_threads_are_named() {
        let (begun, is_there) = std::sync::mpsc::channel();
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::Builder::new().name("other".to_owned());
        let life = move || (begun.send(()), wait.recv()).1;
        let other = other.spawn(life).unwrap();
        is_there.recv().unwrap();
        let Threads(names) = Single::check().unwrap_err();
        assert!(names.iter().any(|name| name == "other"), "{names:?}");
        drop(end);
        assert!(other.join().unwrap().is_err());
    }
}
