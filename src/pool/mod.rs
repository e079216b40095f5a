//! Pools: workers that answer calls, as many as are needed.
//!
//! `desk` decides what happens next, and knows neither processes nor threads. `thread`
//! does it: it hears the workers and gives them calls. `starter` is the second thread,
//! which does whatever may wait. `shared` is what the handles and the threads have in
//! common, and the other files are those handles.

mod asked;
mod builder;
mod desk;
mod handle;
mod hooks;
mod info;
mod map;
mod owner;
mod queue;
mod ready;
mod rooms;
mod shared;
mod slot;
mod starter;
mod stats;
mod template;
mod thread;
mod with;

pub use self::{
    builder::Builder,
    handle::Pool,
    info::Info,
    map::{Map, Unordered},
    queue::Queue,
    ready::{Permit, Ready},
    stats::{Histogram, Stats},
    template::Template,
    with::With,
};
