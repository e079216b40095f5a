//! Prints the value of each line of its input. It uses a library that works in processes
//! of its own, and knows nothing of them: its `main` is an ordinary one, and it calls no
//! `early!`.
#![allow(clippy::print_stdout, reason = "it is what the program is for")]

use std::{
    io::{self, BufRead},
    process::ExitCode,
};

use calculator::{Error, evaluate};

fn main() -> io::Result<ExitCode> {
    let (mut wrong, mut failed) = (0, 0);
    for (number, line) in (1..).zip(io::stdin().lock().lines()) {
        match evaluate(&line?) {
            Ok(value) => println!("{number}: {value}"),
            Err(error) => {
                println!("{number}: {error}");
                match error {
                    Error::Syntax(_) => wrong += 1,
                    Error::Failed(_) => failed += 1,
                }
            }
        }
    }
    println!("{wrong} wrong, {failed} failed");
    Ok(match wrong + failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
