use std::os::unix::net::UnixStream;

use zygote::raw::Args;

#[zygote::entry(raw)]
fn nothing() {}

#[zygote::entry(raw)]
fn result(conn: UnixStream, args: Args) -> u32 {
    drop((conn, args));
    0
}

#[zygote::entry(raw)]
fn types(conn: std::fs::File, args: Vec<u8>) {
    drop((conn, args));
}

fn main() {}
