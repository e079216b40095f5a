//! `LD_PRELOAD`, with a template that is executed when it is first needed.

#[path = "preloaded/cases.rs"]
mod cases;
