//! A server with many threads that starts other programs, without ever forking
//! a process that has threads.
//!
//! While the program has one thread, it forks itself into a template. Later,
//! each of its threads receives file names over UDP and has worker after worker
//! forked from that template; each worker executes `touch NAME`.
//!
//! ```text
//! cargo run --release --example launcher -- --port 9999 --dir /tmp/touched
//! echo hello.txt | nc -u -w 1 127.0.0.1 9999
//! ```
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the example talks to whoever runs it"
)]

use std::{
    fs, io,
    net::UdpSocket,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context, ensure};
use clap::Parser;
use zygote::Process;

// No `early!()`: this is about the other way, `Process::fork_current()`, which
// takes along whatever the program has prepared by then.

/// Creates files whose names arrive over UDP, one datagram each.
#[derive(Parser)]
struct Options {
    /// Port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How many threads receive.
    #[arg(long, default_value_t = 4)]
    threads: usize,
    /// Where the files are created; a new temporary directory by default.
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let dir = match options.dir {
        Some(dir) => fs::canonicalize(&dir).with_context(|| dir.display().to_string())?,
        None => tempfile::Builder::new()
            .prefix("launcher-")
            .tempdir()?
            .keep(),
    };

    // From here on a fork would be a fork of this thread alone, with the locks
    // of all others held for ever; so this is the last moment for a template.
    // What is opened later, the socket for one, no worker ever inherits.
    let launcher = Process::fork_current()?;

    let socket = UdpSocket::bind(("127.0.0.1", options.port))?;
    println!("listening on {}", socket.local_addr()?);
    println!("files appear in {}", dir.display());
    thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                if let Err(error) = receive(&launcher, &socket, &dir) {
                    eprintln!("a thread stops receiving: {error}");
                }
            });
        }
    });
    Ok(())
}

/// Runs in each thread: a datagram in, a worker, a line back.
fn receive(launcher: &Process, socket: &UdpSocket, dir: &Path) -> io::Result<()> {
    let mut datagram = [0; 512];
    loop {
        let (length, client) = socket.recv_from(&mut datagram)?;
        let reply = match create(launcher, dir, &datagram[..length]) {
            Ok(path) => format!("created {}\n", path.display()),
            Err(error) => format!("refused: {error:#}\n"),
        };
        print!("{client}: {reply}");
        // The client may be gone; the next one is not.
        let _ = socket.send_to(reply.as_bytes(), client);
    }
}

/// Has a worker create the file.
fn create(launcher: &Process, dir: &Path, name: &[u8]) -> anyhow::Result<PathBuf> {
    let name = std::str::from_utf8(name)?.trim_end_matches(['\r', '\n']);
    ensure!(!matches!(name, "" | "." | ".."), "not a file name");
    ensure!(!name.contains('/'), "a name, not a path");
    ensure!(!name.contains(char::is_control), "control characters");

    let path = dir.join(name);
    match launcher.fork()?.run(touch::task(path.clone()))?.join() {
        Ok(result) => result?,
        // `touch` was executed; it leaves with 0 if all went well.
        Err(error) if error.exit().is_some_and(zygote::Exit::success) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(path)
}

/// Runs in a worker, and returns only if `execve` fails.
#[zygote::entry]
fn touch(path: PathBuf) -> io::Result<()> {
    Err(Command::new("touch").arg("--").arg(path).exec())
}
