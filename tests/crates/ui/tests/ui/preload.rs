use std::fmt;

struct Fault;

#[zygote::preload]
fn never() -> ! {
    panic!()
}

#[zygote::preload]
fn unknown() -> fmt::Result {
    Ok(())
}

#[zygote::preload]
fn in_place(text: &mut String) -> usize {
    text.len()
}

#[zygote::preload]
fn silent() -> Result<String, Fault> {
    Err(Fault)
}

fn main() {}
