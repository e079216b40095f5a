//! Pools of processes: calls a second of this crate's, of others', and of the
//! nearest thing by hand.
//!
//! Each has a process of its own, which makes its pool once and then measures
//! what it is asked: one request a line, one answer a line. All of them live at
//! the same time and are asked by turns.

mod asked;
pub mod compare;
pub mod load;
pub mod table;
pub mod who;
pub mod window;

pub use self::{
    compare::{Figures, measure},
    load::{Kind, Load},
    who::Who,
    window::{flight, serve},
};
