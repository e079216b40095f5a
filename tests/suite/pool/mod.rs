//! Pools.

mod ground;
mod kills;
