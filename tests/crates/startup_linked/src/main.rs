//! For `benches/startup.rs`: nothing, with the library linked.

use zygote as _;

fn main() {}
