//! With mimalloc.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "early")]
zygote::early!();

fn main() {
    allocators::check("mimalloc");
}
