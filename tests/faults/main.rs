//! Every process may die, stop, be late or fail at every step: nobody hangs,
//! nothing leaks, and each call has one outcome. With the early template.

mod cases;

zygote::early!();
