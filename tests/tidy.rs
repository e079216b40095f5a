//! The layers point one way, and files stay short.

#![allow(
    clippy::unwrap_used,
    reason = "a file that cannot be read fails the test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Which modules of the crate each one may name, from the bottom up. What
/// stands on one line may not see each other.
const LAYERS: &[&[&str]] = &[
    &["error", "exit"],
    &["sys"],
    &["bytes", "parcel"],
    &["hooks", "phase", "raw", "registry", "start"],
    &["settings"],
    &["codec"],
    &["task"],
    &["launch", "wire"],
    &["client", "server"],
    &["channel", "command", "current"],
    &["call"],
    &["service"],
    &["pool"],
    &["tokio"],
    &["setters"],
    // For tests alone.
    &["fuzz", "properties"],
];

/// `error` and `exit` are one layer in two files: an error has an exit.
const TOGETHER: (&str, &str) = ("error", "exit");

/// The folders in which no two files import each other.
const ONE_WAY: &[&str] = &["client", "codec", "pool", "server", "settings", "wire"];

/// The most lines of a file of the library and of its macros, and of any other.
const LONGEST: usize = 400;

/// The most lines of a function.
const SCREEN: usize = 55;
const LONGEST_OTHER: usize = 600;

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

/// The text without comments and unit tests.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next());
    lines
        .map(Option::unwrap_or_default)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The modules of the crate that a file names: `crate::name`, and the names in
