//! For `benches/startup.rs`: nothing, without the library.

fn main() {}
