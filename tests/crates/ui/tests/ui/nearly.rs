//! What people reach for first, and what would work in its place.

use std::{error::Error, rc::Rc, sync::Arc};

#[derive(serde::Serialize, serde::Deserialize)]
struct Config {
    name: String,
}

#[zygote::entry]
fn boxed_error() -> Result<u32, Box<dyn Error>> {
    Ok(1)
}

#[zygote::entry]
fn shared(config: Arc<Config>) -> usize {
    config.name.len()
}

#[zygote::entry]
fn counted(config: Rc<Config>) -> usize {
    config.name.len()
}

#[zygote::entry]
fn closure(work: Box<dyn Fn(u32) -> u32>) -> u32 {
    work(1)
}

fn main() {}
