//! Several processes accept on one listening socket and answer HTTP: the
//! classic pre-forking server. A worker that dies is replaced, and takes with
//! it only the connections that it had itself.
//!
//! ```text
//! cargo run --release --example prefork -- --port 8080 --workers 4
//! curl http://127.0.0.1:8080/          # which worker answered?
//! wrk -c 16 -d 5 http://127.0.0.1:8080/ & kill -9 PID-OF-A-WORKER
//! ```
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the example talks to whoever runs it"
)]

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process, thread,
    time::Duration,
};

use clap::Parser;
use zygote::{Process, Task, Worker};

// A server has threads, secrets and open files sooner or later. Forked before
// `main`, the template has none of them, however long the server has run when
// it replaces a worker.
zygote::early!();

/// Answers HTTP from several processes that accept on one socket.
#[derive(Parser)]
struct Options {
    /// Port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How many processes accept.
    #[arg(long, default_value_t = 4)]
    workers: usize,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind(("127.0.0.1", options.port))?;
    println!("listening on {}", listener.local_addr()?);

    // One task, run as often as needed: each worker gets a duplicate of the
    // listening socket and nothing else.
    let task = serve::task(listener);
    let mut workers = Vec::new();
    for _ in 0..options.workers {
        let worker = Process::new()?.run(task.clone())?;
        println!("worker {} accepts", worker.id());
        workers.push(worker);
    }
    loop {
        for index in zygote::wait_any(&workers)? {
            let dead = std::mem::replace(&mut workers[index], replace(&task));
            let exit = dead.wait()?;
            println!(
                "worker {} {exit}, {} accepts",
                dead.id(),
                workers[index].id()
            );
        }
    }
}

/// Starts a worker in the place of a dead one, as soon as that is possible.
fn replace<R>(task: &Task<R>) -> Worker<R> {
    loop {
        // A worker that cannot live must not keep the machine busy.
        thread::sleep(Duration::from_millis(10));
        match Process::new().and_then(|process| process.run(task.clone())) {
            Ok(worker) => return worker,
            Err(error) => {
                eprintln!("no worker yet: {error}");
                thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

/// Runs in a worker: accepts for ever, one thread per connection.
#[zygote::entry]
fn serve(listener: TcpListener) -> ! {
    loop {
        match listener.accept() {
            // That a client leaves in the middle concerns nobody else.
            Ok((stream, _)) => drop(thread::spawn(move || answer(&stream).ok())),
            // Out of descriptors, say: let some connections end.
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Answers every request on a connection.
fn answer(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let body = format!("hello from worker {}\n", process::id());
    let reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut reader = BufReader::new(stream);
    while let Some(keep_alive) = read_request(&mut reader)? {
        stream.write_all(reply.as_bytes())?;
        if !keep_alive {
            break;
        }
    }
    Ok(())
}

/// Reads a request up to the empty line. `None` at the end of the connection,
/// else whether another request may follow.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<bool>> {
    let mut head = reader.take(16 * 1024);
    let mut keep_alive = true;
    let mut line = String::new();
    while head.read_line(&mut line)? > 0 {
        let text = line.trim_end();
        if text.is_empty() {
            return Ok(Some(keep_alive));
        }
        if text.ends_with(" HTTP/1.0") || text.eq_ignore_ascii_case("connection: close") {
            keep_alive = false;
        }
        line.clear();
    }
    Ok(None)
}
