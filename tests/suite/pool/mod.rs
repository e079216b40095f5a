//! Pools.

mod changes;
mod counted;
mod deaths;
mod given_up;
mod ground;
mod kills;
mod limits;
mod maps;
mod order;
mod rooms;
mod sockets;
mod staff;
mod storm;
mod tasks;
