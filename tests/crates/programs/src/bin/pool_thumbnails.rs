//! A thumbnail service: hostile pictures, a worker each time one is bad.
#![allow(
    dead_code,
    missing_debug_implementations,
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it reports what it found"
)]
use std::time::Duration;

use zygote::{Pool, Process, settings::Resource};

zygote::early!();

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Picture {
    width: u32,
    pixels: Vec<u8>,
}

/// Decodes what nobody trusts.
#[zygote::entry]
fn thumbnail(file: Vec<u8>, width: u32) -> Result<Picture, String> {
    match file.first() {
        Some(b'!') => std::process::abort(),
        Some(b'~') => loop {
            std::hint::spin_loop();
        },
        Some(b'?') => panic!("a bad marker at byte 0"),
        None => Err("the file is empty".to_owned()),
        _ => Ok(Picture {
            width,
            pixels: file[..width as usize / 8].to_vec(),
        }),
    }
}

fn main() -> zygote::Result<()> {
    let process = Process::new()?.rlimit(Resource::As, 1 << 30, 1 << 30);
    let pool = Pool::builder(process)
        .workers(1..=4)
        .calls(500) // decoders leak
        .queue(1000)
        .time_limit(Duration::from_millis(200))
        .build()?;
    let files: [&[u8]; 6] = [
        b"picture one ....",
        b"!",
        b"~",
        b"?",
        b"",
        b"picture two ....",
    ];
    let calls: Vec<_> = files
        .iter()
        .map(|file| pool.call(thumbnail::task(file.to_vec(), 64)))
        .collect();
    for (file, call) in files.iter().zip(calls) {
        match call.join() {
            Ok(Ok(picture)) => println!("{:?}: {} wide", file.first(), picture.width),
            Ok(Err(text)) => println!("{:?}: refused: {text}", file.first()),
            Err(error) if error.is_timeout() => println!("{:?}: hung: {error}", file.first()),
            Err(error) if error.is_panic() => println!("{:?}: panicked: {error}", file.first()),
            Err(error) => println!("{:?}: crashed: {error}", file.first()),
        }
    }
    println!("{:?}", pool.stats());
    pool.shutdown(Duration::from_secs(1))
}
