use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Handle {
    number: u32,
}

impl From<OwnedFd> for Handle {
    fn from(_: OwnedFd) -> Self {
        Handle { number: 0 }
    }
}

impl From<Handle> for OwnedFd {
    fn from(handle: Handle) -> Self {
        unimplemented!("{}", handle.number)
    }
}

#[zygote::entry]
fn show(handle: Handle) -> u32 {
    handle.number
}

#[zygote::entry]
fn wrapped(handle: zygote::Fd<Handle>) -> u32 {
    handle.number
}

fn main() {}