/// `use crate::{ … }`.
fn named(text: &str) -> Vec<String> {
    let code = code(text);
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
        for violation in violations(module, &text) {
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

/// A path in the code, by its words.
type Words = Vec<String>;

/// The paths that a tree of a `use` stands for: `a::{b, c::d as e}` is two.
fn leaves(tree: &str) -> Vec<Words> {
    let tree = tree.trim();
    let Some((front, list)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![
            path.split("::")
                .map(|word| word.trim().to_owned())
                .collect(),
        ];
    };
    let front: Words = front
        .split("::")
        .map(|word| word.trim().to_owned())
        .collect();
    let (mut depth, mut from, mut found) = (0, 0, Vec::new());
    let list = list.trim_end().trim_end_matches('}');
    for (at, c) in list.char_indices().chain([(list.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let items = leaves(&list[from..at]).into_iter();
                let with_front = items.map(|item| [&front[..front.len() - 1], &item].concat());
                found
                    .extend(with_front.filter(|path| path.last().is_some_and(|it| !it.is_empty())));
                from = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// The paths that a file imports or names. One that it only hands on counts where
/// the file itself uses what it hands on.
fn paths(text: &str) -> Vec<Words> {
    let (mut rest, mut found, mut handed_on) = (String::new(), Vec::new(), Vec::new());
    for statement in code(text).split_inclusive(';') {
        let begin = statement.rfind("use ").filter(|at| {
            let before = statement[..*at].trim_end();
            let line = before.rsplit('\n').next().unwrap_or_default().trim();
            line.is_empty() || line.starts_with("pub")
        });
        let Some(at) = begin else {
            rest.push_str(statement);
            continue;
        };
        let before = statement[..at].rsplit('\n').next().unwrap_or_default();
        let paths = leaves(statement[at + "use ".len()..].trim_end_matches(';'));
        match before.contains("pub") {
            true => handed_on.extend(paths),
            false => found.extend(paths),
        }
    }
    let words: Vec<&str> = rest
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .collect();
    let is_used = |name: &String| {
        words
            .iter()
            .any(|word| word.split("::").any(|it| it == name))
    };
    found.extend(
        handed_on
            .into_iter()
            .filter(|path| path.last().is_some_and(is_used)),
    );
    let inline = words.iter().filter(|word| word.contains("::"));
    found.extend(inline.map(|word| word.split("::").map(str::to_owned).collect()));
    found
}

/// The module that a path leads to: the longest part of it that is a file.
fn module<'all>(path: &[String], from: &Words, all: &'all BTreeSet<Words>) -> Option<&'all Words> {
    let mut at = match path.first()?.as_str() {
        "crate" => Words::new(),
        "self" | "super" => from.clone(),
        child => {
            let child = [&from[..], &[child.to_owned()]].concat();
            all.contains(&child).then(|| from.clone())?
        }
    };
    for word in path {
        match word.as_str() {
            "crate" | "self" => {}
            "super" => drop(at.pop()),
            word => at.push(word.to_owned()),
        }
    }
    (1..=at.len())
        .rev()
        .find_map(|length| all.get(&at[..length].to_vec()))
}

/// Which of these files import each other.
fn circles(files: &BTreeMap<Words, String>) -> Vec<String> {
    let all: BTreeSet<Words> = files.keys().cloned().collect();
    let mut arrows = BTreeSet::new();
    for (from, text) in files {
        for path in paths(text) {
            if let Some(to) = module(&path, from, &all).filter(|to| *to != from) {
                arrows.insert((from, to));
            }
        }
    }
    let back = arrows
        .iter()
        .filter(|(from, to)| from < to && arrows.contains(&(to, from)));
    back.map(|(a, b)| format!("{} and {}", a.join("::"), b.join("::")))
        .collect()
}

#[test]
fn no_two_files_import_each_other() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for folder in ONE_WAY {
        let mut files = BTreeMap::new();
        for file in sources(&src.join(folder)) {
            let below = file.strip_prefix(&src).unwrap().with_extension("");
            let words = below.iter().map(|word| word.to_str().unwrap().to_owned());
            let words: Words = words.filter(|word| word != "mod").collect();
            files.insert(words, fs::read_to_string(&file).unwrap());
        }
        assert!(files.len() > 1, "{folder}");
        found.extend(circles(&files));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_check_sees_circles() {
    let of = |a: &str, a_b: &str, c: &str| {
        let words = |path: &str| path.split("::").map(str::to_owned).collect::<Words>();
        let files = [
            ("x", "mod a;\nmod c;\npub use a::A;"),
            ("x::a", a),
            ("x::a::b", a_b),
        ];
        let files = files.into_iter().chain([("x::c", c)]);
        circles(
            &files
                .map(|(path, text)| (words(path), text.to_owned()))
                .collect(),
        )
    };
    let a_and_c = ["x::a and x::c"];
    assert_eq!(of("use super::c::C;", "", "use super::a::A;"), a_and_c);
    let group = "use super::{\n    a::{A, B},\n    d,\n};";
    assert_eq!(of("use crate::{error::E, x::c};", "", group), a_and_c);
    assert_eq!(
        of("fn f() { super::c::g() }", "", "use crate::x::a;"),
        a_and_c
    );
    let parent = "mod b;\nfn f() { b::g() }";
    assert_eq!(of(parent, "use super::A;", ""), ["x::a and x::a::b"]);
    // What is only declared or handed on is not used.
    assert!(of("mod b;\npub(super) use self::b::B;", "use super::A;", "").is_empty());
    let handed_on = "mod b;\npub use self::b::B;\nfn f() -> B {}";
    assert_eq!(of(handed_on, "use super::A;", ""), ["x::a and x::a::b"]);
    // Neither comments nor tests count, and one direction is none.
    let comment = "// super::a\nfn f() {}\n#[cfg(test)]\nmod tests { use super::a; }";
    assert!(of("use super::c::C;", "use super::super::c::C;", comment).is_empty());
}

#[test]
fn files_are_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = ["src", "macros/src"].map(|dir| (dir, LONGEST));
    let others = [
        "tests",
        "examples",
        "benches",
        "peers/src",
        "service/src",
        "thumbnails/src",
    ];
    for (dir, longest) in own
        .into_iter()
        .chain(others.map(|dir| (dir, LONGEST_OTHER)))
    {
        for file in sources(&root.join(dir)) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= longest, "{} has {lines} lines", file.display());
        }
    }
}

/// The name and the number of lines of each function in a formatted text.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let words = [
            "pub",
            "pub(crate)",
            "pub(super)",
            "const",
            "unsafe",
            "extern",
            "\"C\"",
        ];
        let mut rest = code
            .split(' ')
            .skip_while(|word| words.contains(word) || word.starts_with("pub("));
        if rest.next() != Some("fn") || line.ends_with(';') || line.ends_with('}') {
            continue;
        }
        let name = rest.next().unwrap_or_default();
        let name = name.split(['(', '<']).next().unwrap_or_default();
        let end = format!("{indent}}}");
        let length = lines[at..].iter().position(|line| **line == end);
        found.extend(length.map(|length| (name, length + 1)));
    }
    found
}

#[test]
fn functions_are_measured() {
    let text = "fn a() {\n    b();\n}\n\nimpl X {\n    pub(super) unsafe fn c<T>(\n    ) {\n    }\n    fn d(&self);\n}";
    assert_eq!(functions(text), [("a", 3), ("c", 3)]);
}

#[test]
fn functions_fit_a_screen() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for dir in ["src", "macros/src"] {
        for file in sources(&root.join(dir)) {
            let text = fs::read_to_string(&file).unwrap();
            // One function is a list, for a test.
            let is_list = |name: &str| file.ends_with("hygiene.rs") && name == "all";
            for (name, lines) in functions(&text) {
                if is_list(name) {
                    continue;
                }
                let place = file.display();
                assert!(lines <= SCREEN, "{place}: `{name}` has {lines} lines");
            }
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
