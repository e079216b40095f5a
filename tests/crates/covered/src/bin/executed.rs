//! The program is executed again.

#![allow(clippy::print_stdout, reason = "a test reads it")]

fn main() {
    println!("{:?}", covered::run());
}
