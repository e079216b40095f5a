//! A handler of a web server, with axum and tokio.
#![allow(
    dead_code,
    missing_debug_implementations,
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it reports what it found"
)]
use std::time::Duration;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
    routing::get,
};
use zygote::{Pool, Process};

zygote::early!();

#[zygote::entry]
fn render(text: String) -> String {
    if text == "crash" {
        std::process::abort();
    }
    if text == "hang" {
        std::thread::sleep(Duration::from_secs(3600));
    }
    format!("<h1>{text}</h1>")
}

/// A client that goes away drops the future: what waits is not run.
async fn page(State(pool): State<Pool>, Path(text): Path<String>) -> axum::response::Response {
    let call = match pool.try_call(render::task(text)) {
        Ok(call) => call,
        Err(error) if error.is_full() => {
            return (StatusCode::SERVICE_UNAVAILABLE, "try later\n").into_response();
        }
        Err(error) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
        }
    };
    match call.await {
        Ok(html) => html.into_response(),
        Err(error) if error.is_timeout() => {
            (StatusCode::GATEWAY_TIMEOUT, error.to_string()).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder(Process::new()?)
        .workers(2..=2)
        .queue(64)
        .timeout(Duration::from_millis(300))
        .build()?;
    let app = Router::new()
        .route("/{text}", get(page))
        .with_state(pool.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    for path in ["hello", "crash", "hang", "again"] {
        println!("{path}: {}", fetch(at, path).await?);
    }
    // Many at once, from any task.
    let set: Vec<_> = (0..100)
        .map(|n| pool.call(render::task(n.to_string())))
        .collect();
    let mut bytes = 0;
    for call in set {
        bytes += call.await?.len();
    }
    println!("{bytes} bytes; {:?}", pool.stats());
    Ok(())
}

async fn fetch(at: std::net::SocketAddr, path: &str) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(at).await?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
    Ok(format!(
        "{} | {body}",
        text.lines().next().unwrap_or_default()
    ))
}
