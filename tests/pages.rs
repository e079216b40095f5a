//! What the pages name exists, and the map stays short.

#![allow(
    clippy::unwrap_used,
    reason = "a page that cannot be read fails the test"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders of the repository that pages name files in.
const FOLDERS: [&str; 11] = [
    ".ci",
    "benches",
    "docs",
    "examples",
    "fuzz",
    "macros",
    "peers",
    "service",
    "src",
    "tests",
    "thumbnails",
];

/// The most lines of the map.
const LONGEST_MAP: usize = 150;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All pages below this folder.
fn pages(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
    found
}

/// The page without its code blocks.
fn prose(page: &str) -> String {
    let parts = page.split("\n```").enumerate();
    let outside = parts.filter(|(at, _)| at % 2 == 0).map(|(_, part)| part);
    outside.collect::<Vec<_>>().join("\n")
}

/// Where the page's links lead, but for those to other sites, to other places of
/// the page, and to items of the crate, which rustdoc looks at.
fn links(prose: &str) -> Vec<&str> {
    let targets = prose.split("](").skip(1);
    let targets = targets.map(|rest| rest.split(')').next().unwrap_or_default());
    targets
        .filter(|to| !to.contains("://") && !to.starts_with('#'))
        .filter(|to| !to.contains("::") && *to != "crate")
        .collect()
}

/// The code texts of the page, and what follows each of them.
fn codes(prose: &str) -> Vec<(&str, &str)> {
    let parts: Vec<_> = prose.split('`').collect();
    let pairs = parts.windows(2).enumerate();
    pairs
        .filter(|(at, _)| at % 2 == 1)
        .map(|(_, pair)| (pair[0], pair[1]))
        .collect()
}

/// The path that a code text is, up to its first star.
fn path_of(code: &str) -> Option<&str> {
    let word = code.split_whitespace().next()?;
    let folder = word.split('/').next()?;
    if !word.contains('/') || !FOLDERS.contains(&folder) {
        return None;
    }
    match word.split_once('*') {
        Some((before, _)) => before.rsplit_once('/').map(|(folder, _)| folder),
        None => Some(word),
    }
}

/// What is missing of what a page in this folder names.
fn missing(page: &str, folder: &Path) -> Vec<String> {
    let prose = prose(page);
    let mut missing = Vec::new();
    for link in links(&prose) {
        if !folder
            .join(link.split('#').next().unwrap_or_default())
            .exists()
        {
            missing.push(format!("a link to {link}"));
        }
    }
    // The file whose functions are named next, as in "`file`: `one`, `other`".
    let mut file = None;
    for (code, then) in codes(&prose) {
        if let Some(path) = path_of(code) {
            let found = [folder.join(path), root().join(path)];
            let found = found.into_iter().find(|path| path.exists());
            if found.is_none() {
                missing.push(path.to_owned());
            }
            file = found.filter(|_| then == ": ");
        } else if let Some(path) = &file {
            let text = fs::read_to_string(path).unwrap();
            let is_there = |end| text.contains(&format!("fn {code}{end}"));
            if !is_there('(') && !is_there('<') {
                missing.push(format!("`{code}` in {}", path.display()));
            }
            file = file.filter(|_| then == ", ");
        }
    }
    missing
}

#[test]
fn what_pages_name_exists() {
    let pages = pages(root());
    assert!(pages.contains(&root().join("README.md")));
    let mut wrong = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for it in missing(&text, page.parent().unwrap()) {
            wrong.push(format!("{}: {it}", page.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_check_sees_what_is_missing() {
    let missing = |text: &str| missing(text, &root().join("docs")).len();
    assert_eq!(missing("[a](testing.md) [b](../README.md#x) [c](#y)"), 0);
    assert_eq!(
        missing("[a](crate::Process) [b](https://docs.rs/nothing)"),
        0
    );
    assert_eq!(missing("[a](nothing.md)"), 1);
    assert_eq!(
        missing("`src/lib.rs`, `tests/suite/*.rs`, `.ci/run --all`, `a/b`"),
        0
    );
    assert_eq!(missing("`src/nothing.rs` and `tests/nothing/*.rs`"), 2);
    assert_eq!(missing("text\n```sh\n`src/nothing.rs`\n```\n"), 0);
    assert_eq!(missing("`tests/pages.rs`: `prose`, `codes`; `nothing`"), 0);
    assert_eq!(missing("`tests/pages.rs`: `prose`, `nothing`"), 1);
}

/// Pages that rustdoc shows: where it does, no file is beside them.
#[test]
fn pages_of_the_crate_link_to_no_file() {
    for page in ["README.md", "docs/choosing.md", "docs/gotchas.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        assert_eq!(links(&prose(&text)), [""; 0], "{page}");
    }
}

#[test]
fn the_map_is_short() {
    let map = fs::read_to_string(root().join("DESIGN.md")).unwrap();
    let lines = map.lines().count();
    assert!(lines <= LONGEST_MAP, "DESIGN.md has {lines} lines");
}
