use std::{borrow::Cow, ffi::OsStr, path::Path};

struct Line<'a>(&'a str);

#[zygote::entry]
fn first(text: &str) -> usize {
    text.len()
}

#[zygote::entry]
fn path(count: u32, path: &Path) -> bool {
    count > 0 && path.exists()
}

#[zygote::entry]
fn slice(numbers: &[Vec<u32>]) -> usize {
    numbers.len()
}

#[zygote::entry]
fn nested(names: Vec<&OsStr>) -> usize {
    names.len()
}

#[zygote::entry]
fn cow(text: Cow<'_, str>) -> usize {
    text.len()
}

#[zygote::entry]
fn inside(line: Line<'_>) -> usize {
    line.0.len()
}

#[zygote::entry]
fn constant(text: &'static str) -> usize {
    text.len()
}

#[zygote::entry]
fn object(hash: &dyn Fn() -> u32) -> u32 {
    hash()
}

fn main() {}
