//! Open files as arguments and results.

use std::{
    fs::File,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
};

use zygote::{Process, Receiver, Sender};

/// Answers one client with its number.
#[zygote::entry]
fn serve(listener: TcpListener, id: u32) -> std::io::Result<()> {
    let (mut client, _) = listener.accept()?;
    write!(client, "{id}")
}

/// A process as an argument, a descriptor as a result.
#[zygote::entry]
fn open(process: Process, path: String) -> crate::Result<File> {
    let file = process.run(here::task(path))?.join()??;
    Ok(file.into())
}

#[zygote::entry]
fn here(path: String) -> std::io::Result<OwnedFd> {
    File::open(path).map(OwnedFd::from)
}

/// Ends of a channel as arguments.
#[zygote::entry]
fn double(mut numbers: Receiver<u32>, results: Sender<u64>) -> zygote::Result<()> {
    numbers.try_for_each(|number| results.send(u64::from(number?) * 2))
}

/// Servers that share a listener.
///
/// # Errors
///
/// When anything fails.
pub fn servers() -> crate::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let servers = Process::new()?;
    let workers = (0..4)
        .map(|id| servers.fork()?.run(serve::task(listener.try_clone()?, id)))
        .collect::<zygote::Result<Vec<_>>>()?;

    let mut seen = Vec::new();
    for _ in 0..4 {
        let mut text = String::new();
        let _ = TcpStream::connect(address)?.read_to_string(&mut text)?;
        seen.push(text);
    }
    seen.sort();
    assert_eq!(seen, ["0", "1", "2", "3"]);
    for worker in workers {
        worker.join()??;
    }
    Ok(())
}

/// A process in a process, and a channel.
///
/// # Errors
///
/// When anything fails.
pub fn nested() -> crate::Result<()> {
    let mut text = String::new();
    let mut file = open::spawn(Process::new()?, "Cargo.toml".to_owned())?.join()??;
    let _ = file.read_to_string(&mut text)?;
    assert!(text.starts_with("[package]"));

    let (numbers, to_double) = zygote::channel()?;
    let (doubled, results) = zygote::channel()?;
    let worker = double::spawn(to_double, doubled)?;
    for number in 0..10 {
        numbers.send(number)?;
    }
    drop(numbers);
    assert_eq!(results.sum::<zygote::Result<u64>>()?, 90);
    worker.join()??;
    Ok(())
}
