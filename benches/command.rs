//! What it costs to start another program and see it end.
#![allow(clippy::unwrap_used, reason = "a bench stops at what fails")]

use std::io;

use criterion::Criterion;
use zygote::Command;

zygote::early!();

const PROGRAM: &str = "/bin/true";

#[zygote::entry]
fn nothing() -> io::Result<()> {
    Ok(())
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group(PROGRAM);
    group.bench_function("Command", |bench| {
        bench.iter(|| assert!(Command::new(PROGRAM).status().unwrap().success()));
    });
    group.bench_function("Command, before_exec", |bench| {
        bench.iter(|| {
            let mut command = Command::new(PROGRAM);
            let status = command.before_exec(nothing::task()).status().unwrap();
            assert!(status.success());
        });
    });
    group.finish();
    criterion.final_summary();
}
