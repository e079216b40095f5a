//! Large and strange environments and argument lists.

use std::{
    collections::hash_map::DefaultHasher,
    ffi::{OsStr, OsString},
    hash::{Hash, Hasher},
    os::unix::ffi::OsStrExt,
};

use super::*;

pub(crate) const ROLES: Roles = &[("compare", compare)];

/// How many variables and arguments there are, and what they are, in short.
#[zygote::entry]
fn around() -> (usize, usize, u64) {
    // `ZYGOTE_…SERVER` is never among them.
    let mut variables: Vec<(OsString, OsString)> = env::vars_os().collect();
    variables.sort();
    let arguments: Vec<OsString> = match cfg!(target_env = "gnu") {
        true => env::args_os().collect(),
        false => Vec::new(),
    };
    // Without keys, so the same in every process.
    let mut hasher = DefaultHasher::new();
    variables.hash(&mut hasher);
    arguments.hash(&mut hasher);
    (variables.len(), arguments.len(), hasher.finish())
}

fn compare() {
    let own = around();
    let least: usize = env::var("LEAST").unwrap().parse().unwrap();
    assert!(own.0 + own.1 >= least, "{own:?}");
    both(|way| {
        works().unwrap_or_else(|error| panic!("{way}: {error:?}"));
        assert_eq!(around::spawn().unwrap().join().unwrap(), own, "{way}");
        let nested = Process::new().unwrap().fork().unwrap();
        assert_eq!(
            nested.run(around::task()).unwrap().join().unwrap(),
            own,
            "{way}"
        );
        let fresh = Process::fresh().unwrap();
        assert_eq!(
            fresh.run(around::task()).unwrap().join().unwrap(),
            own,
            "{way}"
        );
    });
}

fn run_with(least: usize, change: impl FnOnce(&mut Command)) {
    let mut command = command("compare");
    change(&mut command);
    command.env("LEAST", least.to_string());
    run_command(command);
}

#[test]
fn the_longest_variable_arrives() {
    run_with(1, |command| {
        // With its name, `=` and NUL the kernel's most: 128 KiB.
        command.env("LONGEST", "x".repeat((128 << 10) - "LONGEST=".len() - 1));
    });
}

#[test]
fn ten_thousand_variables_arrive() {
    run_with(10_000, |command| {
        command.envs((0..10_000).map(|n| (format!("NUMBER_{n}"), format!("value {n}"))));
    });
}

#[test]
fn variables_that_are_empty_or_not_text_arrive() {
    run_with(4, |command| {
        command
            .env("EMPTY", "")
            .env("BYTES", OsStr::from_bytes(b"\xff\xfe=\x80\n"))
            .env(OsStr::from_bytes(b"N\xc0ME"), "value")
            .env("EQUALS", "=a=b=");
    });
}

#[test]
fn no_variable_but_the_role_will_do() {
    run_with(1, |command| {
        command.env_clear().env("ZYGOTE_PROBE", "compare");
    });
}

#[test]
fn long_argument_lists_arrive() {
    run_with(10_000, |command| {
        // For the harness these are names of tests that there are not.
        command.args((0..10_000).map(|n| format!("no-such-test-{n}")));
        command.arg("-".repeat(3).replace("---", "no").repeat(60_000));
    });
}
