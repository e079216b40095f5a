//! The program's and the template's death, with the early template.

#[path = "probe/death.rs"]
mod cases;

zygote::early!();
