//! A CI runner: a fresh process for each job, progress, a limit, and a button to kill it.
#![allow(
    dead_code,
    missing_debug_implementations,
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it reports what it found"
)]
use std::time::{Duration, Instant};

use zygote::{Call, Pool, Process, Sender};

zygote::early!();

#[derive(Debug, serde::Serialize, serde::Deserialize)]
enum Progress {
    Step(String),
    Log(String),
}

#[zygote::entry]
fn job(name: String, steps: Vec<u64>, progress: Sender<Progress>) -> zygote::Result<u32> {
    for (at, ms) in steps.iter().enumerate() {
        progress.send(Progress::Step(format!("{name}: step {at}")))?;
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("sleep 0.{ms:03}; echo slept {ms}")])
            .output()?;
        progress.send(Progress::Log(
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        ))?;
    }
    Ok(std::process::id())
}

fn main() -> zygote::Result<()> {
    // A session of its own: what a job has started dies with it.
    let pool = Pool::builder(Process::new()?.session())
        .workers(0..=2)
        .calls(1)
        .time_limit(Duration::from_millis(400))
        .build()?;
    let (send, progress) = zygote::channel()?;
    let start = Instant::now();
    let mut jobs: Vec<(&str, Call<_>)> = Vec::new();
    for (name, steps) in [
        ("quick", vec![10, 10]),
        ("slow", vec![300, 300]),
        ("stop me", vec![900]),
        ("last", vec![5]),
    ] {
        let task = job::task(name.to_owned(), steps, send.try_clone()?);
        jobs.push((
            name,
            pool.with().priority(i32::from(name == "last")).call(task),
        ));
    }
    drop(send);
    let (_, unwanted) = &jobs[2];
    unwanted.kill()?;
    for (name, call) in jobs {
        match call.join() {
            Ok(pid) => println!("{name}: done by {:?}", pid.is_ok()),
            Err(error) if error.is_timeout() => println!("{name}: too slow: {error}"),
            Err(error) if error.is_cancelled() => println!("{name}: stopped: {error}"),
            Err(error) => println!("{name}: {error}"),
        }
    }
    println!(
        "{:?} {:?}",
        start.elapsed() < Duration::from_secs(2),
        pool.stats()
    );
    pool.shutdown(Duration::ZERO)?;
    for event in progress {
        println!("{:?}", event?);
    }
    Ok(())
}
