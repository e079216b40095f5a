//! What the macros say about what they do not accept.
//!
//! The texts in `ui/*.stderr` are those of one compiler: another words its own
//! part differently. They are compared when that compiler runs the tests, or when
//! `ZYGOTE_UI` is set; `TRYBUILD=overwrite` writes them anew.

use std::{env, fs, path::Path, process::Command};

/// The compiler that wrote the `.stderr` files.
const COMPILER: &str = "rustc 1.95.";

#[test]
#[expect(clippy::print_stderr, reason = "a test that does not compare says so")]
fn what_must_not_compile() {
    let version = version();
    if !version.starts_with(COMPILER) && env::var_os("ZYGOTE_UI").is_none() {
        eprintln!("not compared: the texts are of {COMPILER}x, this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

fn version() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    let output = output.expect("cargo runs tests, so there is a compiler");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What no hint may name: the items hidden from the docs, by the module they stand in.
const HIDDEN: &[&str] = &[
    "client", "codec", "command", "hooks", "parcel", "launch", "registry", "server", "task",
];

/// The lines in which the compiler says what could be written instead.
fn hints(text: &str) -> impl Iterator<Item = &str> {
    let is_change = |line: &str| {
        let after = line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit());
        after.len() < line.len() && after.starts_with(['+', '~'])
    };
    let words = ["similar name", "perhaps", "candidate #"];
    text.lines()
        .filter(move |line| is_change(line) || words.iter().any(|word| line.contains(word)))
}

fn names_hidden(hint: &str) -> bool {
    let is_path = |name: &str| hint.contains(&format!("zygote::{name}::"));
    hint.contains("__") || HIDDEN.iter().any(|name| is_path(name))
}

#[test]
fn no_hint_names_what_is_hidden() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut seen = 0;
    for entry in fs::read_dir(dir).expect("the texts") {
        let path = entry.expect("a text").path();
        if path.extension().is_none_or(|ending| ending != "stderr") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a text");
        for hint in hints(&text) {
            assert!(!names_hidden(hint), "{}: {hint}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen} hints");
}

#[test]
fn the_check_sees_what_is_hidden() {
    let text = "help: there is a method `__spawn_on` with a similar name\n \
                5 + use zygote::codec::hand::Hand;\n\
                help: the trait `zygote::__private::Travels` is not implemented for `Job`\n\
                help: trait `Hand` which provides `encode` is implemented but not in scope; \
                perhaps you want to import it\n \
                candidate #1: `zygote::hooks::Outcome`\n \
                7 +     process.spawn(double::task(1));";
    let found: Vec<_> = hints(text).map(names_hidden).collect();
    assert_eq!(found, [true, true, false, true, false]);
}
