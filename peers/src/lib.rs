//! The same work done with this crate, with others, and by hand: what is
//! measured, how, and what is made of it.
//!
//! Three programs. `peers` runs the other two and writes the tables and plots;
//! `ours` measures this crate; `peer` measures one of the others, and does not
//! have this crate in it, so that what it executes starts as it would without.

pub mod ballast;
pub mod bare;
pub mod collect;
pub mod figures;
pub mod forked;
pub mod goals;
pub mod machine;
pub mod memory;
pub mod plot;
pub mod pools;
pub mod program;
pub mod report;
pub mod run;
pub mod startup;
pub mod survey;
pub mod tiny;
pub mod way;
pub mod ways;
