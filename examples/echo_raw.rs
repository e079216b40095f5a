//! The raw layer: sockets, octets and descriptors, nothing typed.
//!
//! A template is prepared once with a string and an open file. Every fork of it
//! has those, and gets a string and a file of its own. Each worker then talks
//! over a socket with the program, in whatever protocol the two like: here,
//! lines that come back in capitals.
//!
//! ```text
//! cargo run --release --example echo_raw
//! ```
#![expect(clippy::print_stdout, reason = "the example talks to whoever runs it")]

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, Write},
    os::unix::net::UnixStream,
    process,
};

use zygote::{
    Process,
    raw::{Arg, Args},
};

// The pool is there from the start, at the price of one fork before `main`.
zygote::early!();

fn main() -> anyhow::Result<()> {
    let mut journal = tempfile::tempfile()?;

    // Everything sent before `fork` is in every worker …
    let pool = Process::new()?
        .send_arg("shout")
        .send_fd(journal.try_clone()?);

    let mut workers = Vec::new();
    for id in 1..=3 {
        let mut notes = tempfile::tempfile()?;
        writeln!(notes, "for worker {id} only")?;
        notes.rewind()?;

        // … and everything sent afterwards only in this one, in this order.
        let process = pool.fork()?.send_arg(format!("worker {id}")).send_fd(notes);
        // The path may be given whole, or by its end if that is unambiguous.
        let (worker, conn) = process.run_raw("echo")?;
        // Our end is non-blocking, ready for an event loop. This is none.
        conn.set_nonblocking(false)?;
        workers.push((worker, conn));
    }

    for (worker, conn) in &mut workers {
        let mut replies = BufReader::new(conn.try_clone()?);
        for line in ["hello", "octets are octets"] {
            writeln!(conn, "{line}")?;
            let mut reply = String::new();
            replies.read_line(&mut reply)?;
            print!("pid {}: {reply}", worker.id());
        }
    }
    for (worker, conn) in workers {
        // The end of the stream is what ends this worker.
        drop(conn);
        worker.join()?;
    }

    // All three wrote through one shared file offset.
    let mut text = String::new();
    journal.rewind()?;
    journal.read_to_string(&mut text)?;
    print!("journal:\n{text}");

    // A name that does not exist is an error here, not a line on stderr.
    match pool.run_raw("ecco") {
        Ok(_) => anyhow::bail!("there should be no such entry"),
        Err(error) => println!("as expected: {error}"),
    }
    Ok(())
}

/// Runs in a worker.
#[zygote::entry(raw)]
fn echo(conn: UnixStream, args: Args) {
    // A raw entry has no result; a panic reaches the program's `join` as an
    // error, with this text.
    talk(&conn, args).expect("the conversation should not break off");
}

fn talk(mut conn: &UnixStream, args: Args) -> io::Result<()> {
    let mut words = Vec::new();
    let mut files = Vec::new();
    for arg in args {
        match arg {
            Arg::Bytes(bytes) => words.push(String::from_utf8_lossy(&bytes).into_owned()),
            Arg::Fd(fd) => files.push(File::from(fd)),
        }
    }
    let ([mode, name], [journal, notes]) = (words.as_slice(), files.as_mut_slice()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let mut text = String::new();
    notes.read_to_string(&mut text)?;

    let mut lines = 0;
    for line in BufReader::new(conn).lines() {
        let line = line?.to_uppercase();
        writeln!(conn, "{name}, {mode}: {line} ({})", text.trim_end())?;
        lines += 1;
    }
    writeln!(journal, "{name}, pid {}: {lines} lines", process::id())
}
