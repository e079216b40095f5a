//! How the ids of a user namespace are mapped.

use crate::sys::{fork, namespace::Maps};

/// Which users and groups exist in a user namespace, and who they are outside.
/// All others are 65534 inside.
///
/// Anybody may map the worker's own ids; other ids need `CAP_SETUID` and `CAP_SETGID`.
/// Without these two, no process inside can call `setgroups(2)`.
///
/// # Examples
///
/// ```
/// use zygote::settings::{Namespaces, UserMap};
///
/// let container = UserMap::new().uids(0, 100_000, 65_536).gids(0, 100_000, 65_536);
/// let namespaces = Namespaces::new().user(container).mount().pid();
/// assert_ne!(namespaces, Namespaces::new().map_root().mount().pid());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it is for `Namespaces::user`"]
pub struct UserMap {
    /// What the worker's own ids are inside.
    pub(super) own: Option<Own>,
    /// Inside, outside, how many.
    pub(super) uids: Vec<[u32; 3]>,
    pub(super) gids: Vec<[u32; 3]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// 0.
    Root,
    /// As they are outside.
    Current,
}

impl UserMap {
    /// Maps no id.
    pub fn new() -> Self {
        Self::default()
    }

    /// Maps the worker's user and group to what they are outside.
    pub fn current() -> Self {
        Self {
            own: Some(Own::Current),
            ..Self::default()
        }
    }

    /// Maps the worker's user and group to 0.
    pub fn root() -> Self {
        Self {
            own: Some(Own::Root),
            ..Self::default()
        }
    }

    /// Adds `count` users: those from `inside` on are those from `outside` on.
    pub fn uids(mut self, inside: u32, outside: u32, count: u32) -> Self {
        self.uids.push([inside, outside, count]);
        self
    }

    /// Adds groups, as [`uids`](Self::uids) adds users.
    pub fn gids(mut self, inside: u32, outside: u32, count: u32) -> Self {
        self.gids.push([inside, outside, count]);
        self
    }

    /// Gives the maps as the kernel wants them.
    pub(super) fn maps(&self) -> Maps {
        let (user, group) = fork::user_and_group();
        let lines = |own: u32, ranges: &[[u32; 3]]| {
            let own = self.own.map(|inside| match inside {
                Own::Root => [0, own, 1],
                Own::Current => [own, own, 1],
            });
            let all = own.iter().chain(ranges);
            all.map(|[inside, outside, count]| format!("{inside} {outside} {count}\n"))
                .collect()
        };
        Maps {
            uids: lines(user, &self.uids),
            gids: lines(group, &self.gids),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_a_line_for_the_own_id_and_for_each_range() {
        let (user, group) = fork::user_and_group();
        let maps = UserMap::root().uids(1, 100_000, 9).maps();
        assert_eq!(maps.uids, format!("0 {user} 1\n1 100000 9\n"));
        assert_eq!(maps.gids, format!("0 {group} 1\n"));
        let maps = UserMap::current().gids(1, 2, 3).maps();
        assert_eq!(maps.uids, format!("{user} {user} 1\n"));
        assert_eq!(maps.gids, format!("{group} {group} 1\n1 2 3\n"));
        let maps = UserMap::new().maps();
        assert_eq!((maps.uids.len(), maps.gids.len()), (0, 0));
    }
}
