//! For `.ci/syscalls.sh`: `count early|executed|forked WORKERS` makes so many workers,
//! one after the other, and says which process is the program.
#![allow(clippy::print_stdout, reason = "who is who is for the script")]

use std::{env, error, process};

use zygote::Process;

zygote::early!();

#[zygote::entry]
fn number(value: u64) -> u64 {
    value
}

fn main() -> Result<(), Box<dyn error::Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [name, workers] = args.as_slice() else {
        return Err("count early|executed WORKERS".into());
    };
    let template = match name.as_str() {
        "early" => None,
        "executed" => Some(Process::fresh()?),
        // Of the early template, with nothing in stock.
        "forked" => Some(Process::new()?.stock(0)),
        _ => return Err(format!("unknown template: {name}").into()),
    };
    for value in 0..workers.parse()? {
        let worker = match &template {
            Some(process) => process.fork()?.run(number::task(value))?,
            None => number::spawn(value)?,
        };
        if worker.join()? != value {
            return Err("another value".into());
        }
    }
    println!("{}", process::id());
    Ok(())
}
