//! Which namespaces are new: from the outermost right to the innermost process.

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt, path::Path};

use super::{
    Setting, Settings, What,
    user_map::{Own, UserMap},
};
use crate::sys::namespace;

/// Which namespaces of a worker are its own, for
/// [`Process::namespaces`](crate::Process::namespaces). The others are those of
/// its template.
///
/// New namespaces need `CAP_SYS_ADMIN`, or a [user](Self::user) namespace beside them:
/// that is entered first, and inside it the worker has all capabilities.
///
/// # Examples
///
/// ```
/// use zygote::{Process, settings::Namespaces};
///
/// #[zygote::entry]
/// fn id() -> u32 {
///     std::process::id()
/// }
///
/// let inside = Namespaces::new().map_root().mount().pid().proc("/proc");
/// match Process::new()?.namespaces(inside).run(id::task()) {
///     Ok(worker) => assert_eq!(worker.join()?, 2),
///     // Containers and hardened kernels allow no user namespaces.
///     Err(error) => assert!(error.is_setting()),
/// }
/// # Ok::<(), zygote::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it is for `Process::namespaces`"]
pub struct Namespaces {
    user: Option<UserMap>,
    /// `CLONE_NEW*` of the others.
    flags: i32,
    /// Seconds on the monotonic clock and on the one since boot.
    time: Option<(i64, i64)>,
    proc: Option<Vec<u8>>,
}

const NAMES: [(i32, &str); 6] = [
    (libc::CLONE_NEWNS, "mount"),
    (libc::CLONE_NEWPID, "pid"),
    (libc::CLONE_NEWNET, "net"),
    (libc::CLONE_NEWIPC, "ipc"),
    (libc::CLONE_NEWUTS, "uts"),
    (libc::CLONE_NEWCGROUP, "cgroup"),
];

impl Namespaces {
    /// Begins without any new namespace.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a user namespace with these ids. It is entered before all others, which then
    /// belong to it.
    pub fn user(mut self, map: UserMap) -> Self {
        self.user = Some(map);
        self
    }

    /// Adds a user namespace in which the worker is who it is outside, and nobody else
    /// exists: [`UserMap::current`].
    pub fn map_current(self) -> Self {
        self.user(UserMap::current())
    }

    /// Adds a user namespace in which the worker's user and group are 0, and nobody else
    /// exists: [`UserMap::root`].
    pub fn map_root(self) -> Self {
        self.user(UserMap::root())
    }

    fn with(mut self, flag: i32) -> Self {
        self.flags |= flag;
        self
    }

    pub(crate) fn has(&self, flag: i32) -> bool {
        self.flags & flag != 0
    }

    /// Adds a mount namespace. All mounts in it become private: what is mounted inside
    /// is not seen outside, nor the other way round.
    pub fn mount(self) -> Self {
        self.with(libc::CLONE_NEWNS)
    }

    /// Adds a PID namespace: the worker is process 2 there and sees no process outside.
    /// When the worker ends, the kernel kills all that is left in it.
    ///
    /// That takes two more processes for each such worker: a small `init`
    /// inside, process 1, which reaps what loses its parent; and a keeper
    /// outside, which passes signals on and ends as the worker does. The keeper
    /// is the process whose id, pidfd and exit the program knows. So:
    ///
    /// - SIGSTOP stops the keeper, not the worker; any other signal that is sent
    ///   reaches the worker, without the sender's id. A signal to the process group of
    ///   the program may reach it twice.
    /// - A worker that is killed by a signal that dumps core writes its own core; the
    ///   exit does not say so
    ///   ([`core_dumped`](std::os::unix::process::ExitStatusExt::core_dumped)).
    ///
    /// - SIGKILL for any of the three ends everything. So does the program's end,
    ///   unless the worker is [detached](crate::Worker::detach): then its keeper is
    ///   detached, and with it everything inside.
    ///
    /// /proc shows the outer ids until [`proc`](Self::proc) mounts another.
    pub fn pid(self) -> Self {
        self.with(libc::CLONE_NEWPID)
    }

    /// Mounts a /proc of the new PID namespace, at this path: `/proc`, or the `proc`
    /// directory of what will be the root. Needs [`mount`](Self::mount) and
    /// [`pid`](Self::pid).
    pub fn proc(mut self, at: impl AsRef<Path>) -> Self {
        self.proc = Some(at.as_ref().as_os_str().as_bytes().to_owned());
        self
    }

    /// Adds a network namespace, with nothing in it but a loopback interface, which is
    /// down. Descriptors keep their sockets.
    pub fn net(self) -> Self {
        self.with(libc::CLONE_NEWNET)
    }

    /// Adds an IPC namespace, for System V objects and POSIX message queues.
    pub fn ipc(self) -> Self {
        self.with(libc::CLONE_NEWIPC)
    }

    /// Adds a UTS namespace, for host name and domain name.
    pub fn uts(self) -> Self {
        self.with(libc::CLONE_NEWUTS)
    }

    /// Adds a cgroup namespace: the worker's cgroup is the root that it sees.
    pub fn cgroup(self) -> Self {
        self.with(libc::CLONE_NEWCGROUP)
    }

    /// Adds a time namespace (Linux 5.6), in which the clocks `CLOCK_MONOTONIC` and
    /// `CLOCK_BOOTTIME` are this many seconds ahead of those outside.
    pub fn time(mut self, monotonic: i64, boottime: i64) -> Self {
        self.time = Some((monotonic, boottime));
        self
    }

