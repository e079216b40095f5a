// What both libraries have, word for word: the same paths but for the crate's
// name, the same lines, the same types.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicU32, Ordering},
};

pub use zygote;
use zygote::{Process, raw::{Arg, Args}};

/// Which of the two this is.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// How often the hook ran in this process.
static HOOKED: AtomicU32 = AtomicU32::new(0);

#[zygote::hook(worker)]
fn hook() {
    HOOKED.fetch_add(1, Ordering::Relaxed);
}

/// What a worker is: the library's name, how many hooks ran in it, its
/// template's process id, and the constructors.
type Seen = (String, u32, u32, Vec<u32>);

#[zygote::entry]
fn look() -> Seen {
    let template = std::os::unix::process::parent_id();
    let counts = constructors::runs().map(|(count, _)| count).to_vec();
    (
        NAME.to_owned(),
        HOOKED.load(Ordering::Relaxed),
        template,
        counts,
    )
}

#[zygote::preload]
fn load() -> String {
    NAME.to_owned()
}

#[zygote::entry]
fn loaded(text: &String) -> bool {
    text == NAME
}

#[zygote::entry(raw)]
fn raw(mut conn: UnixStream, args: Args) {
    for arg in args {
        if let Arg::Bytes(bytes) = arg {
            conn.write_all(&bytes).unwrap();
            conn.write_all(NAME.as_bytes()).unwrap();
        }
    }
}

/// Every kind of thing, in this version; gives the default template's id.
pub fn check() -> u32 {
    let (name, hooks, template, constructors) = look::spawn().unwrap().join().unwrap();
    assert_eq!((name.as_str(), hooks), (NAME, 1));
    assert_eq!(constructors, [1; 3]);
    let process = Process::new().unwrap().preload(load::task()).unwrap();
    assert!(loaded::spawn(&process).unwrap().join().unwrap());
    let process = Process::new().unwrap().send_arg("a worker of ");
    let (worker, mut conn) = process.run_raw("raw").unwrap();
    conn.set_nonblocking(false).unwrap();
    let mut text = String::new();
    conn.read_to_string(&mut text).unwrap();
    worker.join().unwrap();
    assert_eq!(text, format!("a worker of {NAME}"));
    // Those of this file, the program's one, and zygote's own.
    assert_eq!(zygote::__private::ENTRIES.len(), 4 + 1 + 1);
    assert_eq!(zygote::__private::HOOKS.len(), 1);
    template
}
