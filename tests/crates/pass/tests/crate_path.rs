//! The crate under another path.

#![deny(warnings)]

mod facade {
    pub mod processes {
        pub use zygote::*;
    }
}

use facade::processes as renamed;

/// So that nothing finds the crate by its name.
mod zygote {}

#[renamed::entry(crate = renamed)]
fn double(number: u32) -> u32 {
    number * 2
}

#[renamed::preload(crate = crate::facade::processes, type = Load)]
fn load() -> u32 {
    1
}

#[renamed::entry(raw, crate = renamed)]
fn server(_: std::os::unix::net::UnixStream, _: renamed::raw::Args) {}

fn main() {
    drop((double::task(double(1)), Load::task()));
}
