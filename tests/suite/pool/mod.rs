//! Pools.

mod counted;
mod deaths;
mod given_up;
mod ground;
mod kills;
mod limits;
mod maps;
mod rooms;
mod sockets;
mod storm;
mod tasks;
