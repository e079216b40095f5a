//! As much of HTTP/1.1 as is needed: connections that stay open, and answers whose end is
//! known.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Its lines, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Client {
    address: SocketAddr,
    idle: Mutex<Vec<TcpStream>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let idle = Mutex::default();
        Self { address, idle }
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: load\r\n\r\n");
        self.exchange(&[request.as_bytes()]).await
    }

    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> anyhow::Result<Answer> {
        self.exchange(&[head(path, body).as_bytes(), body]).await
    }

    /// Sends a picture and goes away; gives the connection, which must be dropped.
    pub(crate) async fn leave(&self, path: &str, body: &[u8]) -> anyhow::Result<TcpStream> {
        let mut stream = self.connect().await?;
        stream.write_all(head(path, body).as_bytes()).await?;
        stream.write_all(body).await?;
        Ok(stream)
    }

    async fn exchange(&self, request: &[&[u8]]) -> anyhow::Result<Answer> {
        let mut stream = match self.take()? {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        for part in request {
            stream.write_all(part).await?;
        }
        let answer = receive(&mut stream).await?;
        self.lock().push(stream);
        Ok(answer)
    }

    /// Makes a connection on which nothing waits for the rest.
    async fn connect(&self) -> anyhow::Result<TcpStream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Takes a connection that is open. One on which something more came has given two
    /// answers to one request.
    fn take(&self) -> anyhow::Result<Option<TcpStream>> {
        loop {
            let Some(stream) = self.lock().pop() else {
                return Ok(None);
            };
            if is_quiet(&stream)? {
                return Ok(Some(stream));
            }
        }
    }

    /// Looks at all connections that nobody uses.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        while self.take()?.is_some() {}
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn head(path: &str, body: &[u8]) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: load\r\nContent-Length: {length}\r\n\r\n")
}

/// Tells whether it is open, and nothing has come.
fn is_quiet(stream: &TcpStream) -> anyhow::Result<bool> {
    match stream.try_read(&mut [0]) {
        Ok(0) => Ok(false),
        Ok(_) => bail!("something came that nobody had asked for"),
        Err(error) => Ok(error.kind() == std::io::ErrorKind::WouldBlock),
    }
}

async fn receive(stream: &mut TcpStream) -> anyhow::Result<Answer> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break end + 4;
        }
        ensure!(stream.read_buf(&mut bytes).await? > 0, "no answer: closed");
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes)?.to_lowercase();
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let length = head
        .lines()
        .find_map(|it| it.strip_prefix("content-length:"));
    let length: usize = length.context("no length")?.trim().parse()?;
    while body.len() < length {
        ensure!(
            stream.read_buf(&mut body).await? > 0,
            "half an answer: closed"
        );
    }
    ensure!(body.len() == length, "more than one answer");
    Ok(Answer { status, head, body })
}
