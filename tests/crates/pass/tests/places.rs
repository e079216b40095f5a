//! Places where an entry may stand: behind macros and `cfg`, inside functions.

#![deny(warnings)]

use std::path::PathBuf;

struct Index(Vec<String>);

macro_rules! entries {
    ($search:ident, $state:ty, $query:ty, $load:ident -> $value:ty) => {
        #[zygote::entry]
        fn $search(index: $state, query: $query) -> Option<$query> {
            index.0.contains(&query).then_some(query)
        }

        #[zygote::preload]
        fn $load() -> $value {
            Ok(Index(Vec::new()))
        }
    };
}

entries!(search, &Index, String, load -> Result<Index, String>);

#[cfg(unix)]
#[zygote::entry]
fn above(path: PathBuf) -> bool {
    path.exists()
}

#[zygote::entry]
#[cfg(unix)]
fn below(path: PathBuf) -> bool {
    path.exists()
}

#[cfg(windows)]
#[zygote::entry]
fn above_not(path: &str) {}

#[zygote::entry]
#[cfg(windows)]
fn below_not(path: &str) {}

#[zygote::entry]
#[cfg_attr(unix, allow(clippy::unnecessary_wraps))]
fn attribute(path: PathBuf) -> Option<PathBuf> {
    Some(path)
}

/// Two functions in two bodies: one path, two entries.
fn bodies() -> [zygote::Task<u32>; 2] {
    fn one() -> zygote::Task<u32> {
        #[zygote::entry]
        fn inner(number: u32) -> u32 {
            number + 1
        }
        inner::task(inner(1))
    }
    fn two() -> zygote::Task<u32> {
        #[zygote::entry]
        fn inner(number: u32) -> u32 {
            number + 2
        }
        inner::task(inner(1))
    }
    [one(), two()]
}

fn local_types() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Local(u8);

    #[zygote::entry]
    fn show(local: Local) -> Local {
        local
    }

    #[zygote::preload]
    fn keep(local: Local) -> Local {
        local
    }

    #[zygote::entry]
    fn use_it(local: &Local) -> u8 {
        local.0
    }

    #[zygote::entry(raw)]
    fn raw(_: std::os::unix::net::UnixStream, _: zygote::raw::Args) {}

    let _: zygote::Task<Local> = show::task(show(Local(use_it(&keep(Local(1))))));
    let _: zygote::Preload<Local> = keep::task(Local(2));
    let _ = use_it::task();
}

mod inner {
    #[zygote::entry]
    pub(super) fn restricted() {}

    pub mod deeper {
        #[zygote::entry]
        pub(in crate::inner) fn path() {}
    }

    pub fn tasks() -> [zygote::Task<()>; 2] {
        [restricted::task(), deeper::path::task()]
    }
}

fn main() {
    let [one, two] = bodies();
    assert_eq!(one.entry(), two.entry());
    let run = |task| {
        zygote::Process::new()
            .unwrap()
            .run(task)
            .unwrap()
            .join()
            .unwrap()
    };
    assert_eq!((run(one), run(two)), (3, 5));
    local_types();
    drop((
        above::task("a".into()),
        below::task("b".into()),
        attribute::task("c".into()),
    ));
    drop((
        search::task("q".into()),
        load::task(),
        inner::tasks(),
        inner::restricted::task(),
    ));
}
