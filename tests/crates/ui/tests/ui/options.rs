#[zygote::entry(name = "f")]
fn unknown() {}

#[zygote::preload(raw)]
fn preload() {}

#[zygote::entry(type = One, type = Two)]
fn twice() {}

#[zygote::entry(type)]
fn incomplete() {}

#[zygote::entry(type = Three, raw)]
fn raw(conn: std::os::unix::net::UnixStream, args: zygote::raw::Args) {
    drop((conn, args));
}

#[zygote::entry(crate = "path")]
fn path() {}

fn main() {}
