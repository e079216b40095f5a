//! Sockets and bytes.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use zygote::{
    Process,
    raw::{Arg, Args},
};

/// Sends its arguments back, upper case.
#[zygote::entry(raw)]
fn shout(mut conn: UnixStream, args: Args) {
    for arg in args {
        if let Arg::Bytes(bytes) = arg {
            conn.write_all(&bytes.to_ascii_uppercase())
                .expect("the program reads");
        }
    }
}

/// Runs an entry by its name.
///
/// # Errors
///
/// When anything fails.
pub fn program() -> crate::Result<()> {
    let process = Process::new()?.send_arg("fork").send_arg(" me");
    let (worker, mut conn) = process.run_raw("shout")?;
    conn.set_nonblocking(false)?;
    let mut text = String::new();
    let _ = conn.read_to_string(&mut text)?;
    assert_eq!(text, "FORK ME");
    worker.join()?;
    Ok(())
}
