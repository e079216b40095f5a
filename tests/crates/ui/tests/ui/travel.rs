use std::{io, sync::mpsc};

struct Job;

struct Fault;

#[zygote::entry]
fn argument(id: u32, job: Job) -> u32 {
    let Job = job;
    id
}

#[zygote::entry]
fn nested(jobs: Vec<Job>) {
    drop(jobs);
}

#[zygote::entry]
fn sender(sender: mpsc::Sender<u32>) {
    drop(sender);
}

#[zygote::entry]
fn result() -> Job {
    Job
}

#[zygote::entry]
fn fallible() -> io::Result<Job> {
    Ok(Job)
}

#[zygote::entry]
fn failure() -> Result<u32, Fault> {
    Err(Fault)
}

#[zygote::preload]
fn load(job: Job) -> Job {
    job
}

fn main() {
    let _ = argument::task(1, Job);
    let _ = argument::spawn(1, Job);
}
