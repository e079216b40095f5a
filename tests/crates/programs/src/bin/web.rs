//! A web service that decodes what strangers send, each request in a process of its
//! own. If a decoder panics, aborts, hangs or eats memory, its sender gets an error, and
//! nobody else notices.
//!
//! ```text
//! web [SECONDS]                   # how long a request may take; 2 by default
//! curl -d fine http://127.0.0.1:PORT/decode
//! ```
//!
//! An answer with status 200 has the result, and one with 422 says why there is none.
//! 504 says that the decoder took too long and was killed, 503 that too many decoders
//! run already. After SIGTERM the service answers the requests that it has, and ends.
#![allow(clippy::print_stdout, reason = "it says where it listens")]

use std::{
    env, hint,
    process::{abort, id},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    time::timeout,
};
use zygote::{Process, settings::Confine};

// Forked before the runtime has threads.
zygote::early!();

/// How many requests are decoded at a time.
const AT_ONCE: usize = 4;

/// How much memory one of them may take, in bytes.
const MEMORY: u64 = 256 << 20;

/// What all requests share.
#[derive(Debug)]
struct Service {
    /// Each request gets a fork of it.
    decoder: Process,
    slots: Semaphore,
    limit: Duration,
}

type Answer = (StatusCode, String);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let seconds = env::args().nth(1).map_or(Ok(2), |text| text.parse())?;
    let confine = Confine::compute().memory(MEMORY);
    let service = Service {
        decoder: Process::new()?.confine(confine),
        slots: Semaphore::new(AT_ONCE),
        limit: Duration::from_secs(seconds),
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("web {} listens on {}", id(), listener.local_addr()?);
    let router = Router::new().route("/decode", post(decode));
    axum::serve(listener, router.with_state(Arc::new(service)))
        .with_graceful_shutdown(async move {
            terminate.recv().await;
        })
        .await?;
    println!("web has ended");
    Ok(())
}

async fn decode(State(service): State<Arc<Service>>, body: Bytes) -> Answer {
    let Ok(_slot) = service.slots.try_acquire() else {
        let text = format!("{AT_ONCE} requests are being decoded");
        return (StatusCode::SERVICE_UNAVAILABLE, text);
    };
    let worker = match service.decoder.spawn(parse::task(body.to_vec())) {
        Ok(worker) => worker.kill_on_drop(true),
        Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    match timeout(service.limit, worker).await {
        Ok(Ok(Ok(text))) => (StatusCode::OK, text),
        Ok(Ok(Err(reason))) => (StatusCode::UNPROCESSABLE_ENTITY, reason),
        Ok(Err(error)) => (StatusCode::UNPROCESSABLE_ENTITY, error.message().to_owned()),
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "it took too long".to_owned()),
    }
}

/// Decodes the format that this service is for: the first byte says how it ends.
#[zygote::entry]
fn parse(bytes: Vec<u8>) -> Result<String, String> {
    match bytes.first() {
        Some(b'f') => Ok(format!("{} bytes", bytes.len())),
        Some(b'p') => panic!("byte 0 is a bug in the decoder"),
        Some(b'a') => abort(),
        Some(b'h') => loop {
            hint::spin_loop();
        },
        Some(b'm') => Ok(format!("{} bytes", vec![1_u8; 1 << 30].len())),
        Some(b'o') => Err(std::fs::read_to_string("/etc/passwd").map_or_else(
            |error| error.to_string(),
            |text| format!("got {} bytes of secrets", text.len()),
        )),
        Some(other) => Err(format!("there is no format {other}")),
        None => Err("there is nothing to decode".to_owned()),
    }
}
