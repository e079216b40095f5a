//! The expansions stand in a crate that forbids unsafe code, and none of these
//! lints has anything to say of them.

#![forbid(unsafe_code)]
#![deny(
    dead_code,
    missing_debug_implementations,
    missing_docs,
    single_use_lifetimes,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unused,
    unused_qualifications,
    unused_results,
    warnings
)]

use std::{io, net::TcpListener, os::unix::net::UnixStream, path::PathBuf};

use zygote::raw::Args;

/// Has docs.
#[zygote::entry]
pub fn public(src: PathBuf, size: u32) -> io::Result<Vec<u8>> {
    Ok(vec![0; src.as_os_str().len() + size as usize])
}

#[zygote::entry]
fn serve(mut listener: TcpListener, _id: u32, (_from, _to): (u8, u8), _: u64) {
    listener = listener.try_clone().unwrap();
    drop(listener);
}

#[zygote::entry]
fn nothing() {}

#[zygote::entry]
fn forever(code: i32) -> ! {
    std::process::exit(code)
}

#[zygote::preload]
fn load(path: PathBuf) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

#[zygote::preload]
fn layer(bytes: &Vec<u8>) -> usize {
    bytes.len()
}

#[zygote::preload]
fn tune(bytes: &mut Vec<u8>) {
    bytes.clear();
}

#[zygote::preload]
fn tune_or_fail(bytes: &mut Vec<u8>, more: usize) -> Result<(), String> {
    bytes.try_reserve(more).map_err(|error| error.to_string())
}

#[zygote::preload]
fn nothing_kept() {}

#[zygote::entry]
fn search(bytes: &Vec<u8>, byte: u8) -> bool {
    bytes.contains(&byte)
}

#[zygote::entry]
fn owned(bytes: &mut Vec<u8>) -> Vec<u8> {
    std::mem::take(bytes)
}

#[zygote::entry(raw)]
fn server(conn: UnixStream, args: Args) {
    drop((conn, args));
}

#[zygote::entry(raw)]
fn endless(_: UnixStream, _: Args) -> ! {
    std::process::exit(0)
}

#[deprecated]
#[zygote::entry]
fn old(text: String) -> String {
    text
}

#[deprecated]
#[zygote::preload]
fn old_preload() {}

#[zygote::entry(raw)]
#[deprecated]
fn old_raw(_: UnixStream, _: Args) {}

fn main() {}
