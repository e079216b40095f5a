struct Mute;

#[zygote::hook(worker)]
fn value() -> u32 {
    5
}

#[zygote::hook(prepare)]
fn result() -> Result<u32, String> {
    Ok(5)
}

#[zygote::hook(child)]
fn mute() -> Result<(), Mute> {
    Err(Mute)
}

fn main() {}