    /// Gives the namespaces that the settings ask for.
    pub(crate) fn of(all: &Settings) -> io::Result<Self> {
        match all.of(What::Namespaces).next() {
            Some(setting) => match Self::decode(setting) {
                // A tree has a PID namespace, too.
                Some(new) if all.is_tree() => Ok(new.pid()),
                Some(new) => Ok(new),
                None => Err(io::ErrorKind::InvalidData.into()),
            },
            None => Ok(Self::new()),
        }
    }

    /// Records a text for each, so that an error names them.
    fn encode(&self) -> Setting {
        let mut setting = Setting::new(What::Namespaces);
        if let Some(map) = &self.user {
            setting = setting.text(match map.own {
                Some(Own::Root) => "map_root",
                Some(Own::Current) => "map_current",
                None => "user",
            });
            for (kind, ranges) in [("uids", &map.uids), ("gids", &map.gids)] {
                for [inside, outside, count] in ranges {
                    setting = setting.text(format!("{kind} {inside} {outside} {count}"));
                }
            }
        }
        for (_, name) in NAMES.iter().filter(|(flag, _)| self.has(*flag)) {
            setting = setting.text(*name);
        }
        if let Some((monotonic, boottime)) = self.time {
            setting = setting.text(format!("time {monotonic} {boottime}"));
        }
        match &self.proc {
            Some(at) => setting.text([b"proc ", &at[..]].concat()),
            None => setting,
        }
    }

    /// Reads what [`encode`](Self::encode) has made; gives `None` if it is something
    /// else.
    fn decode(setting: &Setting) -> Option<Self> {
        let mut new = Self::default();
        for text in &setting.texts {
            if let Some(at) = text.strip_prefix(b"proc ") {
                new = new.proc(OsStr::from_bytes(at));
                continue;
            }
            let mut words = std::str::from_utf8(text).ok()?.split(' ');
            let name = words.next()?;
            let numbers = words
                .map(|word| word.parse().ok())
                .collect::<Option<Vec<i64>>>()?;
            let map = new.user.as_mut();
            match (name, &numbers[..]) {
                ("user", []) => new = new.user(UserMap::new()),
                ("map_root", []) => new = new.map_root(),
                ("map_current", []) => new = new.map_current(),
                ("uids", range) => map?.uids.push(to_range(range)?),
                ("gids", range) => map?.gids.push(to_range(range)?),
                ("time", &[monotonic, boottime]) => new = new.time(monotonic, boottime),
                (name, []) => new.flags |= NAMES.iter().find(|(_, known)| *known == name)?.0,
                _ => return None,
            }
        }
        Some(new)
    }
}

fn to_range(numbers: &[i64]) -> Option<[u32; 3]> {
    let numbers: [i64; 3] = numbers.try_into().ok()?;
    Some(numbers.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
}

impl Settings {
    pub(crate) fn namespaces(&mut self, namespaces: Namespaces) {
        self.put(namespaces.encode());
    }
}

/// Enters the namespaces, except for a PID namespace.
pub(super) fn enter(_: &Setting, all: &Settings) -> io::Result<()> {
    let new = Namespaces::of(all)?;
    let own_proc = new.has(libc::CLONE_NEWPID) && new.has(libc::CLONE_NEWNS);
    if new.proc.is_some() && !own_proc {
        let text = "`proc` needs `mount` and `pid`, too";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if let Some(map) = &new.user {
        namespace::enter_user(&map.maps())?;
    }
    namespace::unshare(new.flags & !libc::CLONE_NEWPID)?;
    if new.has(libc::CLONE_NEWNS) {
        namespace::make_mounts_private()?;
    }
    let time = new.time;
    time.map_or(Ok(()), |(monotonic, boottime)| {
        namespace::enter_time(monotonic, boottime)
    })
}

/// Enters a PID namespace, if there is to be one. `template` is this process's parent.
/// This returns in another process, which is inside.
pub(super) fn enter_pid(all: &Settings, template: i32, enter: EnterPid) -> io::Result<()> {
    let new = Namespaces::of(all)?;
    if new.has(libc::CLONE_NEWPID) {
        enter(template, all.is_detached())?;
    }
    new.proc.map_or(Ok(()), |at| namespace::mount_proc(&at))
}

/// Enters a new PID namespace, given the parent of this process and whether it outlives
/// that. The process that returns is inside.
pub(crate) type EnterPid = fn(i32, bool) -> io::Result<()>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_come_back_and_name_themselves() {
        let map = UserMap::root().uids(1, 100_000, 9).gids(1, u32::MAX, 1);
        let all = Namespaces::new().user(map).mount().pid().net().ipc().uts();
        let all = all.cgroup().time(-5, 7).proc("/a b/proc");
        assert_eq!(Namespaces::decode(&all.encode()).as_ref(), Some(&all));
        assert_eq!(
            all.encode().to_string(),
            r#"`namespaces("map_root", "uids 1 100000 9", "gids 1 4294967295 1", "mount", "pid", "net", "ipc", "uts", "cgroup", "time -5 7", "proc /a b/proc")`"#
        );
        for map in [
            UserMap::new(),
            UserMap::current(),
            UserMap::new().uids(0, 0, 1),
        ] {
            let some = Namespaces::new().user(map);
            assert_eq!(Namespaces::decode(&some.encode()), Some(some));
        }
    }

    #[test]
    fn what_is_no_namespace_is_refused() {
        for text in [
            "",
            "users",
            "uids 1 2 3",
            "time 1",
            "pid 1",
            "time a b",
            "mount ",
        ] {
            let setting = Setting::new(What::Namespaces).text(text);
            assert_eq!(Namespaces::decode(&setting), None, "{text}");
        }
    }
}
