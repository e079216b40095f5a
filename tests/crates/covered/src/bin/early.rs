//! The template is forked before `main`.

#![allow(clippy::print_stdout, reason = "a test reads it")]

zygote::early!();

fn main() {
    println!("{:?}", covered::run());
}
