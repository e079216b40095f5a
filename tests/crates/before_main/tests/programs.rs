//! What the programs say, for each thing that a constructor may do.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{fs, process::Command};

const PROGRAMS: [&str; 2] = [
    env!("CARGO_BIN_EXE_before_main_early"),
    env!("CARGO_BIN_EXE_before_main_executed"),
];

/// Every way to start a process.
const WAYS: [&str; 8] = [
    "spawn", "process", "fresh", "current", "renew", "command", "preload", "thread",
];

/// The lines that begin so, without that.
fn said(program: &str, act: &str) -> Vec<(String, String)> {
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new(program);
    command
        .env("ACT", act)
        .env("REPORT", report.path())
        .env_remove("DEPTH");
    let status = command.status().unwrap();
    let text = fs::read_to_string(report.path()).unwrap();
    assert!(status.success(), "{program} {act}: {status} {text}");
    let pair = |line: &str| {
        let (who, what) = line.split_once(": ").unwrap();
        (who.to_owned(), what.to_owned())
    };
    text.lines().map(pair).collect()
}

fn of<'a>(lines: &'a [(String, String)], who: &str) -> Vec<&'a str> {
    let own = lines.iter().filter(|(name, _)| name == who);
    own.map(|(_, what)| what.as_str()).collect()
}

#[test]
fn a_constructor_before_ours_starts_nothing() {
    for program in PROGRAMS {
        for way in WAYS {
            let lines = said(program, &format!("front {way}"));
            let refused = of(&lines, "front in the program");
            assert!(!refused.is_empty(), "{way}: {lines:?}");
            for text in refused {
                assert!(text.contains("before this library's own"), "{way}: {text}");
            }
            assert_eq!(
                of(&lines, "main in the program"),
                ["Ok(\"hello\")"],
                "{way}"
            );
        }
    }
}

#[test]
fn a_constructor_after_ours_starts_processes_in_the_program_and_none_in_a_template() {
    for program in PROGRAMS {
        for way in WAYS {
            let lines = said(program, &format!("late {way}"));
            let [done] = of(&lines, "late in the program")[..] else {
                panic!("{way}: {lines:?}");
            };
            assert!(done.contains("Ok("), "{way}: {done}");
            let refused = of(&lines, "late in the template");
            assert!(!refused.is_empty(), "{way}: {lines:?}");
            for text in refused {
                assert!(text.contains("in every template"), "{way}: {text}");
            }
            assert_eq!(
                of(&lines, "main in the program"),
                ["Ok(\"hello\")"],
                "{way}"
            );
        }
    }
}

#[test]
fn a_constructor_that_forks_leaves_one_template() {
    for program in PROGRAMS {
        let lines = said(program, "late fork");
        assert_eq!(of(&lines, "main in the program"), ["Ok(\"hello\")"]);
        assert_eq!(of(&lines, "one template in the program"), ["true"]);
    }
}

#[test]
fn what_a_constructor_opened_is_nobody_elses_in_workers() {
    for program in PROGRAMS {
        for (who, mine, other) in [("front", 0, 1), ("late", 1, 0)] {
            for how in ["log", "log as in C"] {
                let lines = said(program, &format!("{who} {how}"));
                let [logs] = of(&lines, "logs in the program")[..] else {
                    panic!("{lines:?}");
                };
                // In the program it can be written to. In workers it is closed,
                // whatever else they open and are given.
                let closed = libc::EBADF;
                let mut own = [closed; 2];
                own[mine] = 0;
                assert_eq!(own[other], closed);
                let expected = [
                    own,
                    [closed; 2],
                    [closed; 2],
                    [closed; 2],
                    [closed; 2],
                    [closed; 2],
                ];
                assert_eq!(logs, format!("Ok({expected:?})"), "{program} {who} {how}");
                assert_eq!(of(&lines, "main in the program"), ["Ok(\"hello\")"]);
            }
        }
    }
}
