//! The program's and the template's death, without an early template: it is
//! executed.

#[path = "probe/death.rs"]
mod cases;
