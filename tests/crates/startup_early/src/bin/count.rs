//! For `.ci/syscalls.sh`: `count early|executed WORKERS` makes so many workers, one
//! after the other, and says which process is the program.
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
    let [template, workers] = args.as_slice() else {
        return Err("count early|executed WORKERS".into());
    };
    let executed = match template.as_str() {
        "early" => None,
        "executed" => Some(Process::fresh()?),
        _ => return Err(format!("unknown template: {template}").into()),
    };
    for value in 0..workers.parse()? {
        let worker = match &executed {
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
