//! With a template that is executed when it is first needed.

#[path = "../program.rs"]
mod program;

fn main() {
    program::main();
}
