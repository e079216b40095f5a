//! Limits of a control group: processes and memory.

use super::*;

pub(crate) const ROLES: Roles = &[
    ("pids", pids),
    ("bomb", bomb),
    ("memory", memory),
    ("frozen", frozen),
];

/// Where a role finds the group that its test made.
const GROUP: &str = "ZYGOTE_PROBE_GROUP";

/// A group of its own, of the first version; removed with what is in it.
pub(crate) struct Group(PathBuf);

impl Group {
    /// `None`, with a word why, where there are none.
    fn named(controller: &str, name: &str) -> Option<Self> {
        let name = format!("zygote-{}-{name}", std::process::id());
        let path = Path::new("/sys/fs/cgroup").join(controller).join(name);
        if let Err(error) = fs::create_dir(&path) {
            println!("not tried in a control group ({}): {error}", path.display());
            return None;
        }
        Some(Self(path))
    }

    fn run(&self, role: &str) {
        let mut command = command(role);
        command.env(GROUP, &self.0);
        run_command(command);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        end_all(&self.0);
        until(LIMIT, || fs::remove_dir(&self.0).is_ok());
    }
}

/// Kills what is in the group, and lets it fork nothing meanwhile.
fn end_all(group: &Path) {
    let _ = fs::write(group.join("pids.max"), "0");
    let _ = fs::write(group.join("freezer.state"), "THAWED");
    until(LIMIT, || {
        let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        for pid in members.lines() {
            send(pid.parse().unwrap(), libc::SIGKILL);
        }
        members.is_empty()
    });
}

