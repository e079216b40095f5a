//! With a template that was forked before `main`.

#[path = "../program.rs"]
mod program;

zygote::early!();

fn main() {
    program::main();
}
