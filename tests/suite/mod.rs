//! What must hold with either kind of template.

mod bytes;
mod channel;
mod command;
#[cfg(feature = "confine")]
mod confine;
mod errors;
mod foreign;
mod give;
mod handles;
mod honest;
mod identity;
mod ids;
mod launcher;
mod limits;
mod namespaces;
mod outcomes;
mod own_forks;
mod place;
mod preload;
mod raw;
mod resources;
mod settings;
mod stock;
mod surroundings;
mod templates;
#[cfg(feature = "tokio")]
mod tokio;
mod travel;
mod tree;
