//! The layers point one way, and files stay short.

#![allow(
    clippy::unwrap_used,
    reason = "a file that cannot be read fails the test"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Which modules of the crate each one may name, from the bottom up. What
/// stands on one line may not see each other.
const LAYERS: &[&[&str]] = &[
    &["error", "exit"],
    &["sys"],
    &["bytes", "parcel"],
    &["hooks", "phase", "raw", "registry", "settings", "start"],
    &["codec"],
    &["task"],
    &["program", "wire"],
    &["client", "server"],
    &["channel", "command", "current", "tokio"],
    &["setters"],
    // For tests alone.
    &["fuzz", "properties"],
];

/// `error` and `exit` are one layer in two files: an error has an exit.
const TOGETHER: (&str, &str) = ("error", "exit");

/// The most lines of a source file.
const LONGEST: usize = 600;

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// The modules of the crate that a file names: `crate::name`, and the names in
/// `use crate::{ … }`.
fn named(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let word = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.push(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut item = true;
        for (at, c) in list.char_indices() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => item = true,
                _ if c.is_alphanumeric() && item && depth == 0 => {
                    names.push(word(&list[at..]));
                    item = false;
                }
                _ => {}
            }
        }
    }
    names
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&module))
}

/// What is wrong with a file of this module and text.
fn violations(module: &str, text: &str) -> Vec<String> {
    let own = layer(module);
    named(text)
        .into_iter()
        .filter(|name| name != module && (module, name.as_str()) != TOGETHER)
        .filter(|name| layer(name).is_some() && layer(name) >= own)
        .map(|name| format!("`{module}` names `{name}`"))
        .collect()
}

#[test]
fn layers_point_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in sources(&src) {
        let below = file.strip_prefix(&src).unwrap();
        let first = below
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap();
        let module = first.trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        assert!(layer(module).is_some(), "`{module}` is in no layer");
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("\n#[cfg(test)]").next().unwrap();
        for violation in violations(module, code) {
            wrong.push(format!("{}: {violation}", below.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_check_sees_violations() {
    let text = "use crate::{\n    error::{Error, Result},\n    client::Peer,\n};";
    assert_eq!(named(text), ["error", "client"]);
    assert_eq!(violations("wire", text), ["`wire` names `client`"]);
    assert_eq!(
        violations("server", "crate::client::x"),
        ["`server` names `client`"]
    );
    assert!(violations("client", "use crate::error::Error; // crate::server").is_empty());
}

#[test]
fn files_are_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for dir in [
        "src",
        "macros/src",
        "tests",
        "examples",
        "benches",
        "peers/src",
        "thumbnails/src",
    ] {
        for file in sources(&root.join(dir)) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= LONGEST, "{} has {lines} lines", file.display());
        }
    }
}

#[test]
fn unsafe_code_stands_in_sys() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut exceptions = 0;
    for file in sources(&src) {
        let below = file.strip_prefix(&src).unwrap();
        if below.starts_with("sys") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        exceptions += text.matches("expect(unsafe_code").count();
        exceptions += text.matches("allow(unsafe_code").count();
    }
    assert!(exceptions <= 4, "{exceptions} exceptions outside of `sys`");
}

/// Whoever sets the clock must not end a wait or make one last for ever.
#[test]
fn deadlines_do_not_read_the_wall_clock() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&src) {
        // What fuzz targets make up has times of files in it.
        if file.ends_with("fuzz.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for word in ["SystemTime", "UNIX_EPOCH", "CLOCK_REALTIME"] {
            assert!(!text.contains(word), "{}: {word}", file.display());
        }
    }
}
