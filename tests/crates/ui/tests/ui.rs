//! What the macros say about what they do not accept.
//!
//! The texts in `ui/*.stderr` are those of one compiler: another words its own
//! part differently. They are compared when that compiler runs the tests, or when
//! `ZYGOTE_UI` is set; `TRYBUILD=overwrite` writes them anew.

use std::{env, process::Command};

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
