#[zygote::entry]
fn show<T: ToString>(value: T) -> String {
    value.to_string()
}

#[zygote::entry]
fn argument(values: impl Iterator<Item = u32>) -> u32 {
    values.sum()
}

#[zygote::entry]
fn result(count: u32) -> impl Iterator<Item = u32> {
    0..count
}

#[zygote::preload]
fn state(values: &Vec<impl Sized>) -> usize {
    values.len()
}

#[zygote::entry]
fn lifetime<'a>(text: String) -> usize {
    text.len()
}

#[zygote::entry]
fn borrowed<'a>(text: &'a str) -> &'a str {
    text
}

fn main() {}
