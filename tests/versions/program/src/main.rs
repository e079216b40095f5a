//! Both versions at work in one program: exit code 0 when neither has noticed
//! the other. Takes no input.

use std::{
    fs, process, thread,
    time::{Duration, Instant},
};

#[cfg(feature = "early_one")]
one::zygote::early!();

#[cfg(feature = "early_two")]
two::zygote::early!();

/// Both versions, in a worker of the one.
#[one::zygote::entry(crate = one::zygote)]
fn both() -> u32 {
    two::check();
    one::check()
}

/// The same, in a worker of the other.
mod other {
    #[two::zygote::entry(crate = two::zygote)]
    pub(crate) fn both() -> u32 {
        one::check();
        two::check()
    }
}

/// The templates that this process owns, but for those that one of them forked.
fn templates(of: u32) -> Vec<u32> {
    let title = format!("zygote: template of {of}");
    let is_one = |pid: u32| {
        let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&text).trim_end_matches('\0') == title
    };
    let all = fs::read_dir("/proc").unwrap();
    all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| is_one(*pid) && !parent(*pid).is_some_and(is_one))
        .collect()
}

fn parent(of: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{of}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// Copies of the program, which know its early templates no more, and whose
/// workers need ones of their own.
fn copies() {
    let copy = one::zygote::Process::fork_current().unwrap();
    copy.run(both::task()).unwrap().join().unwrap();
    let copy = two::zygote::Process::fork_current().unwrap();
    copy.run(other::both::task()).unwrap().join().unwrap();
}

fn main() {
    assert_eq!(constructors::runs().map(|(count, _)| count), [1; 3]);
    let own = process::id();
    let early = usize::from(cfg!(feature = "early_one")) + usize::from(cfg!(feature = "early_two"));
    // Each gives itself its title, in its own time.
    let start = Instant::now();
    while templates(own).len() != early {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}",
            templates(own)
        );
        thread::sleep(Duration::from_millis(1));
    }

    // Before anything has asked for the early templates, and after.
    copies();
    let default = [one::check(), two::check()];
    assert_ne!(default[0], default[1]);
    for _ in 0..20 {
        // At the same time.
        let threads = [thread::spawn(one::check), thread::spawn(two::check)];
        assert_eq!(threads.map(|thread| thread.join().unwrap()), default);
    }
    let mut found = templates(own);
    found.sort_unstable();
    let mut sorted = default;
    sorted.sort_unstable();
    assert_eq!(found, sorted, "after the first spawns");
    // A template has none that nobody asked it for.
    for template in default {
        assert_eq!(templates(template), [0; 0], "of {template}");
    }
    both::spawn().unwrap().join().unwrap();
    other::both::spawn().unwrap().join().unwrap();
    copies();
    println!("versions: all is well with early templates {early}");
}
