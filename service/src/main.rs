//! Thumbnails over HTTP. Each picture is decoded in a process that can do nothing else.
//!
//! A picture that is corrupt, crashes its decoder, makes it hang or eats memory costs its
//! own request: the answer is 422, with the reason. If more pictures come than can be
//! done, the answer is 503 at once.
//!
//! ```text
//! cargo run --release -p service
//! curl --data-binary @picture.jpg http://127.0.0.1:8080/thumbnail >thumbnail.png
//! curl http://127.0.0.1:8080/stats
//! ```
//!
//! It ends on SIGTERM and on Ctrl-C, after the requests that it has.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

mod decode;

use std::{io, net::SocketAddr, thread, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use clap::Parser;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use zygote::{Error, Pool, Process, Stdio, settings::Confine};

// The template is forked before the runtime has threads.
zygote::early!();

/// If a worker dies because it got no memory, the reason says so.
#[global_allocator]
static ALLOCATOR: zygote::Allocator = zygote::Allocator::new(std::alloc::System);

/// How long decoding a picture may take.
const TIME: Duration = Duration::from_millis(500);
/// How much memory it may take, in bytes.
const MEMORY: u64 = 1 << 30;
/// How long a picture may be, and how long a thumbnail, in bytes.
const LONGEST: usize = 16 << 20;
const LONGEST_RESULT: u64 = 1 << 20;
/// How many pictures may wait, for each worker. So nobody waits much longer than this
/// number of times `TIME`, and once more for the picture that runs.
const WAITING: usize = 2;

/// How long the requests that it has may take when it is asked to end.
const GRACE: Duration = Duration::from_secs(3);

/// Makes thumbnails of the pictures that it gets by POST /thumbnail.
#[derive(Parser)]
struct Options {
    #[arg(default_value = "127.0.0.1:8080")]
    address: SocketAddr,
    /// How many pictures a process decodes. One that was taken over by a picture sees
    /// the pictures after it.
    #[arg(long, default_value_t = 1)]
    calls: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let pool = pool(options.calls)?;
    let router = Router::new()
        .route("/thumbnail", post(thumbnail))
        .route("/stats", get(stats))
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(pool.clone());
    let (asked, given_up) = (asked_to_end()?, asked_to_end()?);
    let listener = TcpListener::bind(options.address).await?;
    println!("listening on {}", listener.local_addr()?);
    let server = axum::serve(listener, router).with_graceful_shutdown(asked);
    // A client that never sends the rest of its request must not hold this up.
    tokio::select! {
        ended = server => ended?,
        () = async { given_up.await; sleep(GRACE).await } => {}
    }
    pool.shutdown(GRACE)?;
    println!("ended");
    Ok(())
}

/// Gives what waits for SIGTERM or Ctrl-C, which are caught from now on.
fn asked_to_end() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    })
}

/// One worker for each CPU.
fn pool(calls: u32) -> anyhow::Result<Pool> {
    let workers = thread::available_parallelism()?.get();
    let pool = Pool::builder(move || process(calls))
        .workers(workers..=workers)
        .calls(calls.into())
        .queue(WAITING * workers)
        .time_limit(TIME)
        .build()?;
    Ok(pool)
}

/// What all workers are forks of.
fn process(calls: u32) -> zygote::Result<Process> {
    // The CPU time is that of all calls of a worker.
    let confine = Confine::compute()
        .memory(MEMORY)
        .cpu_time(TIME * calls.saturating_add(1));
    let process = Process::new()?
        .process_group(0) // Ctrl-C is for the program alone
        .stderr(Stdio::null())
        .result_limit(LONGEST_RESULT)
        .confine(confine);
    Ok(process)
}

/// If the client goes away, axum drops this future, and with it the call: a picture that
/// still waits is not decoded.
async fn thumbnail(State(pool): State<Pool>, picture: Bytes) -> Result<Response, Refusal> {
    let call = pool.try_call(decode::thumbnail::task(picture.into()))?;
    let png = call.await?.map_err(Refusal::Picture)?;
    // The browser must not look for itself what it is.
    let headers = [
        (header::CONTENT_TYPE, "image/png"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, png).into_response())
}

/// Why there is no thumbnail.
enum Refusal {
    /// The picture is to blame.
    Picture(String),
    /// There are too many requests, or the service ends.
    Busy,
    /// The service is to blame.
    Service(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let reason = error.message().to_owned();
        let is_death = error.is_panic() || error.is_signal() || error.is_exit();
        let is_bad = is_death || error.is_timeout() || error.is_invalid();
        if error.is_full() || error.is_closed() {
            Self::Busy
        } else if is_bad && !error.is_unstarted() {
            Self::Picture(reason)
        } else {
            Self::Service(reason)
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Picture(reason) => (StatusCode::UNPROCESSABLE_ENTITY, reason).into_response(),
            Self::Busy => {
                let headers = [(header::RETRY_AFTER, "1")];
                (StatusCode::SERVICE_UNAVAILABLE, headers, "try later").into_response()
            }
            Self::Service(reason) => (StatusCode::INTERNAL_SERVER_ERROR, reason).into_response(),
        }
    }
}

/// One line for each number.
async fn stats(State(pool): State<Pool>) -> String {
    let stats = pool.stats();
    let p99 = |times: &zygote::pool::Histogram| times.quantile(0.99);
    let lines = [
        format!("workers {}", stats.workers),
        format!("running {}", stats.running),
        format!("waiting {}", stats.waiting),
        format!("done {}", stats.done),
        format!("failed {}", stats.failed),
        format!("lost {}", stats.lost),
        format!("timed_out {}", stats.timed_out),
        format!("cancelled {}", stats.cancelled),
        format!("refused {}", stats.refused),
        format!("waited {:?} (p99)", p99(&stats.waited)),
        format!("ran {:?} (p99)", p99(&stats.ran)),
    ];
    lines.join("\n") + "\n"
}
