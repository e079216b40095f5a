//! Which namespaces are new, and how ids are mapped.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use super::{Setting, What};

/// Which namespaces of a worker are its own, for
/// [`Process::namespaces`](crate::Process::namespaces). The others are those of
/// its template.
///
/// New namespaces need `CAP_SYS_ADMIN`, or a [user](Self::user) namespace with
/// them: it is entered first, and inside it the worker has all capabilities.
///
/// # Examples
///
/// ```
/// use zygote::{Namespaces, Process};
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
    pub(crate) user: Option<UserMap>,
    /// `CLONE_NEW*` of the others.
    pub(crate) flags: i32,
    /// Seconds on the monotonic clock and on the one since boot.
    pub(crate) time: Option<(i64, i64)>,
    pub(crate) proc: Option<Vec<u8>>,
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
    /// None is new.
    pub fn new() -> Self {
        Self::default()
    }

    /// A user namespace with these ids. Entered before all others, which then
    /// belong to it.
    pub fn user(mut self, map: UserMap) -> Self {
        self.user = Some(map);
        self
    }

    /// A user namespace in which the worker is who it is outside, and nobody
    /// else exists: [`UserMap::current`].
    pub fn map_current(self) -> Self {
        self.user(UserMap::current())
    }

    /// A user namespace in which the worker's user and group are 0, and nobody
    /// else exists: [`UserMap::root`].
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

    /// A mount namespace. All mounts in it become private: what is mounted
    /// inside is not seen outside, nor the other way.
    pub fn mount(self) -> Self {
        self.with(libc::CLONE_NEWNS)
    }

    /// A PID namespace: the worker is process 2 there and sees no process
    /// outside. When the worker ends, the kernel kills all that is left in it.
    ///
    /// That takes two more processes for each such worker: a small `init`
    /// inside, process 1, which reaps what loses its parent; and a keeper
    /// outside, which passes signals on and ends as the worker does. The keeper
    /// is the process whose id, pidfd and exit the program knows. So:
    ///
    /// - SIGSTOP stops the keeper, not the worker; any other signal that is
    ///   sent reaches the worker, without a sender's id. One that is sent to
    ///   the process group of the program may reach it twice.
    /// - A worker killed by a signal that dumps core dumps its own; the exit
    ///   does not say so ([`core_dumped`](std::os::unix::process::ExitStatusExt::core_dumped)).
    ///
    /// - SIGKILL for any of the three ends all; so does the program's end, unless
    ///   the worker is [detached](crate::Worker::detach): then its keeper is,
    ///   and with it all that is inside.
    ///
    /// /proc shows the outer ids until [`proc`](Self::proc) mounts another.
    pub fn pid(self) -> Self {
        self.with(libc::CLONE_NEWPID)
    }

    /// Mounts a /proc of the new PID namespace, at this path: `/proc`, or the
    /// `proc` of a root to be. Needs [`mount`](Self::mount) and
    /// [`pid`](Self::pid).
    pub fn proc(mut self, at: impl AsRef<Path>) -> Self {
        self.proc = Some(at.as_ref().as_os_str().as_bytes().to_owned());
        self
    }

    /// A network namespace: nothing in it but a loopback interface, which is
    /// down. Descriptors keep their sockets.
    pub fn net(self) -> Self {
        self.with(libc::CLONE_NEWNET)
    }

    /// An IPC namespace: System V objects and POSIX message queues.
    pub fn ipc(self) -> Self {
        self.with(libc::CLONE_NEWIPC)
    }

    /// A UTS namespace: host name and domain name.
    pub fn uts(self) -> Self {
        self.with(libc::CLONE_NEWUTS)
    }

    /// A cgroup namespace: the worker's cgroup is the root that it sees.
    pub fn cgroup(self) -> Self {
        self.with(libc::CLONE_NEWCGROUP)
    }

    /// A time namespace (Linux 5.6): its clocks `CLOCK_MONOTONIC` and
    /// `CLOCK_BOOTTIME` are so many seconds ahead of those outside.
    pub fn time(mut self, monotonic: i64, boottime: i64) -> Self {
        self.time = Some((monotonic, boottime));
        self
    }

    /// One text for each, so that an error names them.
    pub(crate) fn encode(&self) -> Setting {
        let mut setting = Setting::new(What::Namespaces);
        if let Some(map) = &self.user {
            let own = map.own.map(|own| {
                if own.is_root {
                    "map_root"
                } else {
                    "map_current"
                }
            });
            setting = setting.text(own.unwrap_or("user"));
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

    /// What [`encode`](Self::encode) has made; `None` when it is something else.
    pub(crate) fn decode(setting: &Setting) -> Option<Self> {
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

/// Which users and groups exist in a user namespace, and who they are outside.
/// All others are 65534 inside.
///
/// A map of the worker's own ids may be made by anybody; other ids need
/// `CAP_SETUID` and `CAP_SETGID`. Without these, no process inside can call
/// `setgroups(2)`.
///
/// # Examples
///
/// ```
/// use zygote::{Namespaces, UserMap};
///
/// let container = UserMap::new().uids(0, 100_000, 65_536).gids(0, 100_000, 65_536);
/// let namespaces = Namespaces::new().user(container).mount().pid();
/// assert_ne!(namespaces, Namespaces::new().map_root().mount().pid());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it is for `Namespaces::user`"]
pub struct UserMap {
    /// The worker's own ids are among them.
    pub(crate) own: Option<Own>,
    /// Inside, outside, how many.
    pub(crate) uids: Vec<[u32; 3]>,
    pub(crate) gids: Vec<[u32; 3]>,
}

/// What the worker's own ids are inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) is_root: bool,
}

impl UserMap {
    /// No id is mapped.
    pub fn new() -> Self {
        Self::default()
    }

    /// The worker's user and group are what they are outside.
    pub fn current() -> Self {
        Self {
            own: Some(Own { is_root: false }),
            ..Self::default()
        }
    }

    /// The worker's user and group are 0.
    pub fn root() -> Self {
        Self {
            own: Some(Own { is_root: true }),
            ..Self::default()
        }
    }

    /// Adds `count` users: `inside` and the following are `outside` and the
    /// following.
    pub fn uids(mut self, inside: u32, outside: u32, count: u32) -> Self {
        self.uids.push([inside, outside, count]);
        self
    }

    /// Adds groups, as [`uids`](Self::uids).
    pub fn gids(mut self, inside: u32, outside: u32, count: u32) -> Self {
        self.gids.push([inside, outside, count]);
        self
    }
}

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
