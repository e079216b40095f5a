//! `LD_PRELOAD`, with a template that is forked before `main`.

#[path = "preloaded/cases.rs"]
mod cases;

zygote::early!();
