//! What must hold with either kind of template.

mod beside_std;
mod bytes;
mod calls;
mod channel;
mod command;
#[cfg(feature = "confine")]
mod confine;
mod copies;
mod ending;
mod errors;
mod foreign;
mod give;
mod handlers;
mod handles;
mod honest;
mod huge_pages;
mod identity;
mod ids;
mod init;
mod launcher;
mod limits;
mod namespaces;
mod nested;
mod outcomes;
mod output;
mod own_forks;
mod place;
#[cfg(feature = "pool")]
mod pool;
mod preload;
mod raw;
mod resources;
mod settings;
mod starts;
mod stock;
mod streams_in_waits;
mod surroundings;
mod templates;
#[cfg(feature = "tokio")]
mod tokio;
mod travel;
mod tree;
