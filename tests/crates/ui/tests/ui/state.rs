struct Index(Vec<String>);

#[zygote::entry]
fn later(query: String, index: &Index) -> bool {
    index.0.contains(&query)
}

#[zygote::entry]
fn two(index: &Index, other: &mut Index) -> bool {
    index.0 == other.0
}

#[zygote::entry]
fn lifetime(index: &'static Index) -> usize {
    index.0.len()
}

fn main() {}
