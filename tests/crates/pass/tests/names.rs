//! Names of the user's that the expansion's might be confused with.

#![deny(warnings)]

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Job(u32);

#[zygote::entry]
fn job(job: Job) -> Job {
    job
}

/// Types and traits named as those behind the expansion.
#[derive(Serialize, Deserialize)]
struct Kind(u32);

#[derive(Serialize, Deserialize)]
struct Codec(u32);

#[derive(Serialize, Deserialize)]
struct Process(u32);

#[zygote::entry]
fn types(kind: Kind, codec: Codec) -> Process {
    Process(kind.0 + codec.0)
}

#[zygote::entry]
fn run(run: u8, out: u8, call: u8, input: u8, task: u8, spawn: u8, argument_0: u8) -> u8 {
    run + out + call + input + task + spawn + argument_0
}

#[zygote::entry]
fn task(task: u8) -> u8 {
    task
}

#[zygote::entry]
fn codec(process: &u8, codec: u8, value: u8, result: u8) -> u8 {
    process + codec + value + result
}

#[zygote::entry]
fn process(state: &u8, process: u8) -> u8 {
    state + process
}

#[zygote::entry]
fn r#match(r#type: String) -> String {
    r#type
}

mod thumbnail {
    pub fn size() -> u32 {
        128
    }
}

#[zygote::entry(type = Thumbnail)]
fn thumbnail(scale: u32) -> u32 {
    thumbnail::size() * scale
}

#[zygote::preload(type = Load)]
fn load() -> u8 {
    1
}

mod bare {
    #![no_implicit_prelude]

    #[::zygote::entry]
    pub fn prelude(text: ::std::string::String) -> ::std::string::String {
        text
    }

    #[::zygote::preload]
    pub fn kept() -> u8 {
        1
    }

    #[::zygote::entry(raw)]
    fn raw(_: ::std::os::unix::net::UnixStream, _: ::zygote::raw::Args) {}
}

fn main() {
    assert!(job::task(job(Job(1))).entry().ends_with("::job"));
    assert!(
        r#match::task(r#match("x".into()))
            .entry()
            .ends_with("::match")
    );
    drop(types::task(Kind(1), Codec(2)));
    assert_eq!(types(Kind(1), Codec(2)).0, 3);
    drop((
        run::task(1, 2, 3, 4, 5, 6, 7),
        task::task(1),
        codec::task(1, 2, 3),
    ));
    drop((
        process::task(1),
        Thumbnail::task(thumbnail(1)),
        Load::task(),
    ));
    drop((bare::prelude::task("x".into()), bare::kept::task()));
}
