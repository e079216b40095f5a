//! The table of all kinds of setting.

use crate::error::{Error, ErrorKind, Result};

/// Gives every kind to a macro, a row each, in the order in which they are applied:
/// first what needs rights or paths of the template, then what gives the rights up,
/// then what only touches the process itself, and last what forbids the most.
///
/// A row has the kind, the name that an error calls it by (that of the method that
/// records it), whether a launch can carry it (a few system calls on the process
/// itself, which allocate nothing), what applies it, and, where the values are not
/// shown as they are, what shows them.
macro_rules! table {
    ($rows:ident) => {
        $rows! {
            // From here on everything counts for the group.
            Cgroup "cgroup" false place::cgroup;
            Stdin "stdin" true stdio::stream;
            Stdout "stdout" true stdio::stream;
            Stderr "stderr" true stdio::stream;
            // Each needs one more descriptor for a moment.
            RawArg "send_arg" false raw_arg::hold, variables::show_nothing;
            OomScoreAdj "oom_score_adj" false limits::oom_score_adj;
            Nice "nice" false limits::nice;
            IoPriority "io_priority" false limits::io_priority, limits::show_io_priority;
            Affinity "affinity" false limits::affinity;
            Scheduler "scheduler" false limits::scheduler, limits::show_scheduler;
            // This one and the next may fork twice: the last process, which is inside
            // the namespace, goes on.
            Tree "tree" false tree::begin_session;
            Namespaces "namespaces" false namespaces::enter;
            Session "session" true place::session;
            ProcessGroup "process_group" true place::process_group;
            Terminal "controlling_terminal" false place::controlling_terminal;
            Root "root" false place::root;
            Rlimit "rlimit" false limits::rlimit, limits::show_rlimit;
            Groups "groups" false identity::groups;
            Gid "gid" false identity::gid;
            Uid "uid" false identity::uid;
            Capabilities "capabilities" false identity::capabilities, identity::show_capabilities;
            Dumpable "dumpable" false identity::dumpable;
            NoNewPrivs "no_new_privs" false identity::no_new_privs;
            CurrentDir "current_dir" true surroundings::current_dir;
            Umask "umask" true surroundings::umask;
            Environment "env" false variables::change, variables::show_names;
            // A launch puts it in place instead.
            Variables "environment" true variables::replace, variables::show_nothing;
            Title "title" false surroundings::title;
            ThreadName "thread_name" false surroundings::thread_name;
            // Takes the parent-death signal back.
            Detached "detached" true detached::apply;
            // After the hooks; the server runs it.
            Init "init" false init::run_later, variables::show_nothing;
            Confine "confine" false confine::apply;
        }
    };
}

macro_rules! kinds {
    ($($what:ident $name:literal $is_plain:literal $apply:path $(, $show:path)?;)+) => {
        /// What a setting is about. The order is that of the table, and so is the
        /// number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub(crate) enum What {
            $($what,)+
        }

        impl What {
            pub(super) const ALL: &[Self] = &[$(Self::$what),+];

            /// Gives the name that an error calls it by.
            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$what => $name,)+
                }
            }

            /// Tells whether a launch can carry it.
            pub(super) fn is_plain(self) -> bool {
                match self {
                    $(Self::$what => $is_plain,)+
                }
            }
        }
    };
}

table!(kinds);
pub(super) use table;

impl What {
    pub(super) fn decode(byte: u8) -> Result<Self> {
        let what = Self::ALL.get(usize::from(byte)).copied();
        what.ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "a setting of an unknown kind").unstarted()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_from_its_number() {
        for what in What::ALL {
            assert_eq!(What::decode(*what as u8).unwrap(), *what);
        }
        let unknown = u8::try_from(What::ALL.len()).unwrap();
        assert!(What::decode(unknown).is_err());
        assert!(What::decode(u8::MAX).is_err());
    }

    #[test]
    fn no_two_have_one_name() {
        let mut names: Vec<&str> = What::ALL.iter().map(|what| what.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), What::ALL.len());
    }

    /// The other way round these would fail, or give away what is to be kept.
    #[test]
    fn what_takes_away_comes_after_what_needs_it() {
        for order in [
            &[What::Cgroup, What::Namespaces][..],
            // The template's rights are gone in a user namespace.
            &[What::OomScoreAdj, What::Nice, What::Namespaces],
            &[
                What::IoPriority,
                What::Affinity,
                What::Scheduler,
                What::Tree,
                What::Namespaces,
            ],
            &[What::Namespaces, What::Session, What::ProcessGroup],
            &[What::Session, What::Terminal],
            // The limit may be the number of descriptors.
            &[What::RawArg, What::Rlimit],
            &[What::Namespaces, What::Root, What::Uid],
            &[
                What::Rlimit,
                What::Groups,
                What::Gid,
                What::Uid,
                What::Capabilities,
            ],
            // A change of the user takes it back.
            &[What::Uid, What::Dumpable],
            // A path is one inside the root, and is looked up as the new user.
            &[What::Root, What::Uid, What::CurrentDir],
            &[What::Detached, What::Init, What::Confine],
        ] {
            assert!(order.is_sorted(), "{order:?}");
        }
        assert_eq!(What::ALL.first(), Some(&What::Cgroup));
        assert_eq!(What::ALL.last(), Some(&What::Confine));
        assert!(What::ALL.is_sorted());
    }

    #[test]
    fn a_launch_carries_what_a_few_calls_do() {
        let plain: Vec<_> = What::ALL.iter().filter(|what| what.is_plain()).collect();
        let expected = [
            What::Stdin,
            What::Stdout,
            What::Stderr,
            What::Session,
            What::ProcessGroup,
            What::CurrentDir,
            What::Umask,
            What::Variables,
            What::Detached,
        ];
        assert!(plain.into_iter().eq(&expected));
    }
}