/// In a role: sets one of the group's files.
fn write(file: &str, value: impl std::fmt::Display) {
    let path = PathBuf::from(env::var_os(GROUP).unwrap()).join(file);
    fs::write(&path, value.to_string()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
}

fn read(file: &str) -> String {
    fs::read_to_string(PathBuf::from(env::var_os(GROUP).unwrap()).join(file)).unwrap()
}

/// A template in a group that is full.
fn pids() {
    both(|way| {
        let own = Process::new().unwrap();
        let template = own.id().unwrap();
        write("pids.max", "max");
        write("cgroup.procs", template);
        write("pids.max", "3");
        let alive: Vec<_> = (0..6)
            .map(|_| typed("rest", || own.fork()?.run(rest::task())))
            .collect();
        for (at, outcome) in alive.iter().enumerate() {
            let Err(error) = outcome else {
                assert!(at < 2, "{way}: number {at} is over the limit");
                continue;
            };
            assert!(at >= 2, "{way}, {at}: {error:?}");
            assert!(
                is_errno(error, libc::EAGAIN) && error.is_unstarted(),
                "{error:?}"
            );
        }
        // Asked again, it says the same.
        let unborn = own.fork().unwrap();
        for _ in 0..3 {
            let error = typed("id", || unborn.id()).unwrap_err();
            assert!(is_errno(&error, libc::EAGAIN), "{way}: {error:?}");
            let error = typed("fork", || unborn.fork()?.id()).unwrap_err();
            assert!(is_errno(&error, libc::EAGAIN), "{way}: {error:?}");
        }
        works().unwrap();
        for worker in alive.iter().flatten() {
            worker.kill().unwrap();
            worker.wait().unwrap();
        }
        assert_eq!(
            own.fork()
                .unwrap()
                .run(echo::task(4))
                .unwrap()
                .join()
                .unwrap(),
            4
        );
        assert_eq!(own.id().unwrap(), template);
    });
}

#[test]
fn a_full_group_of_processes_is_a_typed_error_and_passes() {
    if let Some(group) = Group::named("pids", "full") {
        group.run("pids");
    }
}

/// Forks as long as it may, and so do its children.
#[zygote::entry]
fn bombs(start: zygote::Receiver<()>) {
    start.recv().unwrap();
    loop {
        // SAFETY: the worker has one thread, and the copies do the same.
        if unsafe { libc::fork() } < 0 {
            // A fork that is refused costs the kernel as much as another.
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn bomb() {
    both(|way| {
        write("pids.max", "200");
        let (start, told) = zygote::channel::<()>().unwrap();
        let other = rest::spawn().unwrap();
        let worker = bombs::spawn(told).unwrap();
        write("cgroup.procs", worker.id());
        start.send(()).unwrap();
        let members = || read("pids.current").trim().parse::<u32>().unwrap();
        assert!(until(LIMIT, || members() >= 199), "{way}: {}", members());
        for n in 0..20 {
            assert_eq!(typed("small", || echo::spawn(n)?.join()).unwrap(), n);
        }
        typed("kill", || worker.kill()).unwrap();
        // The copies go on; the worker's end does not wait for them.
        assert_eq!(
            typed("wait", || worker.wait()).unwrap().to_string(),
            "was killed by SIGKILL"
        );
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        end_all(Path::new(&env::var_os(GROUP).unwrap()));
        works().unwrap();
    });
}

#[test]
fn a_fork_bomb_in_a_worker_can_be_killed() {
    if let Some(group) = Group::named("pids", "bomb") {
        group.run("bomb");
    }
}

#[zygote::entry]
fn eats(start: zygote::Receiver<()>) -> usize {
    start.recv().unwrap();
    eat()
}

fn eat() -> usize {
    let mut eaten = Vec::new();
    for n in 0..300_u32 {
        eaten.push(vec![n.to_ne_bytes()[0] | 1; 1 << 20]);
    }
    eaten.len()
}

#[zygote::preload]
fn eats_at_once() -> usize {
    eat()
}

fn memory() {
    both(|way| {
        write("memory.limit_in_bytes", 64 << 20);
        let (start, told) = zygote::channel::<()>().unwrap();
        let other = rest::spawn().unwrap();
        let worker = eats::spawn(told).unwrap();
        write("cgroup.procs", worker.id());
        start.send(()).unwrap();
        let exit = worker.wait_timeout(LIMIT).unwrap().unwrap();
        assert_eq!(exit.to_string(), "was killed by SIGKILL", "{way}");
        assert!(worker.join().unwrap_err().is_signal());
        assert!(other.try_wait().unwrap().is_none());
        // A template, by what it preloads.
        let own = Process::new().unwrap();
        write("cgroup.procs", own.id().unwrap());
        let Err(error) = own.preload(eats_at_once::task()) else {
            panic!("{way}: it ate and lives");
        };
        assert!(
            error.is_signal() || error.is_template_gone(),
            "{way}: {error:?}"
        );
        drop(other);
        works().unwrap();
    });
}

#[test]
fn what_is_killed_for_its_memory_is_told_and_replaced() {
    if let Some(group) = Group::named("memory", "full") {
        group.run("memory");
    }
}

/// A worker that even SIGKILL does not reach: the first version's freezer leaves
/// it in a sleep that nothing interrupts, as a broken disk does.
fn frozen() {
    const SHORT: Duration = Duration::from_millis(30);
    both(|way| {
        write("freezer.state", "THAWED");
        let mut worker = rest::spawn().unwrap();
        let (dropped, left) = (rest::spawn().unwrap(), rest::spawn().unwrap());
        let ids = [worker.id(), dropped.id(), left.id()];
        for pid in ids {
            write("cgroup.procs", pid);
        }
        write("freezer.state", "FROZEN");
        assert!(until(LIMIT, || read("freezer.state").trim() == "FROZEN"));
        assert!(until(LIMIT, || stat(ids[0]).unwrap().state == 'D'));
        typed("kill", || worker.kill()).unwrap();
        assert!(
            typed("wait", || worker.wait_timeout(SHORT))
                .unwrap()
                .is_none()
        );
        assert!(
            typed("join", || worker.join_timeout(SHORT))
                .unwrap()
                .is_none()
        );
        assert!(
            typed("any", || zygote::wait_any_timeout([&worker], SHORT))
                .unwrap()
                .is_empty()
        );
        // Nobody waits for them here.
        let start = Instant::now();
        drop(dropped.kill_on_drop(true));
        assert!(start.elapsed() < SOON);
        let start = Instant::now();
        assert!(left.detach().unwrap_err().is_timeout());
        assert!(start.elapsed() < SOON);
        // Others are served.
        works().unwrap();
        write("freezer.state", "THAWED");
        let exit = typed("wait", || worker.wait()).unwrap();
        assert_eq!(exit.to_string(), "was killed by SIGKILL", "{way}");
        assert!(worker.join().unwrap_err().is_signal());
        assert!(
            until(LIMIT, || stat(ids[1]).is_none()),
            "{way}: it is reaped"
        );
        send(ids[2], libc::SIGKILL);
        assert!(until(LIMIT, || !is_alive(ids[2])));
        works().unwrap();
    });
}

#[test]
fn a_worker_that_no_signal_reaches_holds_nobody_up() {
    if let Some(group) = Group::named("freezer", "frozen") {
        group.run("frozen");
    }
}
