//! The program accepts, and every connection gets a fresh process of its own:
//! `inetd`, at the price of a thread.
//!
//! When no process can be started, the task still holds the connection and
//! gives it back, and the program answers 503 by itself.
//!
//! ```text
//! cargo run --release --example per_connection -- --port 8080 --fail-every 3
//! for _ in 1 2 3; do curl -i http://127.0.0.1:8080/; done
//! ```
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the example talks to whoever runs it"
)]

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    iter,
    net::{TcpListener, TcpStream},
    process, thread,
    time::Duration,
};

use clap::Parser;
use zygote::Process;

// Each worker sees one client's data and nothing of the others': its template
// was forked before the program had seen any.
zygote::early!();

/// Answers HTTP, each connection in a process of its own.
#[derive(Parser)]
struct Options {
    /// Port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Hand every N-th connection to a template that is out of descriptors; 0
    /// for none.
    #[arg(long, value_name = "N", default_value_t = 0)]
    fail_every: u64,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let healthy = Process::new()?;
    // A real failure, not a pretended one: no descriptor is left in this
    // template, so it cannot take the socket of a new process.
    let broken = match options.fail_every {
        0 => None,
        _ => Some(Process::new()?.preload(exhaust::task())?),
    };

    let listener = TcpListener::bind(("127.0.0.1", options.port))?;
    println!("listening on {}", listener.local_addr()?);
    for (number, stream) in (1_u64..).zip(listener.incoming()) {
        // The connection moves into the task …
        let task = answer::task(stream?, number);
        let started = match &broken {
            Some(broken) if number % options.fail_every == 0 => broken.fork()?.run(task.clone()),
            _ => healthy.fork().and_then(|process| process.run(task.clone())),
        };
        match started {
            // Nobody waits for this worker; it leaves no zombie behind.
            Ok(worker) => println!("connection {number}: worker {}", worker.id()),
            // … and comes back out if no worker has begun with it.
            Err(error) if error.is_unstarted() => {
                eprintln!("connection {number}: {error}");
                for fd in task.into_fds()? {
                    thread::spawn(|| refuse(TcpStream::from(fd)).ok());
                }
            }
            // Else a worker may be in the middle of its answer.
            Err(error) => eprintln!("connection {number}: {error}"),
        }
        // The task is dropped: only the worker has the connection now, and its
        // end is the connection's end.
    }
    Ok(())
}

/// Runs in a worker, with one connection and no other descriptor.
#[zygote::entry]
fn answer(mut stream: TcpStream, number: u64) -> io::Result<()> {
    read_request(&stream)?;
    // No length is given: the answer ends when the last copy of the connection
    // is closed, which shows that this is the last.
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
         connection {number}, worker {}\n",
        process::id()
    )
}

/// Runs in the program, in a thread: a slow client must not stop the others.
fn refuse(mut stream: TcpStream) -> io::Result<()> {
    read_request(&stream)?;
    write!(
        stream,
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 1\r\n\
         Connection: close\r\n\r\nno process for this connection\n"
    )
}

/// Reads up to the empty line, not for ever and not without end.
fn read_request(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    for line in BufReader::new(stream.take(16 * 1024)).lines() {
        if line?.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Runs in the template that is to be broken: takes every descriptor there is.
#[zygote::preload]
fn exhaust() -> Vec<File> {
    iter::from_fn(|| File::open("/dev/null").ok()).collect()
}
