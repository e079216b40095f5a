//! Runs the programs.

use face::{Result, descriptors, preloads, raw, typed};

#[test]
fn typed_arguments() -> Result<()> {
    typed::program()
}

#[test]
fn shared_listener() -> Result<()> {
    descriptors::servers()
}

#[test]
fn nested_processes() -> Result<()> {
    descriptors::nested()
}

#[test]
fn preloaded_values() -> Result<()> {
    preloads::program()
}

#[test]
fn raw_layer() -> Result<()> {
    raw::program()
}
