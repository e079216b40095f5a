//! What must hold with either kind of template.

mod channel;
mod errors;
mod foreign;
mod give;
mod handles;
mod limits;
mod outcomes;
mod own_forks;
mod preload;
mod raw;
mod surroundings;
mod templates;
#[cfg(feature = "tokio")]
mod tokio;
mod travel;
