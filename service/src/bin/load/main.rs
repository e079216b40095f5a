//! Sends the service four times as many pictures as it can do, good and bad ones, and
//! checks that each request gets one answer, and the right one, in time.
//!
//! ```text
//! load 127.0.0.1:8080 --seconds 15
//! ```
#![expect(clippy::print_stdout, reason = "it says what came of it")]

mod client;
mod pictures;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use clap::Parser;
use tokio::{
    task::JoinSet,
    time::{interval, sleep, timeout},
};

use crate::{
    client::{Answer, Client},
    pictures::{Kind, Pictures, draw},
};

/// After this long without an answer a request is stuck.
const STUCK: Duration = Duration::from_secs(5);
/// How long it is measured what the service can do.
const MEASURED: Duration = Duration::from_secs(4);
/// How many times as much is sent.
const TIMES: f64 = 4.0;

/// Sends a service for thumbnails more than it can do, and checks every answer.
#[derive(Parser)]
struct Options {
    address: SocketAddr,
    #[arg(long, default_value_t = 15)]
    seconds: u64,
}

/// What came of one request.
struct Outcome {
    kind: Kind,
    answer: anyhow::Result<Answer>,
    took: Duration,
}

/// What the service has counted, by name.
type Numbers = BTreeMap<String, u64>;

/// What is sent, and to whom.
struct Load {
    client: Client,
    pictures: Pictures,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    ensure!(
        options.address.ip().is_loopback(),
        "this is for a service on this machine"
    );
    let load = Arc::new(Load {
        client: Client::new(options.address),
        pictures: Pictures::make()?,
    });
    let before = load.numbers().await?;
    let mut all = load.at_ease().await;
    let done = all.iter().filter(|it| it.status() != 503).count();
    let rate = per_second(done, MEASURED);
    println!(
        "the service does {rate:.0} such pictures a second; {:.0} are sent",
        TIMES * rate
    );
    let at_ease = all.len();
    all.extend(load.overload(TIMES * rate, options.seconds).await?);
    report(&all[at_ease..]);
    for outcome in &all {
        outcome.check()?;
    }
    load.client.check()?;
    load.compare(&before, &all).await?;
    load.leave().await?;
    println!("each of {} requests got the right answer, once", all.len());
    Ok(())
}

fn per_second(count: usize, time: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / time.as_secs_f64()
}

impl Load {
    /// Sends one picture, and waits for what comes of it.
    async fn send(&self, kind: Kind) -> Outcome {
        let start = Instant::now();
        let sent = self.client.post("/thumbnail", self.pictures.get(kind));
        let answer = match timeout(STUCK, sent).await {
            Ok(answer) => answer,
            Err(_) => Err(anyhow::anyhow!("stuck")),
        };
        let took = start.elapsed();
        Outcome { kind, answer, took }
    }

    /// Sends as many at a time as there are workers, each after an answer.
    async fn at_ease(self: &Arc<Self>) -> Vec<Outcome> {
        let end = Instant::now() + MEASURED;
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let mut senders = JoinSet::new();
        for _ in 0..workers {
            let load = Arc::clone(self);
            senders.spawn(async move {
                let mut outcomes = Vec::new();
                while Instant::now() < end {
                    outcomes.push(load.send(draw()).await);
                }
                outcomes
            });
        }
        senders.join_all().await.into_iter().flatten().collect()
    }

    /// Sends so many a second, whether answers come or not.
    async fn overload(self: &Arc<Self>, rate: f64, seconds: u64) -> anyhow::Result<Vec<Outcome>> {
        let mut tick = interval(Duration::try_from_secs_f64(1.0 / rate)?);
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut senders = JoinSet::new();
        while Instant::now() < end {
            tick.tick().await;
            let load = Arc::clone(self);
            senders.spawn(async move { load.send(draw()).await });
        }
        Ok(senders.join_all().await)
    }

