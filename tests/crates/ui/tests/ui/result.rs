#[zygote::entry]
fn text() -> &'static str {
    "text"
}

#[zygote::entry]
fn nested() -> Result<Vec<&'static [u8]>, String> {
    Ok(Vec::new())
}

fn main() {}
