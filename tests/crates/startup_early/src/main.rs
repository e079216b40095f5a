//! For `benches/startup.rs`: nothing, with a template made before it.

zygote::early!();

fn main() {}