    /// The lines of the service's statistics that are a number.
    async fn numbers(&self) -> anyhow::Result<Numbers> {
        let answer = self.client.get("/stats").await?;
        let text = String::from_utf8(answer.body)?;
        let number = |line: &str| {
            let (name, number) = line.split_once(' ')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        Ok(text.lines().filter_map(number).collect())
    }

    /// Compares what the service has counted with the answers.
    async fn compare(&self, before: &Numbers, all: &[Outcome]) -> anyhow::Result<()> {
        let after = self.numbers().await?;
        let mut answers = Numbers::new();
        for outcome in all {
            let name = match (outcome.status(), outcome.kind) {
                (503, _) => "refused",
                (_, Kind::Good | Kind::Corrupt) => "done",
                (_, Kind::Crash) => "lost",
                (_, Kind::Hang) => "timed_out",
            };
            *answers.entry(name.to_owned()).or_default() += 1;
        }
        for (name, answers) in answers {
            let counted = after[&name] - before[&name];
            ensure!(counted == answers, "{answers} are {name}: {after:?}");
        }
        ensure!(after["waiting"] + after["running"] == 0, "{after:?}");
        Ok(())
    }

    /// Goes away while a picture waits, which is then not decoded.
    async fn leave(&self) -> anyhow::Result<()> {
        let before = self.numbers().await?;
        let mut hanging = Vec::new();
        for _ in 0..before["workers"] {
            let body = self.pictures.get(Kind::Hang);
            hanging.push(self.client.leave("/thumbnail", body).await?);
        }
        self.until("all are busy", |now| now["running"] == now["workers"])
            .await?;
        let leaver = self
            .client
            .leave("/thumbnail", self.pictures.get(Kind::Good))
            .await?;
        self.until("it waits", |now| now["waiting"] == 1).await?;
        drop(leaver);
        let cancelled = before["cancelled"] + 1;
        self.until("it is not decoded", |now| {
            now["waiting"] == 0 && now["cancelled"] == cancelled && now["done"] == before["done"]
        })
        .await?;
        let good = self.send(Kind::Good).await;
        ensure!(
            good.status() == 200,
            "a good picture gets {}",
            good.status()
        );
        Ok(())
    }

    async fn until(&self, what: &str, holds: impl Fn(&Numbers) -> bool) -> anyhow::Result<()> {
        for _ in 0..500 {
            if holds(&self.numbers().await?) {
                return Ok(());
            }
            sleep(Duration::from_millis(2)).await;
        }
        anyhow::bail!("not in time: {what}: {:?}", self.numbers().await?)
    }
}

impl Outcome {
    fn status(&self) -> u16 {
        self.answer.as_ref().map_or(0, |answer| answer.status)
    }

    fn check(&self) -> anyhow::Result<()> {
        let kind = self.kind;
        let answer = match &self.answer {
            Ok(answer) => answer,
            Err(error) => anyhow::bail!("{kind:?} after {:?}: {error:#}", self.took),
        };
        let text = String::from_utf8_lossy(&answer.body);
        let is_right = match (answer.status, kind) {
            (200, Kind::Good) => answer.body.starts_with(b"\x89PNG"),
            (422, Kind::Corrupt) => !text.is_empty(),
            (422, Kind::Crash) => text.contains("memory"),
            (422, Kind::Hang) => text.contains("limit"),
            (503, _) => answer.head.contains("\nretry-after: 1\r\n"),
            _ => false,
        };
        ensure!(is_right, "{kind:?}: {} {text}", answer.status);
        Ok(())
    }
}

/// Prints how many got which answer, and when.
fn report(outcomes: &[Outcome]) {
    println!(
        "{:>8} {:>4} {:>6} {:>9} {:>9} {:>9}",
        "picture", "", "", "p50", "p99", "max"
    );
    let mut groups: BTreeMap<(u16, Option<Kind>), Vec<Duration>> = BTreeMap::new();
    for outcome in outcomes {
        for kind in [None, Some(outcome.kind)] {
            let group = groups.entry((outcome.status(), kind)).or_default();
            group.push(outcome.took);
        }
    }
    for ((status, kind), mut times) in groups {
        times.sort();
        let at = |hundredths: usize| times[(times.len() - 1) * hundredths / 100];
        let [p50, p99, max] = [50, 99, 100].map(|it| format!("{:.1?}", at(it)));
        let kind = kind.map_or("all".to_owned(), |kind| format!("{kind:?}"));
        println!(
            "{kind:>8} {status:>4} {:>6} {p50:>9} {p99:>9} {max:>9}",
            times.len()
        );
    }
}
