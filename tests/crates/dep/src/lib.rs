//! Entries of a dependency that the program mentions only as `use dep as _;`.

use std::{io::Write, os::unix::net::UnixStream};

use zygote::raw::{Arg, Args};

/// Sends its octets back, upper case.
#[zygote::entry(raw)]
pub fn shout(mut conn: UnixStream, args: Args) {
    for arg in args {
        if let Arg::Bytes(bytes) = arg {
            // Who does not listen gets nothing.
            let _ = conn.write_all(&bytes.to_ascii_uppercase());
        }
    }
}

/// Nobody calls this, and it is registered.
#[must_use]
#[zygote::entry]
pub fn nobody_calls_this() -> Vec<u8> {
    Vec::new()
}

/// A body with an entry in it.
pub fn outer() {
    #[zygote::entry(raw)]
    fn inner(mut conn: UnixStream, _: Args) {
        let _ = conn.write_all(b"inner");
    }
    let _: fn(UnixStream, Args) = inner;
}
