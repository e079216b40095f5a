//! A model server: loaded once, shared by all workers, with state in each.
#![allow(
    dead_code,
    missing_debug_implementations,
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it reports what it found"
)]
use std::{collections::HashMap, time::Duration};

use zygote::{Pool, Process};

zygote::early!();

struct Model {
    weights: Vec<f32>,
    cache: HashMap<String, f32>,
    hits: u64,
}

#[zygote::preload]
fn load(megabytes: usize) -> Model {
    Model {
        weights: vec![0.5; megabytes << 18],
        cache: HashMap::new(),
        hits: 0,
    }
}

/// The worker's own copy of the state stays from call to call.
#[zygote::entry]
fn predict(model: &mut Model, text: String) -> (f32, u64, u32) {
    let value = match model.cache.get(&text) {
        Some(value) => {
            model.hits += 1;
            *value
        }
        None => {
            let value = text.bytes().map(|b| model.weights[usize::from(b)]).sum();
            model.cache.insert(text, value);
            value
        }
    };
    (value, model.hits, std::process::id())
}

#[zygote::entry]
fn count(model: &Model) -> usize {
    model.weights.len()
}

fn main() -> zygote::Result<()> {
    let process: Process<Model> = Process::new()?.preload(load::task(64))?;
    let pool = Pool::builder(process.fork()?)
        .workers(2..=4)
        .idle(Duration::from_secs(60))
        .build()?;
    println!("{} weights", pool.call(count::task()).join()?);
    for user in ["anna", "bela", "anna", "anna"] {
        // The same user, the same worker: its cache is warm.
        let (value, hits, pid) = pool
            .with()
            .key(user)
            .call(predict::task(user.into()))
            .join()?;
        println!("{user}: {value} ({hits} hits in {pid})");
    }

    // One worker of its own: an actor.
    let service = process.fork()?.serve()?;
    for _ in 0..3 {
        let (_, hits, pid) = service.call(predict::task("x".into())).join()?;
        println!("service {pid}: {hits} hits");
    }
    service.stop(Duration::from_secs(1))?;
    Ok(())
}
