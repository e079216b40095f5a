//! Pools.

mod counted;
mod deaths;
mod ground;
mod kills;
mod sockets;
mod storm;
